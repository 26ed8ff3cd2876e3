"""The cause of a failure is what is read first, whatever the failure is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from failures import FAILURES, LOGHC, Failure
from loghc import Event
from loghc.testing import PingReceiver
from processes import needs_posix

pytestmark = needs_posix

EVENT_LIST_BYTES = 150  # what Healthchecks' list of events shows of a body
SLACK_CHARACTERS = 1_000


def test_there_are_thirty_kinds_at_least() -> None:
    assert len({failure.name for failure in FAILURES}) == len(FAILURES) >= 30


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_the_cause_is_within_the_first_150_bytes(
    failure: Failure, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    failure.happen(ping_receiver.url, tmp_path)
    failed = [ping for ping in ping_receiver.pings if ping.event is Event.FAIL]
    for ping in failed:
        assert failure.cause in ping.body[:EVENT_LIST_BYTES].decode("utf-8", "ignore")
        headline, empty, *_ = [*ping.text.split("\n"), ""]
        assert (empty, len(headline) <= 300) == ("", True)
        assert headline.isprintable()
        assert b"\0" not in ping.body
        assert "```" not in ping.text[:SLACK_CHARACTERS]  # Slack would be shown nothing
    assert failed


DEEP = """
import sys
sys.setrecursionlimit(3000)
def first(depth):
    if depth:
        second(depth - 1)
    raise OSError("disk full")
def second(depth):
    first(depth)
"""


def end_of(
    receiver: PingReceiver, folder: Path, source: str, *options: str, python: str = ""
) -> str:
    """The body of the last ping of a program under `loghc run`."""
    (folder / "program.py").write_text(textwrap.dedent(source), encoding="utf-8")
    command = [*LOGHC, *options, *([python] if python else []), "program.py"]
    env = {**os.environ, "HEALTH_CHECK_URL": receiver.url}
    subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60, check=False)
    return receiver.pings[-1].text


@pytest.mark.parametrize(
    "how", ["first(1000)", "try: first(1000)\nexcept OSError: logger.exception('no')"]
)
def test_a_deep_recursion_leaves_the_log(
    ping_receiver: PingReceiver, tmp_path: Path, how: str
) -> None:
    lines = (
        'from loguru import logger\nfor number in range(200): logger.info("copied {}", number)\n'
    )
    body = end_of(ping_receiver, tmp_path, f"{DEEP}\n{lines}{how}\nsys.exit(3)")
    assert all(f" - copied {number}\n" in body for number in range(200))
    assert "in first\n" in body
    assert "OSError: disk full\n" in body
    assert 20_000 < len(body.encode()) < 65_000


def test_the_tracebacks_of_children_leave_their_parents_log(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    source = f"""{DEEP}
import os
from loguru import logger
for number in range(500): logger.info("copied {{}}", number)
for _ in range(4):
    if os.fork() == 0:
        first(1000)
    os.wait()
first(1000)
"""
    body = end_of(ping_receiver, tmp_path, source)
    assert all(f" - copied {number}\n" in body for number in range(500))
    assert len(body.encode()) <= 100_000
    assert body.count("Traceback (most recent call last):") >= 2


def test_a_python_that_failed_unheeded_is_no_cause(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    command = [*LOGHC, "sh", "-c", f"'{sys.executable}' -c 'import yamll' || true; exit 3"]
    env = {**os.environ, "HEALTH_CHECK_URL": ping_receiver.url}
    subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False)
    assert ping_receiver.pings[-1].text.startswith("exit status 3 (after ")


def test_a_program_sees_nothing_of_what_looks_for_its_exception(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    shows = """
    import sys
    print(sorted(sys.modules), sys.excepthook, getattr(sys, "last_exc", None))
    print(sys.path, sys.argv, sys.flags)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(shows), encoding="utf-8")
    env = {**os.environ, "HEALTH_CHECK_URL": ping_receiver.url}
    plain, watched = (
        subprocess.run(
            [*before, "program.py"], cwd=tmp_path, env=env, capture_output=True, check=True
        )
        for before in ([sys.executable], LOGHC)
    )
    at = re.compile(rb" at 0x[0-9a-f]+")
    assert at.sub(b"", watched.stdout) == at.sub(b"", plain.stdout) != b""


