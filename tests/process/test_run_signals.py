"""`loghc run` and signals: from other processes, from a terminal, and as the first process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault
from processes import RUN, TIMEOUT, events, first_process, needs_posix, run, started
from waiting import wait_until

pytestmark = needs_posix

# Prints each signal that it gets, and ends at the second SIGTERM. Not by print: a signal can come
# in the middle of another one, which its stream doesn't allow.
RECORDER = """
    import os, signal, time
    from loguru import logger
    terms = []
    def note(number, frame):
        os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
        if number == signal.SIGTERM:
            terms.append(number)
        if len(terms) == 2:
            raise SystemExit(4)
    for name in ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT"):
        signal.signal(getattr(signal, f"SIG{name}"), note)
    print("ready", os.getpid(), flush=True)
    while True:  # not for ever in one call: a signal just before it would wait for its end
        time.sleep(0.05)
"""

# Waits for a signal, and does nothing about it.
SLEEPER = """
    import os, signal, time
    from loguru import logger
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logger.info("asleep")
    print("ready", os.getpid(), flush=True)
    while True:
        time.sleep(0.05)
"""


def is_pending(pid, number):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search("ShdPnd:\t(.*)", status).group(1), 16) >> (number - 1) & 1


def ended(process):
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err


def test_signals_are_forwarded_each_as_often_as_it_came(receiver, program, tmp_path):
    process = started(*RUN, program(RECORDER), cwd=tmp_path)
    process.stdout.readline()
    for name in ("HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT", "TERM", "TERM"):
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.readline() == f"got SIG{name}\n"
    assert ended(process)[:2] == (4, "")
    assert events(receiver)[1:] == [(Event.FAIL, 4)]


def test_a_burst_of_markers_delays_no_signal(receiver, program, tmp_path):
    name = program(
        """
        import os, signal, sys
        from loguru import logger
        logger.remove()
        logger.add(lambda message: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.write(1, b"got SIGTERM\\n") and 0))
        for _ in range(20):  # so that it takes the watcher some time to read it
            logger.info("x" * 250_000)
        os.kill(os.getppid(), signal.SIGSTOP)
        for number in range(100):
            logger.info(f"sync.log {number}")
        os.kill(os.getppid(), signal.SIGCONT)
        while True:
            signal.pause()
        """
    )
    process = started(*RUN, "--limit", "5000000", "--no-logs", name, cwd=tmp_path)
    receiver.wait(2)
    process.terminate()
    assert process.stdout.readline() == "got SIGTERM\n"
    assert len(receiver.pings) < 98
    assert ended(process)[0] == 0
    assert len(receiver.pings) == 102


@pytest.mark.parametrize(
    "name", ["TERM", "HUP", "QUIT", "USR1", "ALRM", "ABRT", "PROF", "XCPU", "IO", "RTMIN"]
)
def test_a_signal_that_kills_the_program_kills_the_watcher(receiver, program, tmp_path, name):
    number = getattr(signal, f"SIG{name}")
    process = started(*RUN, program(SLEEPER), cwd=tmp_path)
    process.stdout.readline()
    process.send_signal(number)
    assert ended(process)[0] == -number
    assert events(receiver)[1:] == [(Event.FAIL, 128 + number)]
    assert receiver.pings[1].text.startswith(f"ended by SIG{name} (after ")
    assert receiver.pings[1].text.endswith("asleep\n")


def test_there_is_one_core_file_at_most(receiver, program, tmp_path):
    with contextlib.suppress(OSError):
        if Path("/proc/sys/kernel/core_pattern").read_text().strip() not in ("core", "core.%p"):
            pytest.skip("core files go elsewhere here")
    name = program("import os\nos.abort()")
    done = run("sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *RUN, name, cwd=tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert len(list(tmp_path.glob("core*"))) == 1


def test_the_watcher_dies_as_the_program_did_where_no_core_file_may_be_left(receiver, tmp_path):
    limited = ("sh", "-c", 'ulimit -c 0; exec "$@"', "sh")  # the hard limit, too
    done = run(*limited, *RUN, "sh", "-c", "kill -QUIT $$", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGQUIT, "")
    assert events(receiver)[1:] == [(Event.FAIL, 128 + signal.SIGQUIT)]


def test_a_program_that_leaves_the_watchers_session_is_waited_for(receiver, program, tmp_path):
    name = program("import os, sys\nos.setsid()\nsys.exit(3)")
    assert run(*RUN, name, cwd=tmp_path).returncode == 3
    assert events(receiver)[1:] == [(Event.FAIL, 3)]


def test_ctrl_c_is_a_keyboard_interrupt(receiver, program, tmp_path):
    process = started(*RUN, program(SLEEPER), cwd=tmp_path)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    status, _, err = ended(process)
    assert status == -signal.SIGINT
    assert err.endswith("KeyboardInterrupt\n")
    assert events(receiver)[1:] == [(Event.FAIL, 130)]
    assert "KeyboardInterrupt\n" in receiver.pings[1].text


def test_a_signal_that_was_ignored_is_forwarded_and_still_ignored(receiver, program, tmp_path):
    name = program(
        """
        import os, signal, sys
        def say(number, frame):
            os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.signal(signal.SIGUSR1, say)
        print("ready", flush=True)
        sys.stdin.readline()
        signal.signal(signal.SIGHUP, say)
        print("handled", flush=True)
        sys.stdin.readline()
        """
    )
    command = ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *RUN, name)
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)  # is forwarded after the other
    assert process.stdout.readline() == b"got SIGUSR1\n"
    process.stdin.write(b"\n")
    assert process.stdout.readline() == b"handled\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == b"got SIGHUP\n"
    process.communicate(b"\n", timeout=TIMEOUT)
    assert process.returncode == 0


def test_a_program_that_signals_its_own_group_gets_the_signal_once(receiver, program, tmp_path):
    name = program(
        """
        import os, signal, time
        count = []
        signal.signal(signal.SIGTERM, lambda *_: count.append(1))
        signal.signal(signal.SIGUSR1, lambda *_: count.append(2))
        os.kill(0, signal.SIGTERM)
        os.kill(os.getppid(), signal.SIGUSR1)  # whoever that is: not the program
        # Another process's signal to the watcher comes back after those.
        signal.signal(signal.SIGUSR2, lambda *_: count.append(0))
        print("ready", flush=True)
        while 0 not in count:
            time.sleep(0.01)
        print(count)
        """
    )
    process = subprocess.Popen(
        [*RUN, name],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR2)
    assert process.communicate(timeout=TIMEOUT)[0] == "[1, 0]\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_a_service(receiver, tmp_path, number):
    receiver.always(Fault(delay=float("inf")))
    command = (*RUN, "--drain", "50", "sh", "-c", "echo done; exit 5")
    process = started(*command, cwd=tmp_path, env={"LOGHC_DEBUG": "1"})
    assert process.stdout.readline() == "done\n"
    assert any("waiting at most" in line for line in process.stderr)
    process.send_signal(number)
    status, _, err = ended(process)
    assert status == 5
    assert "2 pings (start, fail)" in err
    assert "given up" in err


def test_a_program_that_is_stopped_and_continued_alone_does_not_stop_its_watcher(
    receiver, program, tmp_path
):
    process = started(*RUN, program(RECORDER), cwd=tmp_path)
    pid = int(process.stdout.readline().split()[1])
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state_of(pid) == "T")
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # when it forwards these it has seen the stop
        process.send_signal(number)
        wait_for(lambda number=number: is_pending(pid, number))
    os.kill(pid, signal.SIGCONT)
    got = sorted(process.stdout.readline() for _ in range(3))
    assert got == ["got SIGCONT\n", "got SIGUSR1\n", "got SIGUSR2\n"]
    process.terminate()
    assert process.stdout.readline() == "got SIGTERM\n"
    process.terminate()
    assert ended(process)[0] == 4


# A terminal


class Terminal:
    """A pseudo-terminal, and a process in it that leads its session."""

    def __init__(self, command, cwd):
        self._own, theirs = os.openpty()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self.shown = ""

    def read_until(self, text, after=0):
        deadline = time.monotonic() + TIMEOUT
        while text not in self.shown[after:]:
            ready, _, _ = select.select([self._own], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} is not in {self.shown!r}"
            try:
                self.shown += os.read(self._own, 4096).decode()
            except OSError:  # nobody has it open any more
                raise AssertionError(f"{text!r} is not in {self.shown!r}") from None
        return self.shown

    def type(self, keys):
        os.write(self._own, keys)

    def resize(self, rows, columns):
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._own)
        os.close(nowhere)

    def end(self):
        """Read all that comes; the exit status."""
        with contextlib.suppress(OSError):  # the terminal's end
            while data := os.read(self._own, 4096):
                self.shown += data.decode()
        return self.process.wait(TIMEOUT)

    def close(self):
        os.close(self._own)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def open_terminal(*command):
        opened.append(Terminal(command, tmp_path))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


HUNG_UP = """
import os, signal
def note(*_):
    with open("hung up", "a") as file:
        file.write("x")
