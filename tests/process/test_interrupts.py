"""Signals that come in the middle of a marker call: handlers that raise, and handlers that log."""

from __future__ import annotations

import math
import sys
import textwrap

import pytest

from conftest import RunScript
from loghc import Event
from loghc.testing import Fault, PingReceiver
from processes import needs_posix

pytestmark = needs_posix

BEGIN = """
import os, random, signal, sys, threading, time
from loguru import logger
from loghc import HealthSink
logger.remove()

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise Interrupt
"""


def script(text: str) -> str:
    return BEGIN + textwrap.dedent(text)


RANDOM = """
signal.signal(signal.SIGALRM, interrupt)
chance = random.Random(7)
sink = HealthSink(sys.argv[1], drain=10.0)
handler = logger.add(sink, format="{message}", catch=False)
count = int(sys.argv[2])
interrupts = dead = inside = 0
within = False

def work():
    global within
    within = False
    while sink.stats.pending > 20:
        time.sleep(0.0005)
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.000001, 0.0002))
    within = True
    while True:
        logger.info("sync.log")

while interrupts < count:
    try:
        work()
    except Interrupt:
        interrupts += 1
        inside += within
    if interrupts % 100 == 0:
        logger.info("sync.log: {} interrupts", interrupts)
        if not sink.wait(20):
            dead += 1
            break
begun = time.monotonic()
logger.remove()
print(dead, sink.stats.failed, sink.stats.pending, inside > count / 2, time.monotonic() - begun < 5)
"""


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 14), reason="CPython 3.14 leaves loguru's own lock held"
)
def test_a_thousand_interrupts_at_random_moments_leave_the_sink_working(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(BEGIN + RANDOM, ping_receiver.url, "1000", timeout=110)
    assert done.stdout == "0 0 0 True True\n", done.stderr
    told = {each.text.splitlines()[-1] for each in ping_receiver.pings}
    assert {f"sync.log: {number} interrupts" for number in range(100, 1001, 100)} <= told


# loguru's own lock is loguru's: here the sink is called without it.
ALONE = """
class Message(str):
    pass

def message():
    copy = Message("sync.log\\n")
    copy.record = dict(records[0].record, extra={}, elapsed=object())
    return copy

records = []
handler = logger.add(records.append, format="{message}")
logger.info("sync.log")
logger.remove()
signal.signal(signal.SIGALRM, interrupt)
chance = random.Random(7)
sink = HealthSink(sys.argv[1], drain=10.0)
for number in range(100):
    try:
        while sink.stats.pending > 20:
            time.sleep(0.0005)
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.000001, 0.0003))
        while True:
            sink.write(message())
    except Interrupt:
        pass
    if number % 25 == 24:
        other = threading.Thread(target=lambda: sink.write(message()), daemon=True)
        other.start()
        other.join(10)
        print(other.is_alive(), sink.wait(20), sink.stats.failed, flush=True)
os._exit(0)
"""


def test_no_lock_is_left_held_by_a_thread_that_was_interrupted(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(BEGIN + ALONE, ping_receiver.url, timeout=110)
    assert done.stdout == "False True 0\n" * 4, done.stderr


LOCKS = """
import tempfile
from loghc.deadline import Deadline
from loghc.portable.ring import open_ring

signal.signal(signal.SIGALRM, interrupt)
chance = random.Random(7)
ring = open_ring(tempfile.mkdtemp(), 4096, os.getpid())
deadline = Deadline()
for action in (
    lambda: ring.append(b"a record", 1),
    lambda: ring.append_marker(b"about", b"a record", 1),
    lambda: ring.count(0),
    lambda: deadline.begin(60.0),
    lambda: deadline.cut_by(None),
):
    for _ in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.000001, 0.0002))
            while True:
                action()
        except Interrupt:
            pass
    other = threading.Thread(target=action, daemon=True)
    other.start()
    other.join(10)
    print(other.is_alive(), end=" ", flush=True)
os._exit(0)
"""


def test_no_lock_of_the_ring_or_of_a_deadline_is_left_held(run_script: RunScript) -> None:
    done = run_script(BEGIN + LOCKS, timeout=110)
    assert done.stdout == "False " * 5, done.stderr


# Where a signal can strike is a matter of luck: so an exception comes at each single line, in turn.
EACH_LINE = """
import faulthandler
import loghc

home = os.path.dirname(loghc.__file__)
faulthandler.dump_traceback_later(100, exit=True)
steps = 0

def trace(frame, event, argument):
    global steps
    if not frame.f_code.co_filename.startswith(home):
        return None
    if event in ("call", "line"):
        steps += 1
        if steps == target:
            struck.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
            raise Interrupt
    return trace

first, every = map(int, sys.argv[2:])
target, dead = first - every, []
while True:
    target, steps, struck = target + every, 0, []
    sink = HealthSink(sys.argv[1], drain=0.1)
    handler = logger.add(sink, format="{message}", catch=False)
    sys.settrace(trace)
    try:
        logger.info("sync.log")
    except Interrupt:
        pass
    sys.settrace(None)
    logger.info("sync.done")
    if not sink.wait(2) or sink.stats.failed:
        dead.append(struck)
    logger.remove(handler)
    if not struck:
        break
print(target > 30, dead)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_an_exception_at_any_line_of_a_marker_call_leaves_the_sink_working(
    first: int, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(BEGIN + EACH_LINE, ping_receiver.url, str(first), "4", timeout=110)
    assert done.stdout == "True []\n", done.stderr
    successes = [each for each in ping_receiver.pings if each.event is Event.SUCCESS]
    assert len(successes) > 30 // 4


@pytest.mark.slow
def test_a_handler_that_takes_its_time_and_then_raises_doubles_no_ping(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.02))
    done = run_script(
        script("""
        import loghc

        home = os.path.join(os.path.dirname(loghc.__file__), "delivery")

        def slowly(*_):
            time.sleep(0.2)
            raise Interrupt

        def trace(frame, event, argument):
            global steps
            if not frame.f_code.co_filename.startswith(home):
                return None
            if event in ("call", "line"):
                steps += 1
                if steps == target:
                    os.kill(os.getpid(), signal.SIGUSR1)
            return trace

        signal.signal(signal.SIGUSR1, slowly)
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}", catch=False)
        target, steps = 0, 0
        while steps == target:
            target, steps = target + 1, 0
            sys.settrace(trace)
            try:
                logger.info("sync.log: {}", target)
            except Interrupt:
                pass
            sys.settrace(None)
        assert sink.wait(20)
        print(target > 20)
        """),
        ping_receiver.url,
        timeout=90,
    )
    assert done.stdout == "True\n", done.stderr
    lasts = [each.text.splitlines()[-1] for each in ping_receiver.pings]
    assert len(set(lasts)) == len(lasts)


def test_an_interrupt_in_a_wait_loses_no_ping(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.3))
    done = run_script(
        script("""
        signal.signal(signal.SIGALRM, interrupt)
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")
        for _ in range(5):
            logger.info("sync.log")
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            try:
                sink.wait()
                print("not interrupted")
            except Interrupt:
                pass
        print(sink.wait(20), sink.stats.delivered)
        """),
        ping_receiver.url,
    )
    assert done.stdout == "True 5\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["threads", "no threads"])
def test_ctrl_c_in_a_wait_and_then_in_a_stop_reaches_the_app_each_time(
    threads: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(Fault(delay=math.inf), Fault(delay=math.inf))
    done = run_script(
        script("""
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        if sys.argv[2] == "no threads":
            from loghc import native

            def refuse(*_):
                raise RuntimeError("can't start new thread")

            native.start_new_thread = refuse
        sink = HealthSink(sys.argv[1])
        handler = logger.add(sink, format="{message}")
        logger.info("sync.done")
        for wait in (sink.wait, sink.stop):
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                wait()
            except KeyboardInterrupt:
                print("interrupted", sink.stats.pending)
        logger.info("sync.log: afterwards")
        print(sink.wait(20), sink.stats.delivered)
        """),
        ping_receiver.url,
        threads,
    )
    assert done.stdout == "interrupted 1\ninterrupted 0\nTrue 1\n", done.stderr
    assert ping_receiver.pings[-1].text.splitlines()[-1] == "sync.log: afterwards"


def test_markers_of_signal_handlers_come_at_any_moment_and_none_is_lost(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        import faulthandler
        import loghc

        home = os.path.dirname(loghc.__file__)
        faulthandler.dump_traceback_later(60, exit=True)
        inner = HealthSink(sys.argv[1])

        def on_signal(*_):
            # As another handler of loguru's would: loguru lets no handler into itself.
            inner.write(Message("sync.log: the handler's"))

        class Message(str):
            record = {"message": "sync.log: the handler's", "extra": {}}

        Message.record["process"] = type("Process", (), {"id": os.getpid()})
        signal.signal(signal.SIGUSR1, on_signal)

        def trace(frame, event, argument):
            global steps
            if not frame.f_code.co_filename.startswith(home):
                return None
            if event in ("call", "line"):
                steps += 1
                if steps == target:
                    Message.record["thread"] = type("Thread", (), {"id": threading.get_ident()})()
                    Message.record["elapsed"] = object()
                    os.kill(os.getpid(), signal.SIGUSR1)
            return trace

        logger.add(inner, format="{message}", catch=False)
        target = 0
        while True:
            target, steps = target + 1, 0
            sys.settrace(trace)
            logger.info("sync.log: the app's")
            sys.settrace(None)
            while inner.stats.pending > 20:
                time.sleep(0.001)
            if steps < target:
                break
        assert inner.wait(20)
        print(target, inner.stats.delivered, inner.stats.failed)
        """),
        ping_receiver.url,
        timeout=90,
    )
    target, delivered, failed = map(int, done.stdout.split())
    assert target > 30
    # Each call and each signal made one ping, but for the last call, which none came into.
    assert (delivered, failed) == (2 * target - 1, 0), done.stderr


