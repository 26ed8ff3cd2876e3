"""`loghc run` against the plainest model, with random trees of processes that die in random ways.

CONTRIBUTING.md says how to try more of them than the gate does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import seeds
from loghc.ping import Event
from loghc.testing import Fault, PingReceiver, ReceivedPing
from processes import RUN, TIMEOUT, needs_posix, run, started

pytestmark = needs_posix

CHUNK = 10

# Is given its node as JSON. Its children have all ended when it ends.
PROGRAM = """
import ctypes  # here: who becomes another user can't read it any more
import json, os, resource, shutil, signal, subprocess, sys, time
from loguru import logger

def be(node):
    logger.info("first of " + node["name"])
    if node["unseen"]:
        time.sleep(0.5)  # there is time to notice it
    BEFORE[node["before"]]()
    for child in node["children"]:
        STARTS[child["how"]](child)
    if node["fails"]:
        logger.error("sync.error: " + node["name"])
    logger.info("last of " + node["name"])
    how, what = node["end"]
    ENDS[how](what)

def forked(child):
    pid = os.fork()
    if pid == 0:
        be(child)
        sys.exit(0)
    os.waitpid(pid, 0)

def spawned(child):
    subprocess.run([sys.executable, __file__, json.dumps(child)])

def as_another_user(child):
    # This Python may lie where that user can't go. The system's has no loguru.
    words = ["/usr/bin/python3", "-c", "import time; time.sleep(0.5)"]
    subprocess.run(words, user=65534, group=65534, extra_groups=[], cwd="/")

def without_variables(child):
    subprocess.run([sys.executable, __file__, json.dumps(child)], env={})

def with_another_path(child):
    variables = {**os.environ, "PYTHONPATH": "/opt/app"}
    subprocess.run([sys.executable, __file__, json.dumps(child)], env=variables)

def become_another_user():
    os.setgid(65534)
    os.setuid(65534)

def lose_directory():
    shutil.rmtree(os.environ["LOGHC_RUN"])
    while not os.path.exists(os.environ["LOGHC_RUN"] + "/config"):
        time.sleep(0.05)

def fill_channel():
    channel = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(channel, bytes(4096))
    except BlockingIOError:
        os.close(channel)

def executed(child):
    pid = os.fork()
    if pid == 0:
        become(child)
    os.waitpid(pid, 0)

def daemonized(child):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        os.setsid()
        if os.fork() == 0:
            be(child)
            sys.exit(0)
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    os.read(reading, 1)  # until the daemon has ended
    os.close(reading)

def by_multiprocessing(child):
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=be, args=(child,))
    process.start()
    process.join()

def become(node):
    os.execv(sys.executable, [sys.executable, __file__, json.dumps(node)])

def crash(_):
    ctypes.string_at(0)

def fail(what):
    raise OSError(what)

def be_killed(number):
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)
    time.sleep(60)

def wait(handled):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, status in handled.items():
        signal.signal(int(number), lambda *_: sys.exit(status))
    print("ready", os.getpid(), flush=True)
    while True:
        time.sleep(0.05)

STARTS = {"fork": forked, "spawn": spawned, "exec": executed, "daemon": daemonized,
          "multiprocessing": by_multiprocessing, "user": as_another_user,
          "variables": without_variables, "path": with_another_path}
BEFORE = {"": lambda: None, "setuid": become_another_user, "lose": lose_directory,
          "fill": fill_channel}
