"""Programs of several processes: each pings for itself, and none for another."""

from __future__ import annotations

import os
import pickle
import sys
import textwrap
import threading

import pytest
import urllib3
from loguru import logger

from conftest import RunScript, complaints
from loghc import Event, HealthSink
from loghc.testing import Fault, PingReceiver
from pings import runs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

BEGIN = """
import multiprocessing, os, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from loguru import logger
from loghc import HealthSink

logger.remove()
sink = HealthSink(sys.argv[1])
"""


def script(text: str) -> str:
    return BEGIN + textwrap.dedent(text)


RUN = [Event.START, Event.SUCCESS]


def test_a_forked_child_pings_for_itself_and_sends_nothing_of_its_parents(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(Fault(delay=0.5))
    text = """
        logger.add(sink, format="{process.id} {message}", catch=False)
        logger.info("sync.start")
        pid = os.fork()  # the start is in the queue, or in flight
        if pid == 0:
            assert sink.stats.pending == 0
            child = logger.bind(run_id="child")
            child.info("sync.start")
            child.info("sync.done")
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        logger.info("sync.done")
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert complaints(done.stderr) == []
    assert runs(ping_receiver) == [RUN, RUN]


def test_a_child_that_exits_does_not_report_its_parents_open_run(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.start")
        assert sink.wait(10)
        pid = os.fork()
        if pid == 0:
            raise SystemExit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        logger.info("sync.done")
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert runs(ping_receiver) == [RUN]


def test_a_child_that_crashes_in_a_run_of_its_own_reports_it(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        def work():
            logger.info("sync.start")
            raise OSError("disk full")

        if __name__ == "__main__":
            logger.add(sink, format="{message}", catch=False)
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
            assert child.exitcode == 1
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert runs(ping_receiver) == [[Event.START, Event.FAIL]]
    first = ping_receiver.pings[-1].text.splitlines()[0]
    # Python 3.13 lets go of the exception before the child cleans up.
    lost = "the program ended before this run did"
    assert first == "OSError: disk full" or (sys.version_info >= (3, 13) and first == lost)


@pytest.mark.parametrize("queued", [False, True], ids=["direct", "enqueue"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_ping_however_they_are_started(
    method: str, queued: bool, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = f"""
        def work(logger):
            with logger.contextualize(run_id=f"child {{os.getpid()}}"):
                logger.info("sync.start")
                logger.info("sync.done")

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            logger.add(sink, format="{{message}}", catch=False, enqueue={queued}, context=context)
            logger.info("sync.start")
            children = [context.Process(target=work, args=(logger,)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
            logger.info("sync.done")
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert runs(ping_receiver) == [RUN] * 4
    assert len(ping_receiver.requests) == 8


@pytest.mark.parametrize(
    "pool",
    [
        """
        pool = multiprocessing.get_context("fork").Pool(2)
        pool.map(work, range(6))
        pool.close()
        pool.join()
        """,
        """
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            list(pool.map(work, range(6)))
        """,
    ],
    ids=["Pool", "ProcessPoolExecutor"],
)
def test_a_pool_that_inherits_the_logger_loses_no_ping_and_sends_none_twice(
    pool: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        def work(number):
            logger.info("sync.start")
            logger.info("item {}", number)
            logger.info("sync.done")

        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.start")
        """ + textwrap.indent(textwrap.dedent(pool), " " * 8)
    source = textwrap.dedent(text) + 'logger.info("sync.done")\n'
    done = run_script(script(source), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert len(ping_receiver.requests) == 14
    assert runs(ping_receiver) == [RUN] * 7


def test_a_pre_forking_server_pings_from_each_worker(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.add(sink, format="{message}", catch=False)
        stop = threading.Event()

        def chatter():  # the parent is busy logging, and pinging, while it forks
            while not stop.wait(0.001):
                logger.info("still here")

        thread = threading.Thread(target=chatter)
        thread.start()
        workers = []
        for number in range(8):
            logger.info("sync.log: forking")
            pid = os.fork()
            if pid == 0:
                try:
                    with logger.contextualize(run_id=f"worker {number}"):
                        logger.info("sync.start")
                        logger.info("sync.done")
                    logger.remove()  # what a worker's own shutdown does
                finally:
                    os._exit(0 if sink.stats.delivered == 2 else 9)
            workers.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
        stop.set()
        thread.join()
        assert codes == [0] * 8, codes
    """
    done = run_script(script(text), ping_receiver.url, timeout=60)
    assert done.returncode == 0, done.stderr
    told = runs(ping_receiver)
    assert told.count(RUN) == 8
    assert sum(events.count(Event.LOG) for events in told) == 8
    assert len(ping_receiver.requests) == 24


def test_a_fork_in_the_middle_of_the_first_ping_does_not_hang_the_child(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    # What the first ping needs is imported then: a child forked meanwhile must not wait for that.
    text = """
        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.log")
        workers = []
        for number in range(20):
            time.sleep(0.005)
            pid = os.fork()
            if pid == 0:
                logger.info("sync.log")
                sys.exit(0)
            workers.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in workers] == [0] * 20
    """
    done = run_script(script(text), ping_receiver.url, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "given up" not in done.stderr
    assert len(ping_receiver.requests) == 21


@pytest.mark.parametrize("scope", ["all", "run"])
def test_a_child_forked_while_another_thread_handles_a_marker_pings_for_itself(
    scope: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = f"""
        sink = HealthSink(sys.argv[1], scope={scope!r})
        other = HealthSink(sys.argv[1], job="mails")
        inside, going_on = threading.Event(), threading.Event()

        class Slow:
            def __str__(self):
                inside.set()
                going_on.wait(20)
                return "slow"

        def write(marker):  # what holds loguru's own lock, a fork waits for
            messages = []
            handler = logger.add(messages.append, format="{{message}}")
            logger.bind(run_id=Slow()).info(marker)
            logger.remove(handler)
            threading.Thread(target=sink.write, args=messages, daemon=True).start()
            assert inside.wait(20)

        write("sync.start" if {scope!r} == "all" else "mails.start")
        pid = os.fork()
        if pid == 0:
            logger.add(sink, format="{{message}}", catch=False)
            logger.bind(run_id="other").info("mails.start")
            logger.info("sync.log")
            logger.remove()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        going_on.set()
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert "log" in [ping.event.value for ping in ping_receiver.pings]


def test_a_step_that_fails_in_a_forked_child_is_shown_and_keeps_no_other_from_being_done(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        from loghc.fork import InChild, in_child

        in_child(InChild.REPORT, lambda: 1 / 0)
        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.start")
        pid = os.fork()
        if pid == 0:
            assert sink.stats.pending == 0
            logger.bind(run_id="child").info("sync.log")
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        logger.info("sync.done")
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ZeroDivisionError") == 1
    sent = sorted(ping.event.value for ping in ping_receiver.pings)
    assert sent == ["log", "start", "success"]


def test_a_child_forked_amid_a_request_exits_though_a_lock_of_its_is_held(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    # At the child's exit urllib3 closes what the parent's pools hold.
    text = """
        import os, sys, threading
        from loghc.deadline import Deadline
        from loghc.service.transport import Transport

        deadline, held, done = Deadline(), threading.Event(), threading.Event()
        transport = Transport(deadline)
        transport.post(sys.argv[1] + "/log", b"", {}, 10.0)  # leaves an idle connection

        def hold():
            with deadline._lock:
                held.set()
                done.wait()

        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        status = os.waitpid(pid, 0)[1]
        done.set()
        print(status)
    """
    done = run_script(textwrap.dedent(text), ping_receiver.url, timeout=15)
    assert done.stdout == "0\n", done.stderr


def test_a_fork_while_the_sink_is_removed_keeps_no_ping_from_leaving(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    # The fork waits for loguru, loguru for the sink, and the sink for its first ping.
    text = """
        import os, sys, threading, time
        from loguru import logger

        forking, removing = threading.Event(), threading.Event()

        def between():  # loghc's preparation for a fork, and loguru's
            forking.set()
            removing.wait()

        os.register_at_fork(before=between)
        from loghc import HealthSink

        class Removed:
            def write(self, message): pass
            def stop(self): removing.set()

        def fork():
            if os.fork() == 0:
                os._exit(0)
            os.wait()

        logger.remove()
        logger.add(Removed())
        logger.add(HealthSink(sys.argv[1]))
        thread = threading.Thread(target=fork)
        thread.start()
        forking.wait()
        logger.info("sync.log")
        begun = time.monotonic()
        logger.remove()
        print(time.monotonic() - begun)
        thread.join()
    """
    done = run_script(textwrap.dedent(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert complaints(done.stderr) == []
    assert float(done.stdout) < 5
    assert len(ping_receiver.pings) == 1


def test_a_fork_in_the_middle_of_the_first_ping_goes_on_whatever_was_imported_first(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        import os, sys, threading
        from loghc import HealthSink  # before logging, which loguru imports

        importing, forking = threading.Event(), threading.Event()
        os.register_at_fork(before=forking.set)
        from loguru import logger

        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "urllib3.connectionpool":
                    importing.set()
                    forking.wait()

        sys.meta_path.insert(0, Finder)
        logger.remove()
        logger.add(HealthSink(sys.argv[1]))
        logger.info("sync.log")
        importing.wait()
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    """
    done = run_script(textwrap.dedent(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert len(ping_receiver.pings) == 1


def test_a_sink_pickles_its_configuration_and_not_its_threads(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url, job="backup", limit=17, redact=("a+",), drain=2.5)
    logger.add(sink, format="{message}")
    logger.info("backup.start")
    assert sink.wait(10)
    copy = pickle.loads(pickle.dumps(sink))
    assert copy.stats.delivered == 0
    threads = threading.active_count()
    logger.remove()
    logger.add(copy, format="{message}")
    assert threading.active_count() <= threads
    logger.info("backup.done, aaa and much more text")
    assert copy.wait(10)
    assert ping_receiver.pings[-1].event is Event.SUCCESS
    assert ping_receiver.pings[-1].text == "nd much more text\n"[-17:]


def test_a_sink_with_a_pool_manager_says_why_it_does_not_pickle() -> None:
    sink = HealthSink("https://hc-ping.com/x", http=urllib3.PoolManager())
    with pytest.raises(TypeError, match="http="):
        pickle.dumps(sink)
