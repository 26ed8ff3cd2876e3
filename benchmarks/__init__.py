"""Measures what loghc costs, beside the least that could do the same and beside its peers.

::

    pip install -e '.[bench]'
    python -m benchmarks            # all of it: tables, results/results.json, charts
    python -m benchmarks --only records calls
    python -m benchmarks --table    # the README's table, from results/results.json
    python -m benchmarks --check    # the short form: fails when a goal is missed by far

Each figure is measured in the same run as what it is compared with. The cases take turns, round
after round, so that a slow moment of the machine hits all of them; a ratio is taken within each
round, and its median and spread are shown. (pyperf runs one benchmark after the other, each in
processes of its own: on a busy machine their ratio is the machine's.) The peers are run as their
packages have them. ``--check`` needs nothing but loghc; with requests installed it checks one
figure more.

What was tried
==============

``python -m benchmarks --only designs`` measures all of this again. Of the floor, a bare deque of
bytes with a count; CPython 3.11, 110 bytes of ASCII, 100,000 bytes kept:

=============================================  =====  ============================================
the tail                                       ratio  why not
=============================================  =====  ============================================
deque of bytes, a lock for each record         3.20   the lock alone costs more than the rest
bytearray, cut into chunks                     1.15   ``+=`` asks for a buffer each time
list of bytes, batches of 64                   0.96   encoding each alone costs more than together
list of str by ``str()``, batches of 64        0.95   ``str()`` is a call, ``+ ""`` is not
StringIO, cut into chunks                      0.89   two threads can't share it; on Python 3.10 it
                                                      keeps the message, and so the whole record
list of str, batches by characters             0.86   no faster where it is an attribute, and
                                                      memory for very short records isn't bounded
list of str by ``+ ""``, batches of 32         0.88   kept, with batches of 64
list of str by ``+ ""``, batches of 128        0.73   twice the memory in front of the limit
=============================================  =====  ============================================

A call of ``Tail.append`` in place of the same four lines in ``HealthSink.write`` adds 0.15. Of the
test for a marker, beyond what it takes to read the message:

=============================================  =====  ============================================
the marker test                                ns     why not
=============================================  =====  ============================================
a regular expression                           180
``startswith``, a tuple of markers             150
``startswith``, one common prefix              130    not every set of markers has one
a slice, looked up in a set                    130
the prefix anywhere in the message             30     grows with the message
``first <= message < after``                   50-70  kept: right for any markers, any number
=============================================  =====  ============================================
"""