def test_what_is_recorded_and_printed_is_in_the_log_once(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    source = """
    import sys
    from loguru import logger
    logger.add(sys.stdout, format="<red>{level}</red> {message}", colorize=True)
    logger.info("copied a photo")
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("no photo")
    print("printed alone")
    """
    body = end_of(ping_receiver, tmp_path, source, "--output")
    assert [body.count(text) for text in ("copied a photo", "no photo", "printed alone")] == [
        1,
        1,
        1,
    ]
    assert body.count("Traceback (most recent call last):") == 1


def test_a_progress_bar_is_one_line(ping_receiver: PingReceiver, tmp_path: Path) -> None:
    source = """
    import sys
    print("begun", file=sys.stderr)
    for number in range(4001):
        sys.stderr.write(f"\\r{number / 40:5.1f} % {number}/4000")
        sys.stderr.flush()
    print("\\nabc\\rX", file=sys.stderr)
    """
    body = end_of(ping_receiver, tmp_path, source, "--output")
    assert body == "begun\n100.0 % 4000/4000\nXbc\n"


IN_THREAD = """
import sys, threading
def copy(): raise OSError("disk full")
thread = threading.Thread(target=copy, name="copier")
thread.start()
thread.join()
"""
IN_CHILD = """
import multiprocessing, sys
def copy(): raise OSError("disk full")
if __name__ == "__main__":
    child = multiprocessing.get_context("{}").Process(target=copy)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""
BY_COVERAGE = """
import pathlib, sys
pathlib.Path("coverage").mkdir()
pathlib.Path("coverage", "__init__.py").touch()
pathlib.Path("coverage", "execfile.py").write_text('''
import sys
class PyRunner:
    def run(self):
        try:
            exec("raise OSError('disk full')", {"__name__": "__main__"})
        except Exception:
            sys.excepthook(*sys.exc_info())
            sys.exit(1)
''')
from coverage.execfile import PyRunner
PyRunner().run()
"""
BY_IPYTHON = """
import sys, types
sys.modules["IPython"] = types.ModuleType("IPython")  # where a script's exception ends nothing
def run_code():
    try:
        exec("raise OSError('disk full')", {"__name__": "script"})
    except Exception:
        sys.last_type, sys.last_value, sys.last_traceback = sys.exc_info()
        sys.last_exc = sys.last_value
        sys.excepthook(*sys.exc_info())
run_code()
sys.exit(1)
"""
BY_NOTEBOOK = """
class CellExecutionError(Exception): pass
raise CellExecutionError('''An error occurred while executing the following cell:
------------------
copy()
------------------

\x1b[31m-----------------------------\x1b[39m
\x1b[31mOSError\x1b[39m            Traceback (most recent call last)
\x1b[32m----> \x1b[39m\x1b[32m1\x1b[39m copy()

\x1b[31mOSError\x1b[39m: disk full
''')
"""
WITHOUT_LOGURU = {
    "a thread's, and exit status 1": f"{IN_THREAD}\nsys.exit(1)",
    "a thread's, and a status of its own": f"{IN_THREAD}\nsys.exit(3)",
    "a forked child's": IN_CHILD.format("fork"),
    "a spawned child's": IN_CHILD.format("spawn"),
    "under coverage": BY_COVERAGE,
    "in IPython": BY_IPYTHON,
    "a notebook's": BY_NOTEBOOK,
}


@pytest.mark.parametrize("loguru", ["", "import loguru"])
@pytest.mark.parametrize("source", WITHOUT_LOGURU.values(), ids=WITHOUT_LOGURU)
def test_an_exception_is_told_wherever_it_ends_something(
    ping_receiver: PingReceiver, tmp_path: Path, source: str, loguru: str
) -> None:
    body = end_of(ping_receiver, tmp_path, f"{loguru}\n{source}")
    assert re.match(r"(exit status 3: )?OSError: disk full \(after ", body)
    assert "Traceback (most recent call last)" in body.partition("\n")[2]


@pytest.mark.parametrize("source", [IN_THREAD, f"import loguru\n{IN_THREAD}"])
def test_a_thread_that_failed_in_a_success_is_no_cause(
    ping_receiver: PingReceiver, tmp_path: Path, source: str
) -> None:
    assert "disk full" not in end_of(ping_receiver, tmp_path, source)
    assert ping_receiver.pings[-1].event is Event.SUCCESS


def test_many_threads_that_fail_leave_the_log(ping_receiver: PingReceiver, tmp_path: Path) -> None:
    source = f"""
from loguru import logger
for number in range(500): logger.info("copied {{}}", number)
{IN_THREAD}
for _ in range(16): threads = [threading.Thread(target=copy) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(3)
"""
    body = end_of(ping_receiver, tmp_path, source)
    assert " - copied 0\n" in body
    assert body.count("Exception in thread ") == 4


def test_a_program_sees_nothing_of_what_looks_for_its_threads_exceptions(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    shows = """
    import sys, threading, multiprocessing.util
    def hook(args):
        frame = sys._getframe()
        while frame:
            print(frame)
            frame = frame.f_back
        print(args, vars(args.thread), dir(args.thread))
        print(hasattr(threading.Thread, "_invoke_excepthook"))
    threading.excepthook = hook
    def copy(): raise OSError("disk full")
    thread = threading.Thread(target=copy, name="copier")
    thread.start()
    thread.join()
    print(sorted(sys.modules))
    sys.exit(1)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(shows), encoding="utf-8")
    env = {**os.environ, "HEALTH_CHECK_URL": ping_receiver.url}
    plain, watched = (
        subprocess.run(
            [*before, "program.py"], cwd=tmp_path, env=env, capture_output=True, check=False
        )
        for before in ([sys.executable], LOGHC)
    )
    varies = re.compile(rb" at 0x[0-9a-f]+|(?<=id': )\d+|\bident=\d+|\b\d{9,}\b")
    assert varies.sub(b"", watched.stdout) == varies.sub(b"", plain.stdout) != b""
    assert ping_receiver.pings[-1].text.startswith("OSError: disk full")