def test_a_signal_handler_may_log_a_marker_and_leave(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        def leave(*_):
            logger.error("sync.error: terminated")
            sys.exit(143)

        signal.signal(signal.SIGTERM, leave)
        logger.add(HealthSink(sys.argv[1]), format="{message}")
        logger.info("sync.start")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        """),
        ping_receiver.url,
    )
    assert done.returncode == 143
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.FAIL]
    assert len({each.run_id for each in ping_receiver.pings}) == 1


def test_an_interrupt_where_no_thread_can_be_started_leaves_the_ping_to_the_next_wait(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=1))  # much longer than until an interrupt
    done = run_script(
        script("""
        from loghc import native

        def refuse(*_):
            raise RuntimeError("can't start new thread")

        native.start_new_thread = refuse
        signal.signal(signal.SIGALRM, interrupt)
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        logger.info("sync.done")
        interrupts = 0
        for number in range(8):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.01 * number + 0.005)
                sink.wait()
            except Interrupt:
                interrupts += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(interrupts, sink.wait(20), sink.stats.delivered)
        """),
        ping_receiver.url,
    )
    assert done.stdout == "8 True 2\n", done.stderr
    order = [each.event for each in ping_receiver.pings]
    assert order == sorted(order, key=[Event.START, Event.SUCCESS].index)
