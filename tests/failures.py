"""Thirty kinds of failure, and the cause of each that a person is to read first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from waiting import wait_until, wait_until_gone

__all__ = ["FAILURES", "Failure"]

_SINK = """
import os, sys
from loguru import logger
from loghc import HealthSink, job
logger.remove()
logger.add(HealthSink(os.environ["HEALTH_CHECK_URL"]), format="{time} {level} {message}")
for number in range(40):
    logger.info("copied photos/photo-{:02}.jpg", number)
"""
_LOGURU = """
import os, signal, sys
from loguru import logger
for number in range(40):
    logger.info("copied photos/photo-{:02}.jpg", number)
"""
LOGHC = (sys.executable, "-m", "loghc", "run")
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Failure:
    """One kind.

    Attributes:
        name: what happens.
        cause: text that the headline has.
        source: of `program.py`.
        command: what `loghc run` is given; empty: the program has a sink, and runs by itself.
        options: for `loghc run`.
        to_file: standard output and standard error are appended to a file.
    """

    name: str
    cause: str
    source: str
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    to_file: bool = False

    def happen(self, url: str, folder: Path) -> None:
        """Let it happen.

        Args:
            url: of the check that is told.
            folder: an empty one.
        """
        (folder / "program.py").write_text(textwrap.dedent(self.source), encoding="utf-8")
        (folder / "not-executable").write_text("#!/bin/sh\n", encoding="utf-8")
        run = (
            [*LOGHC, *self.options, *self.command]
            if self.command
            else [sys.executable, "program.py"]
        )
        env = {**os.environ, "HEALTH_CHECK_URL": url, "XDG_STATE_HOME": str(folder / "state")}
        with (folder / "sync.log").open("ab") as file:
            to = file if self.to_file else subprocess.PIPE
            process = subprocess.Popen(
                run, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=to, stderr=to,
                start_new_session=True,
            )  # fmt: skip
            if "cut off" in self.cause:
                self._die_together(process, folder, run, env)
            else:
                process.communicate(timeout=_TIMEOUT_S)

    def _die_together(
        self, process: subprocess.Popen[bytes], folder: Path, run: list[str], env: dict[str, str]
    ) -> None:
        """Kill the watcher with its program, and start the next run."""
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        entries = folder / "state/loghc"
        wait_until(lambda: any("open=" in e.read_text() for e in entries.glob("*/run")))
        process.send_signal(signal.SIGSTOP)  # it sees nothing of what comes
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=_TIMEOUT_S)
        wait_until_gone(pid)  # else its run isn't over
        (folder / "program.py").write_text("", encoding="utf-8")
        subprocess.run(
            run, cwd=folder, env=env, capture_output=True, timeout=_TIMEOUT_S, check=True
        )


def _in_code(name: str, cause: str, source: str) -> Failure:
    return Failure(name, cause, _SINK + textwrap.dedent(source))


def _run(name: str, cause: str, source: str, *, options: tuple[str, ...] = (),
         command: tuple[str, ...] = ("program.py",), to_file: bool = False) -> Failure:  # fmt: skip
    return Failure(name, cause, textwrap.dedent(source), command, options, to_file)


FAILURES = (
    # In the code
    _in_code("a marker with its cause", "disk full", """
        logger.info("sync.start")
        logger.error("sync.error: disk full")
    """),
    _in_code("a marker with an exception", "FileNotFoundError: [Errno 2]", """
        try:
            open("photos/photo-08.jpg")
        except OSError:
            logger.exception("sync.error")
    """),
    _in_code("a bare marker after an ERROR record", "no route to the backup host", """
        logger.info("sync.start")
        logger.error("no route to the backup host")
        logger.info("cleaning up")
        logger.error("sync.error")
    """),
    _in_code("an exception in job", "OSError: disk full", """
        with job("sync"):
            raise OSError("disk full")
    """),
    _in_code("a group of exceptions", "ValueError: bad size (and 2 more)", """
        class ExceptionGroup(Exception):
            def __init__(self, message, exceptions):
                super().__init__(message)
                self.exceptions = tuple(exceptions)
        with job("sync"):
            raise ExceptionGroup("three", [ValueError("bad size"), KeyError("x"), OSError("y")])
    """),
    _in_code("a message of several lines", "ValueError: 2 validation errors: field required", """
        with job("sync"):
            raise ValueError("2 validation errors:\\n\\tfield required\\r\\n  bad \\x1b[31mtype\\0")
    """),
    _in_code("an assertion without a text", "AssertionError (program.py, line", """
        with job("sync"):
            assert 1 == 2
    """),
    _in_code("a recursion in job", "RecursionError: maximum recursion depth exceeded", """
        def again(): again()
        with job("sync"):
            again()
    """),
    _in_code("an uncaught exception", "KeyError: 'photos'", """
        logger.info("sync.start")
        {}["photos"]
    """),
    _in_code("an exit in the midst of a run", "the program ended before this run did", """
        logger.info("sync.start")
        sys.exit(3)
    """),
    _in_code("Ctrl-C in the midst of a run", "KeyboardInterrupt", """
        logger.info("sync.start")
        raise KeyboardInterrupt
    """),
    # Under loghc run
    _run("an exception", "ZeroDivisionError: division by zero", _LOGURU + "1 / 0"),
    _run("a failed import", "ModuleNotFoundError: No module named 'yamll'", "import yamll"),
    _run("a SyntaxError", "SyntaxError: ", "copy(\n"),
    _run("an exception without loguru", "ConnectionRefusedError: [Errno 111]", """
        import socket
        socket.create_connection(("127.0.0.1", 1))
    """),
    _run("an exception in a forked child", "OSError: disk full", """
        import os, sys
        if os.fork() == 0:
            raise OSError("disk full")
        sys.exit(os.WEXITSTATUS(os.wait()[1]))
    """),
    _run("Python in a shell script", "OSError: disk full", "raise OSError('disk full')",
         command=("sh", "-c", f"set -e; '{sys.executable}' program.py; echo done")),
    _run("a script that was moved", "moved.py can't be started", "", command=("moved.py",)),
    _run("a command that isn't there", "no-such-tool can't be started", "",
         command=("no-such-tool",)),
    _run("a file that isn't executable", "Permission denied", "", command=("./not-executable",)),
    _run("an exit status after an ERROR record", "exit status 3: disk full", _LOGURU + """