ENDS = {"exit": sys.exit, "os._exit": os._exit, "crash": crash, "abort": lambda _: os.abort(),
        "exception": fail, "kill": be_killed, "exec": become, "wait": wait,
        "return": lambda _: None}
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    be(json.loads(sys.argv[1]))
"""

# How a process may end, and the return code that subprocess has for that.
ENDS = (
    ("return", None, 0),
    ("exit", 0, 0),
    ("exit", 3, 3),
    ("exit", 255, 255),
    ("os._exit", 0, 0),
    ("os._exit", 7, 7),
    ("exception", "disk full", 1),
    ("crash", None, -signal.SIGSEGV),
    ("abort", None, -signal.SIGABRT),
    ("kill", signal.SIGKILL, -signal.SIGKILL),
    ("kill", signal.SIGTERM, -signal.SIGTERM),
    ("kill", signal.SIGALRM, -signal.SIGALRM),
)


UNSEEN = ("user", "variables", "path")
# How the watcher itself is started: as from a bare shell, and in a directory that is gone.
BEGINS = {
    "bare": ("env", "-i", f"PATH={os.environ['PATH']}"),
    "nowhere": ("sh", "-c", 'there=$(mktemp -d); cd "$there"; rmdir "$there"; exec "$@"', "sh"),
}
SERVICES = ("slow", "limit", "size", "content")
OTHER_USER = ("user", "setuid") if Path("/usr/bin/python3").exists() else ("setuid",)
AS_ROOT = OTHER_USER if os.geteuid() == 0 else ()


class Scenario:
    """A tree of processes, as its seed says.

    Attributes:
        root: the node of the program itself.
        code: what it has to end with, as subprocess has it.
        signal: to be sent when it waits for one; None: it ends by itself.
        to_watcher: the signal goes to the watcher, and not to the program.
        shell: a shell starts it.
        surroundings: what is out of the ordinary; empty: nothing.
        service: what the service is like: slow, or limits, or dislikes bodies; empty: well.
    """

    def __init__(self, seed: int) -> None:
        self._chance = chance = random.Random(seed)
        self._names = (f"node{number}" for number in range(100))
        self.signal: int | None = None
        self.code = 0
        self.to_watcher = chance.random() < 0.7
        self.shell = False
        self.root = self._node(0)
        if chance.random() < 0.4:
            self._wait_for_signal()
        else:
            self.shell = chance.random() < 0.2
        if self.shell and self.code < 0:
            self.code = 128 - self.code
        self.surroundings = ""
        others = random.Random(f"{seed}, surroundings")
        if others.random() < 0.5:
            self._surround(others)
        self.service = others.choice(("", *SERVICES))

    def _surround(self, chance: random.Random) -> None:
        kind = chance.choice(("variables", "path", "lose", "fill", *BEGINS, *AS_ROOT))
        self.surroundings = kind
        if kind in BEGINS:
            return
        children = [child for node in self.nodes() for child in node["children"]]
        leaves = [n for n in self.nodes() if not n["children"] and n["end"][0] != "exec"]
        if kind in ("user", "variables", "path"):
            # What a daemon starts is not below the program: its environment alone tells.
            daemons = any(node["how"] == "daemon" for node in self.nodes())
            if not children or (daemons and kind == "variables"):
                self.surroundings = ""
                return
            node = chance.choice(children)
            node["how"] = kind
            for each in self.nodes(node):
                each["unseen"] = True
        else:
            chance.choice(leaves if kind == "setuid" else list(self.nodes()))["before"] = kind

    def _node(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        name = next(self._names)
        count = chance.choice((0, 1, 2, 2) if depth == 0 else (0, 0, 1)) if depth < 3 else 0
        children = [self._node(depth + 1) for _ in range(count)]
        how, what, code = chance.choice(ENDS)
        if depth < 2 and chance.random() < 0.1:
            how, what, code = "exec", self._node(depth + 1), self.code
        self.code = code  # the root's in the end, as its is drawn last
        return {
            "name": name,
            "how": chance.choice(("fork", "fork", "spawn", "exec", "daemon", "multiprocessing")),
            "children": children,
            "fails": chance.random() < 0.1,
            "before": "",
            "unseen": False,
            "end": (how, what),
        }

    def _wait_for_signal(self) -> None:
        chance = self._chance
        self.signal = chance.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        handled = {self.signal: chance.choice((0, 4))} if chance.random() < 0.5 else {}
        self.code = handled.get(self.signal, -self.signal)
        self.root["end"] = ("wait", handled)

    def nodes(self, node: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """All of a tree, each after those that end before it."""
        node = node or self.root
        for child in node["children"]:
            yield from self.nodes(child)
        yield node
        if node["end"][0] == "exec":
            yield from self.nodes(node["end"][1])


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that other users can read."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


@pytest.mark.slow
@pytest.mark.parametrize("chunk", seeds.chunks(40, CHUNK), ids=seeds.name)
def test_each_tree_has_one_start_and_one_end_that_says_how_it_ended(
    chunk: range, receiver: PingReceiver, tmp_path: Path, readable: Path
) -> None:
    name = str(readable / "program.py")
    Path(name).write_text(PROGRAM)
    for seed in chunk:
        scenario = Scenario(seed)
        receiver.clear()
        receive = receiver._service.receive
        fault = Service(scenario.service).fault
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(
                receiver._service,
                "receive",
                lambda head, body, _, receive=receive, fault=fault: receive(
                    head, body, fault(body)
                ),
            )
            try:
                code, said = play(scenario, receiver.url, name, tmp_path)
                holds(scenario, code, receiver.pings)
            except Exception as error:
                raise AssertionError(f"{seeds.VARIABLE}={seed}: {error}") from error
        quiet = scenario.surroundings in ("", "setuid", "fill", *BEGINS) and not scenario.service
        assert not quiet or "loghc: " not in said, f"{seeds.VARIABLE}={seed}: {said}"


class Service:
    """A service that is up, and slow or strict.

    Args:
        kind: one of ``SERVICES``, or empty.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._taken = 0.0  # when it last took a ping

    def fault(self, body: bytes) -> Fault:
        """What goes wrong with a request."""
        now = time.monotonic()
        if self._kind == "slow":
            time.sleep(0.1)
        elif self._kind == "limit":
            if now - self._taken < 0.3:
                return Fault(429, headers={"Retry-After": "0"})
            self._taken = now
        elif (self._kind == "size" and len(body) > 400) or (
            self._kind == "content" and b"first of" in body
        ):
            return Fault(413 if self._kind == "size" else 500)
        return Fault()


