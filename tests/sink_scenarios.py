"""Random programs that log to a HealthSink, and random services that it pings; played for real."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import math
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from loghc import Event, HealthSink, Outcome, Stats, job
from loghc.testing import Fault, PingReceiver
from waiting import wait_until

CHUNK = 50
WAYS = ("direct",) * 7 + ("tls", "proxy", "tls by proxy")  # of each chunk of seeds, in turn

_WORDS = ("copied", "photo", "ärger", "日本", "🙂", "-", "3 of 4", "ok", "x" * 70)
_WORD_OF = {
    Event.START: "start",
    Event.SUCCESS: "done",
    Event.FAIL: "error",
    Event.LOG: "log",
}

_PASSING = (
    Fault(500),
    Fault(503, headers={"Retry-After": "7"}),
    Fault(429),
    Fault(200, body="OK (rate limited)"),
    Fault(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    Fault(cut="request"),
    Fault(cut="body"),
    Fault(cut="body", reset=False),
    Fault(delay=0.01),
    Fault(pace=0.0001),
)
# The service took the ping, and the answer is lost.
_ANSWER_LOST = (
    Fault(cut="before-answer"),
    Fault(cut="before-answer", reset=False),
    Fault(cut="answer"),
    Fault(cut="answer", reset=False),
)
_HANGING = Fault(delay=math.inf)
_REFUSING = (Fault(403), Fault(409), Fault(410), Fault(302, headers={"Location": "/elsewhere"}))
_NOT_KNOWING = (Fault(404), Fault(400))
_NOBODY = 65534


class Strict:
    """A service that is up, and takes not every body, or not as many pings.

    What it refuses is more than a marker's own record has, so that each verdict can be told.

    Args:
        chance: decides what it is like.

    Attributes:
        kind: what it doesn't take; empty: it takes all.
        over: it takes all by now.
    """

    def __init__(self, chance: random.Random) -> None:
        kinds = ("", "", "", "size", "content", "content, 403", "limit", "slow")
        self.kind = chance.choice(kinds)
        self.over = False
        self._taken: list[float] = []

    def fault(self, body: bytes) -> Fault | None:
        """What goes wrong with a request because of its body, or its time."""
        if self.over:
            return None
        if self.kind == "size" and len(body) > 3000:
            return Fault(413)
        if self.kind.startswith("content") and body.count("日本".encode()) > 30:
            return Fault(403 if self.kind.endswith("403") else 500)
        if self.kind == "slow":
            time.sleep(0.003)
        if self.kind == "limit":
            now = time.monotonic()
            self._taken = [each for each in self._taken if each > now - 0.05]
            if len(self._taken) >= 5:
                return Fault(429, headers={"Retry-After": "0"})
            self._taken.append(now)
        return None


class Scenario:
    """What happens in one scenario, as its seed says.

    Attributes:
        way: how the sink gets to the service.
        hasty: the sink stops so soon that it gives pings up.
        answers_lost: the service may take a ping without the sink's learning of it.
        ignorant: the service may seem not to know all of the protocol.
        refusing: the service refuses some requests.
        strict: what it takes of bodies, and of pings.
        named: each run has a name.
        options: the sink's.
        state: what becomes of the sink's state directory; empty: it has none.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._chance = chance = random.Random(seed)
        self.way = WAYS[seed // CHUNK % len(WAYS)]
        self.hasty = chance.random() < 0.2
        self.enqueue = chance.random() < 0.25
        self.ignorant = chance.random() < 0.15
        hanging = chance.random() < 0.05
        self.named = self.hasty or self.ignorant or chance.random() < 0.3
        self.body_limit = chance.choice((100_000, None) if self.ignorant else (100_000, None, 300))
        self.options: dict[str, Any] = {
            "job": chance.choice(("sync", "photos.nightly")),
            "limit": chance.choice((200, 1000, 5000, 100_000)),
            "timeout": 0.25 if hanging else 20.0,
            "drain": chance.choice((0.001, 0.01, 0.05)) if self.hasty else 30.0,
            "send_logs": chance.random() > 0.05,
            "events": (Event.SUCCESS, Event.FAIL) if chance.random() < 0.05 else None,
        }
        kinds = [(_PASSING, 1.0), (_ANSWER_LOST, chance.random() < 0.3), ((_HANGING,), hanging)]
        kinds += [(_REFUSING, chance.random() < 0.3), (_NOT_KNOWING, self.ignorant)]
        if not self.options["send_logs"]:
            self.named = True  # else one ping of a run can't be told from another
        self.faults: list[Fault | None] = []
        for _ in range(chance.choice((0, 0, 3, 10, 20))):
            faults = chance.choice([faults for faults, wanted in kinds if wanted])
            self.faults.append(chance.choice(faults) if chance.random() < 0.5 else None)
        forks = chance.random() < 0.3
        self.threads = [self._steps(forks=forks) for _ in range(chance.choice((1, 1, 2, 3)))]
        self.tasks = [self._steps() for _ in range(chance.choice((0, 0, 0, 2, 4)))]
        if self.enqueue and self.tasks:
            self.named = True  # loguru's thread can't tell tasks apart
        # A forked child has the listening socket as well: the service can't go away meanwhile.
        choices = ("complete", "wait", "replace", "sleep", *(() if forks else ("outage",)))
        self.meanwhile = [chance.choice(choices) for _ in range(chance.choice((0, 1, 1, 3)))]
        self._others = random.Random(f"{seed} surroundings")
        self.state = ""
        if not self.hasty and os.name == "posix":  # what it gives up is left to the next start
            self.state = self._others.choice(("", "", "kept", "lost"))
        if self.state == "lost":
            self.meanwhile.insert(self._others.randint(0, len(self.meanwhile)), "lose")
        self.refusing = any(fault in _REFUSING for fault in self.faults)
        self.strict = Strict(random.Random(f"{seed} strict"))
        may_be_void = any(self.faults) or self.strict.kind
        if may_be_void or "outage" in self.meanwhile or "replace" in self.meanwhile:
            self.named = True  # what is void has its outcome before what is sent
        self.answers_lost = (
            self.hasty
            or hanging
            or self.way.endswith("proxy")
            or "outage" in self.meanwhile
            or any(fault in _ANSWER_LOST for fault in self.faults)
        )

    def _steps(self, *, forks: bool = False, depth: int = 0) -> list[tuple[Any, ...]]:
        """What one thread or task does."""
        chance, steps = self._chance, []
        for _ in range(chance.randint(1, 4 - depth)):
            kind = chance.choices(
                ("lines", "run", "job", "note", "pause", "fork"),
                (5, 5 if depth < 2 else 0, 3 if depth < 2 else 0, 2, 2, 2 if forks else 0),
            )[0]
            inner: list[tuple[Any, ...]] = []
            if kind in ("run", "job"):
                inner = self._steps(forks=forks, depth=depth + 1)
            elif kind == "fork":
                inner = self._steps(depth=1)
            steps.append((kind, self._text(), chance.random() < 0.3, inner))
        return steps

    def surroundings(self) -> str:
        """What a forked child does to its surroundings first; empty: nothing."""
        if self.way != "direct":  # else it needs the environment, and files that it can't read
            return ""
        kinds = ("", "", "variables", "directory", "streams", "user")
        kind = self._others.choice(kinds)
        return "" if kind == "user" and os.geteuid() else kind

    def _text(self) -> str:
        chance = self._chance
        length = chance.choice((0, 1, 3, 8, 8, 60))
        return " ".join(chance.choice(_WORDS) for _ in range(length))


class Given(NamedTuple):
    """A record that a sink was given.

    Attributes:
        text: as it was formatted.
        event: that it stands for, if it is a marker.
        actor: the thread, task or child that logged it.
        number: that its line shows.
        name: the run's, if it has one.
    """

    text: str
    event: Event | None
    actor: str
    number: str
    name: str | None


class Seen(NamedTuple):
    """What was seen in one process.

    Attributes:
        before: what the sink had been given when the process was forked.
        given: what it was given after that.
        outcomes: what became of its pings.
        stats: the sink's, at the end.
        said: on standard error.
    """

    before: list[Given]
    given: list[Given]
    outcomes: list[tuple[Event, str, bool, int | None, str | None, int, bool]]
    stats: tuple[int, int, int, int]
    said: str


class _WitnessedSink(HealthSink):
    """A sink that keeps what it is given, in order."""

    def __init__(self, *args: Any, job: str, **options: Any) -> None:
        super().__init__(*args, job=job, **options)
        self.given: list[Given] = []
        self._events = {f"{job}.{word}": event for event, word in _WORD_OF.items()}

    def write(self, message: Any) -> None:
        record = message.record
        event = self._events.get(record["message"].split(" ")[0].rstrip(":"))
        extra = record["extra"]
        name = extra.get("run_id")
        self.given.append(Given(str(message), event, extra["actor"], extra["number"], name))
        super().write(message)


class Play:
    """Plays a scenario.

    Args:
        scenario: which one.
        receiver: the service, running.
        directory: where forked children leave what they saw.
    """

    def __init__(self, scenario: Scenario, receiver: PingReceiver, directory: Path) -> None:
        self._scenario = scenario
        self._receiver = receiver
        self._directory = directory
        self._outcomes: list[Outcome] = []
        self._numbers = itertools.count()
        self._failures: list[str] = []
        self._children: list[Seen] = []
        self._job = scenario.options["job"]
        self._state = directory / f"state-{scenario.seed}"
        state = self._state if scenario.state else None
        self._sink = _WitnessedSink(
            receiver.url, on_outcome=self._outcomes.append, state=state, **scenario.options
        )

    def __call__(self) -> list[Seen]:
        """Play it; what was seen in this process, and in each of its children."""
        scenario, receiver = self._scenario, self._receiver
        receiver.script(*scenario.faults)
        receive = receiver._service.receive
        receiver._service.receive = lambda head, body, fault: receive(  # type: ignore[method-assign]
            head, body, scenario.strict.fault(body) or fault
        )
        with contextlib.redirect_stderr(io.StringIO()) as said, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forks beside threads, 3.12 on
            self._add()
            threads = [
                threading.Thread(target=self._guarded, args=(self._thread, f"thread{n}", steps))
                for n, steps in enumerate(scenario.threads)
            ]
            if scenario.tasks:
                threads.append(threading.Thread(target=self._guarded, args=(self._loop,)))
            for thread in threads:
                thread.start()
            for action in scenario.meanwhile:
                getattr(self, f"_{action}")()
            for thread in threads:
                thread.join()
            assert not self._failures, self._failures[0]
            self._heal()
            logger.remove(self._handler)
            assert self._sink.wait(30)
            logger.remove()
            if scenario.state == "kept" and "replace" not in scenario.meanwhile:
                wait_until(lambda: not list(self._state.glob("loghc/loghc-*")))
        return [self._seen([], self._sink.given, said.getvalue()), *self._children]

    def _add(self) -> None:
        self._handler = logger.add(
            self._sink,
            format="{extra[actor]} #{extra[number]} {message}",
            enqueue=self._scenario.enqueue,
            backtrace=False,
            diagnose=False,
        )

    # What the main thread does meanwhile

    def _complete(self) -> None:
        async def complete() -> None:
            await logger.complete()

        asyncio.run(complete())

    def _wait(self) -> None:
        self._sink.wait(0.01)

    def _sleep(self) -> None:
        time.sleep(0.003)

    def _replace(self) -> None:
        logger.remove(self._handler)
        self._add()

    def _outage(self) -> None:
        self._receiver.stop()
        time.sleep(0.02)
        self._receiver.start()

    def _heal(self) -> None:
        """Log until all is well again, so that everything that was lost has been counted."""
        assert self._sink.wait(30)
        self._scenario.strict.over = True
        for attempt in range(100):
            before = len(self._outcomes)
            steps: list[tuple[Any, ...]] = [("run", "", True, []), ("run", "", False, [])]
            for _ in self._perform([*steps, ("note", "", False, [])], f"healer{attempt}"):
                pass
            logger.complete()
            assert self._sink.wait(30)
            consumed = len(self._receiver.requests) >= len(self._scenario.faults)
            if consumed and all(outcome.delivered for outcome in self._outcomes[before:]):
                return
        raise AssertionError("pings are still not delivered")

    def _lose(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)  # something may just be made there

    # What the others do

    def _guarded(self, work: Any, *args: Any) -> None:
        try:
            work(*args)
        except BaseException:  # noqa: BLE001 - the test has to see it
            self._failures.append(traceback.format_exc())

    def _thread(self, actor: str, steps: list[tuple[Any, ...]]) -> None:
        for _ in self._perform(steps, actor):
            pass

    def _loop(self) -> None:
        async def task(actor: str, steps: list[tuple[Any, ...]]) -> None:
            for _ in self._perform(steps, actor):
                await asyncio.sleep(0)

        async def all_tasks() -> None:
            tasks = enumerate(self._scenario.tasks)
            await asyncio.gather(*(task(f"task{n}", steps) for n, steps in tasks))

        asyncio.run(all_tasks())

    def _perform(self, steps: list[tuple[Any, ...]], actor: str) -> Iterator[None]:
        """Do some steps; between any two of them another task may have its turn."""
        for kind, text, fails, inner in steps:
            name = {"run_id": str(uuid.uuid4())} if self._scenario.named else {}
            if kind == "lines":
                self._log(actor, text)
                self._log(actor, text)
            elif kind == "note":
                self._log(actor, f"{self._job}.log {text}", **name)
            elif kind == "run":
                self._log(actor, f"{self._job}.start {text}", **name)
                yield from self._perform(inner, actor)
                end = "error" if fails else "done"
                self._log(actor, f"{self._job}.{end} {text}", **name)
            elif kind == "job":
                bound = {"actor": actor, "number": self._number()}
                with contextlib.suppress(BrokenPipeError), job(self._job, **bound):
                    yield from self._perform(inner, actor)
                    if fails:
                        raise BrokenPipeError("the pipe broke")
            elif kind == "fork":
                self._fork(inner, f"{actor}'s child{next(self._numbers)}")
            else:
                time.sleep(0.002)
            yield

    def _log(self, actor: str, message: str, **extra: str) -> None:
        logger.bind(actor=actor, number=self._number(), **extra).info("{}", message)

    def _number(self) -> str:
        return f"{os.getpid()}-{next(self._numbers)}"

    def _fork(self, steps: list[tuple[Any, ...]], actor: str) -> None:
        surroundings = self._scenario.surroundings()
        pid = os.fork()
        if pid == 0:
            self._be_child(steps, actor, surroundings)
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"a child ended with {status}"
        seen = pickle.loads((self._directory / str(pid)).read_bytes())
        assert isinstance(seen, Seen), seen
        self._children.append(seen)

    def _be_child(self, steps: list[tuple[Any, ...]], actor: str, surroundings: str) -> None:
        seen: object = None
        left = (self._directory / str(os.getpid())).open("wb")
        try:
            _CHANGES[surroundings]()
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)  # for a child that hangs
            sys.stderr = said = io.StringIO()
            self._outcomes.clear()
            before = list(self._sink.given)
            self._thread(actor, steps)
            logger.remove()
            assert self._sink.wait(30)
            seen = self._seen(before, self._sink.given[len(before) :], said.getvalue())
        except BaseException:  # noqa: BLE001 - its parent has to see it
            seen = traceback.format_exc()
        finally:
            left.write(pickle.dumps(seen))
            left.close()
            os._exit(0)

    def _seen(self, before: list[Given], given: list[Given], said: str) -> Seen:
        stats: Stats = self._sink.stats
        outcomes = [
            (
                *(each.event, each.run_id, each.delivered, each.status, each.error),
                *(each.attempts, each.superseded),
            )
            for each in self._outcomes
        ]
        counts = (stats.delivered, stats.failed, stats.pending, stats.superseded)
        return Seen(before, given, outcomes, counts, said)


def _lose_directory() -> None:
    directory = tempfile.mkdtemp()
    os.chdir(directory)
    Path(directory).rmdir()


def _close_streams() -> None:
    os.closerange(0, 3)
    sys.stdin = sys.stdout = None  # type: ignore[assignment]  # as in a program without a console


def _become_another_user() -> None:
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


_CHANGES: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "variables": os.environ.clear,
    "directory": _lose_directory,
    "streams": _close_streams,
    "user": _become_another_user,
}