signal.signal(signal.SIGHUP, note)
signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
os.write(1, f"watcher {os.getppid()}.".encode())  # at once: else it may still be writing
while True:
    signal.pause()
"""


@pytest.mark.parametrize("leader", ["watcher", "shell"])
def test_when_its_terminal_is_gone_the_program_hears_of_it_once(
    receiver, program, terminal, tmp_path, leader
):
    command = (*RUN, program(HUNG_UP))
    shell = () if leader == "watcher" else ("sh", "-c", '"$@"; true', "sh")
    screen = terminal(*shell, *command)
    watcher = int(re.search(r"watcher (\d+)\.", screen.read_until(".")).group(1))
    assert (watcher == screen.process.pid) == (leader == "watcher")
    if leader == "watcher":
        screen.hang_up()  # the leader of the session alone hears of it
    else:
        screen.process.kill()  # all in the terminal's foreground do
    wait_until((tmp_path / "hung up").exists)
    os.kill(watcher, signal.SIGTERM)
    receiver.wait(2, timeout=TIMEOUT)
    assert (tmp_path / "hung up").read_text() == "x"
    assert events(receiver)[1:] == [(Event.FAIL, 3)]


def test_what_a_terminal_sends_reaches_the_program_once(receiver, program, terminal):
    screen = terminal(*RUN, program(RECORDER))
    screen.read_until("ready")
    for keys, name in ((b"\x03", "SIGINT"), (b"\x1c", "SIGQUIT"), (b"\x03", "SIGINT")):
        screen.type(keys)
        screen.read_until(f"got {name}", after=len(screen.shown))
    screen.resize(40, 100)
    screen.read_until("got SIGWINCH")
    for _ in range(2):
        seen = len(screen.shown)
        screen.process.terminate()
        screen.read_until("got SIGTERM", after=seen)
    assert screen.end() == 4
    counts = [screen.shown.count(f"got {name}") for name in ("SIGINT", "SIGQUIT", "SIGWINCH")]
    assert counts == [2, 1, 1]


def test_ctrl_c_at_a_terminal_ends_program_and_watcher(receiver, program, terminal):
    screen = terminal(*RUN, program(SLEEPER))
    screen.read_until("ready")
    screen.type(b"\x03")
    assert screen.end() == -signal.SIGINT
    assert screen.shown.count("KeyboardInterrupt") == 1
    assert events(receiver)[1:] == [(Event.FAIL, 130)]


def test_a_stream_that_is_a_terminal_stays_one(receiver, program, terminal, tmp_path):
    name = program("import sys\nprint([s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)])")
    screen = terminal(*RUN, "--output", name)
    assert screen.end() == 0
    assert "[True, True, True]" in screen.shown
    assert screen.shown.count("loghc: ") == 1
    assert "are terminals and stay so" in screen.shown


def test_ctrl_z_stops_both_and_fg_continues_both(receiver, program, terminal):
    name = program(RECORDER)
    watched = " ".join(RUN)
    shell = f"set -m; {watched} {name}; echo shell sees $?; fg; echo then $?"
    screen = terminal("bash", "-c", shell)
    pid = int(screen.read_until("\n").partition("ready ")[2].split()[0])
    screen.type(b"\x1a")
    screen.read_until(f"shell sees {128 + signal.SIGTSTP}")
    screen.read_until("got SIGCONT")
    wait_for(lambda: state_of(pid) in "SR")
    watcher = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    for _ in range(2):
        seen = len(screen.shown)
        os.kill(watcher, signal.SIGTERM)
        screen.read_until("got SIGTERM", after=seen)
    screen.read_until("then 4")
    assert screen.end() == 0


# The first process of a container


def test_as_process_1_it_reaps_orphans(receiver, program, tmp_path):
    name = program(
        """
        import os, pathlib, subprocess, time
        for _ in range(20):
            subprocess.run(["sh", "-c", "sleep 0.01 & exit 0"])
        def left():
            stats = []
            for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
                try:
                    stats.append(path.read_text())
                except OSError:
                    pass  # it has ended meanwhile
            return [stat for stat in stats if "(sleep)" in stat]
        deadline = time.monotonic() + 30
        while left() and time.monotonic() < deadline:
            time.sleep(0.05)
        print(os.getppid(), left())
        """
    )
    done = run(*first_process(tmp_path), *RUN, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "1 []\n"), done.stderr
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [
        ("kill $$", 143, 143),
        ("kill -9 $$", 137, 137),
        ("exit 7", 7, 7),
    ],
)
def test_as_process_1_it_ends_with_the_status_of_a_shell(receiver, tmp_path, script, status, told):
    done = run(*first_process(tmp_path), *RUN, "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == status
    assert events(receiver) == [(Event.START, None), (Event.FAIL, told)]


def test_as_process_1_it_forwards_signals(receiver, program, tmp_path):
    process = started(*first_process(tmp_path), *RUN, program(SLEEPER), cwd=tmp_path)
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert ended(process)[0] == 143
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 143)]


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