def play(scenario: Scenario, url: str, name: str, directory: Path) -> tuple[int, str]:
    """Run a program, and signal it if it waits for that; what it ended with, and what it said."""
    begin = BEGINS.get(scenario.surroundings, ())
    begin += (f"HEALTH_CHECK_URL={url}",) if scenario.surroundings == "bare" else ()
    watched = (*begin, *RUN, "--drain", "50")
    program = [sys.executable, name, json.dumps(scenario.root)]
    shell = ["sh", "-c", '"$@"; exit $?', "sh"] if scenario.shell else []
    if scenario.signal is None:
        done = run(*watched, *shell, *program, cwd=directory)
        return done.returncode, done.stderr
    process = started(*watched, *program, cwd=directory)
    assert process.stdout is not None
    pid = int(process.stdout.readline().removeprefix("ready "))
    os.kill(process.pid if scenario.to_watcher else pid, scenario.signal)
    said = process.communicate(timeout=TIMEOUT)[1]
    return process.returncode, said


def holds(scenario: Scenario, code: int, pings: tuple[ReceivedPing, ...]) -> None:
    """What has to be so after a tree has ended."""
    nodes = [node for node in scenario.nodes() if not node["unseen"]]
    assert code == scenario.code
    strict = scenario.service in ("size", "content")
    if strict:  # the log of a failure is offered once more
        pings = tuple(ping for ping in pings if ping.event is not Event.LOG)
    start, *told, end = pings
    assert start.event is Event.START
    assert len({ping.run_id for ping in pings}) == 1
    # What was not seen is unknown, and said; the exit status stands. A ring that went with its
    # directory before it was noticed may have had a failure.
    shortened = strict and "loghc: this ping has " in end.text
    assert (scenario.surroundings in UNSEEN) == ("was not seen" in end.text) or shortened
    if scenario.surroundings == "lose" and "may have been logged unseen" in end.text:
        assert end.event is Event.FAIL
        return

    failures = [node["name"] for node in nodes if node["fails"]]
    assert [ping.event for ping in told] == [Event.FAIL] * len(failures)
    for ping, failed in zip(told, failures, strict=True):
        assert ping.exit_status is None
        text = ping.text.partition("loghc: this ping has ")[0] if strict else ping.text
        assert text.endswith(f" - sync.error: {failed}\n")

    assert end.event is (Event.FAIL if code or failures else Event.SUCCESS)
    assert end.exit_status == ((code if code > 0 else 128 - code) if code else None)
    if shortened:
        return
    places = [end.text.index(f" - last of {node['name']}\n") for node in nodes]
    assert places == sorted(places)
    assert all(f" - first of {node['name']}\n" in end.text for node in nodes)
    if nodes[-1]["end"][0] == "exception":
        log = end.text.removesuffix("loghc: the run failed, because a failure was logged\n")
        log, _, _ = log.partition("loghc: the log of ")
        assert log.endswith("OSError: disk full\n")