logger.error("disk full")
logger.info("cleaning up")
sys.exit(3)
"""),
    _run("sys.exit with a text, standard error being a file", "exit status 1: no disk left", """
        import sys
        sys.exit("no disk left")
    """, to_file=True),
    _run("a tool that prints why, to a file", "exit status 2: rsync: connection refused", "",
         command=("sh", "-c", "echo copying; echo 'rsync: connection refused' >&2; exit 2"),
         to_file=True),
    _run("a tool that prints why, with --output", "exit status 2: rsync: connection refused", "",
         command=("sh", "-c", "echo 'rsync: connection refused' >&2; exit 2"),
         options=("--output",)),
    _run("an exception in a thread that ends the process", "OSError: disk full", """
        import os, threading, time, traceback
        def copy():
            try:
                raise OSError("disk full")
            except OSError:
                traceback.print_exc()
                os._exit(1)
        threading.Thread(target=copy).start()
        time.sleep(60)
    """, to_file=True),
    _run("SIGKILL", "killed by SIGKILL", _LOGURU + "os.kill(os.getpid(), signal.SIGKILL)"),
    _run("SIGTERM", "ended by SIGTERM", _LOGURU + "os.kill(os.getpid(), signal.SIGTERM)"),
    _run("a crash in native code", "killed by SIGSEGV: a crash in native code", _LOGURU + """
import ctypes, resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
ctypes.string_at(0)
"""),
    _run("os._exit", "exit status 4", _LOGURU + "os._exit(4)"),
    _run("too little memory under a limit", "MemoryError", _LOGURU + """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
bytearray(2**30)
"""),
    _run("a failure marker, then exit status 0", "disk full", _LOGURU + """
logger.error("sync.error: disk full")
logger.info("cleaning up")
"""),
    _run("a record of level ERROR with --fail-on", "disk full", _LOGURU + """
logger.error("disk full")
logger.info("cleaning up")
""", options=("--fail-on", "ERROR")),
    _run("a crash within a run of --markers-only", "KeyError: 'photos'", _LOGURU + """
logger.info("sync.start")
{}["photos"]
""", options=("--markers-only",)),
    _run("the container or the machine dies", "cut off: loghc", _LOGURU + """
import os, time
print(os.getpid(), flush=True)
time.sleep(60)
"""),
)  # fmt: skip
