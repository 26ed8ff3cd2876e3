"""Fixtures for all tests: a clean loguru and environment, receivers, scripts, TLS, programs."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import hypothesis
import pytest
import trustme
from loguru import logger

from loghc import native
from loghc.delivery import Delivery, thread
from loghc.delivery.policy import Policy
from loghc.testing import PingReceiver

# No time limit for one example: the machine may be busy.
hypothesis.settings.register_profile("loghc", deadline=None)
hypothesis.settings.load_profile("loghc")

# Nor for the pings that a test waits for: it goes on as soon as they are there.
PingReceiver.wait.__defaults__ = (30.0,)

# A shell's "&" and nohup leave these ignored, and the programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

# Apart from these a test inherits the environment: a ping URL or a proxy of the machine's own must
# not reach it.
_OWN_PREFIX = "HEALTH_CHECK_"
_PROXY_SUFFIX = "_PROXY"

# What a process needs to start and to find its modules, wherever the tests run.
_INHERITED = (
    "COVERAGE_PROCESS_START",
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONPATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "VIRTUAL_ENV",
)


def complaints(stderr: str) -> list[str]:
    """What loghc said in a process, but for a wait that only a busy machine makes that long."""
    return [line for line in said(stderr).splitlines() if line.startswith("loghc: ")]


def said(stderr: str) -> str:
    """Standard error, but for a wait that only a busy machine makes that long."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if "waiting at most" not in line)


class RunScript(Protocol):
    """Runs the text of a script in a process of its own."""

    def __call__(
        self,
        source: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        python_args: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(_OWN_PREFIX) or name.upper().endswith(_PROXY_SUFFIX):
            monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)  # a CGI program's: it may name no proxy
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)  # where ends that were not told are kept


@pytest.fixture(autouse=True)
def fresh_loguru() -> Iterator[None]:
    """No handlers before a test, and none of its handlers after it."""
    logger.remove()
    yield
    logger.remove()


@pytest.fixture
def threads_asked_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The threads of a delivery that are asked for, none of which begins."""
    asked: list[Any] = []
    monkeypatch.setattr(native, "start_new_thread", lambda *args: asked.append(args))
    yield asked
    thread._beginning.clear()  # else what ends later waits for them


@pytest.fixture
def asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, a check that never answered is asked once more at once, not after 2 s."""
    defaults = Delivery.__init__.__defaults__
    assert defaults is not None
    soon = tuple(
        default._replace(repeat_after_s=0.05) if isinstance(default, Policy) else default
        for default in defaults
    )
    assert soon != defaults
    monkeypatch.setattr(Delivery.__init__, "__defaults__", soon)


@pytest.fixture
def ping_receiver(ping_receiver: PingReceiver) -> Iterator[PingReceiver]:
    """The package's own, which stays until the test's sinks have delivered what they have."""
    yield ping_receiver
    logger.remove()


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Runs a script with this interpreter, with nothing on its standard input.

    `args` are its arguments, `env` is put on top of a minimal environment without `HEALTH_CHECK_*`
    and proxies, `timeout` is in seconds (`subprocess.TimeoutExpired` beyond), `python_args` are the
    interpreter's own, such as `-X importtime`. The exit status is for the test to look at.
    """
    scripts = 0

    def run(
        source: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        python_args: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        nonlocal scripts
        scripts += 1
        script = tmp_path / f"script_{scripts}.py"
        script.write_text(source, encoding="utf-8")
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return subprocess.run(
            [sys.executable, *python_args, str(script), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            env={**inherited, "PYTHONIOENCODING": "utf-8", **(env or {})},
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[PingReceiver]:
    """A service whose ping URL is in the environment, for the programs that a test starts."""
    with PingReceiver() as receiver:
        monkeypatch.setenv("HEALTH_CHECK_URL", receiver.url)
        yield receiver


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts; see `trusted`."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the system trust `authority`, whose certificate is in this file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return path


class _IntoLoguru(logging.Handler):
    """Hands the standard library's records to loguru, as loguru's documentation suggests."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(exception=record.exc_info).log(record.levelno, record.getMessage())


@pytest.fixture
def intercepted() -> Iterator[None]:
    """Routes the standard library's logging into loguru, at every level."""
    root, handler = logging.getLogger(), _IntoLoguru()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Writes a program into the test's directory, and gives its name."""

    def write(source: str, name: str = "program.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        return name

    return write


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with 64 MB of memory, where one can be made."""
    version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    base = Path("/sys/fs/cgroup" if version_2 else "/sys/fs/cgroup/memory")
    group = base / f"loghc-test-{os.getpid()}"
    limit = group / ("memory.max" if version_2 else "memory.limit_in_bytes")
    swap = group / ("memory.swap.max" if version_2 else "memory.memsw.limit_in_bytes")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no control group can be made here")
    try:
        if not limit.exists():
            pytest.skip("control groups don't limit memory here")
        limit.write_text(str(2**26))
        if swap.exists():
            swap.write_text("0" if version_2 else str(2**26))
        yield group
    finally:
        until = time.monotonic() + 30  # who was in it may not have been reaped yet
        while group.exists():
            with contextlib.suppress(OSError):
                group.rmdir()
            assert time.monotonic() < until
            time.sleep(0.01)
