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

``python -m benchmarks --only designs`` measures all of this again. Nanoseconds for one record, the
best of 40 rounds on a busy machine; CPython 3.11, 110 bytes of ASCII, 100,000 bytes kept:

=======================================  ===  ====================================================
the tail                                  ns  why, or why not
=======================================  ===  ====================================================
the floor: a bare deque of bytes         175  bounds no memory for short records, loses count with
                                              two threads
deque of bytes, a lock for each record   495  the lock costs more than all the rest
bytearray, cut into chunks               196
list of bytes, batches of 64             157  encoding each alone costs more than all together
list of str by ``+ ""``, batches of 32   149
StringIO, cut into chunks                148  two threads can't share it; Python 3.10 keeps the
                                              message in it, and so the whole record
list of str by ``str()``, batches of 64  145  ``str()`` is a call, ``+ ""`` is not
list of str, batches by characters       142  no faster, and more records wait when they are short
list of str by ``+ ""``, batches of 64   137  kept; 145 by way of ``Tail.append``, so that
                                              ``HealthSink.write`` has its four lines in place
list of str by ``+ ""``, batches of 128  127  twice as many records wait
=======================================  ===  ====================================================

=======================================  ===  ====================================================
the marker test                           ns  with a call around it, 39 of the whole
=======================================  ===  ====================================================
a regular expression                     122
a slice, looked up in a set              113
``startswith``, a tuple of markers       112
``startswith``, one common prefix        103  not every set of markers has one
``first <= message < after``              70  kept, for any markers; 79 where both are compared
the prefix anywhere in the message        56  grows with the message
=======================================  ===  ====================================================
"""
