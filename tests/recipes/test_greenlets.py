"""Programs that gevent or eventlet patched: a thread sends, and no greenlet waits for it."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from conftest import RunScript
from loghc.testing import Fault, PingReceiver
from recipe_files import copied, ended, running, said
from services import free_port
from waiting import wait_until

CELERY = """
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}
task_ignore_result = True
broker_connection_retry_on_startup = True
"""
PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
PROGRAM = """
import os, signal, sys, threading, time
{before}
from loguru import logger
from loghc import HealthSink
{after}
gaps = []

def tick():
    last = time.time()
    while True:
        time.sleep(0.01)
        gaps.append(time.time() - last)
        last = time.time()

def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])

threading.Thread(target=tick, daemon=True).start()
sink = HealthSink(sys.argv[1].replace("127.0.0.1", "localhost"), drain=float(sys.argv[2]))
logger.remove()
logger.add(sink)
"""


def program(kind: str, order: str, rest: str) -> str:
    if importlib.util.find_spec(kind) is None:
        pytest.skip(f"needs {kind}")
    patches = {"before": "", "after": ""} | {order: PATCH[kind]}
    return PROGRAM.format(**patches) + rest


kinds = pytest.mark.parametrize("kind", PATCH)
orders = pytest.mark.parametrize("order", ["before", "after"])


def events(receiver: PingReceiver) -> list[str]:
    return [ping.event.value for ping in receiver.pings]


@pytest.mark.slow
@kinds
@orders
def test_pings_to_a_name_arrive_and_the_program_ends_at_once(
    kind: str, order: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    rest = """
logger.info("sync.start")
assert sink.wait(20), sink.stats
assert not blocked(), blocked()
logger.info("sync.done")
print(time.time())
"""
    done = run_script(program(kind, order, rest), ping_receiver.url, "10")
    took = time.time() - float(done.stdout)
    assert events(ping_receiver) == ["start", "success"], done.stderr
    assert took < 8  # of the drain's 10


@pytest.mark.slow
@kinds
@orders
def test_other_greenlets_go_on_in_an_outage_and_during_a_wait(
    kind: str, order: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(*[Fault(delay=60)] * 5)
    rest = """
logger.info("sync.start")
time.sleep(1)
assert not sink.wait(1)
print(len(gaps), max(gaps), sink.stats.pending, flush=True)
os._exit(0)
"""
    done = run_script(program(kind, order, rest), ping_receiver.url, "0.1")
    ticks, longest, pending = map(float, done.stdout.split())
    assert pending == 1
    assert ticks > 20
    assert longest < 0.7


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_program_while_a_ping_is_under_way(
    kind: str, number: signal.Signals, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    ping_receiver.script(*[Fault(delay=60)] * 5)
    rest = """
logger.info("sync.start")
time.sleep(0.5)
print("ready", flush=True)
time.sleep(60)
"""
    path = tmp_path / "app.py"
    path.write_text(program(kind, "before", rest))
    app = subprocess.Popen(
        [sys.executable, path, ping_receiver.url, "0.5"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert app.stdout is not None
        assert app.stdout.readline() == "ready\n"
        app.send_signal(number)
        assert app.wait(20) != 0
    finally:
        app.kill()
        app.communicate()


@pytest.mark.slow
@kinds
def test_no_descriptor_thread_or_event_loop_is_left_behind(
    kind: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    rest = """
import gc, urllib3

def held():
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

logger.add(HealthSink(sys.argv[1], job="own", http=urllib3.PoolManager()))
for number in range(30):
    for marker in ("sync.log", "own.log"):
        logger.info(marker)
        assert sink.wait(20)
    time.sleep(0.02)
    if number == 5:
        begun = held()
time.sleep(0.3)
print(*begun, *held())
"""
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    done = run_script(program(kind, "before", rest), ping_receiver.url, "10")
    before, threads_before, after, threads_after = map(int, done.stdout.split())
    wait_until(lambda: len(ping_receiver.pings) == 60)
    assert after <= before + 8, done.stderr
    assert threads_after <= threads_before + 3


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="needs gunicorn")
@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent")
def test_gunicorn_with_gevent_workers(
    ping_receiver: PingReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(
        "import os\n"
        "from loguru import logger\n"
        "from loghc import HealthSink\n"
        "logger.add(HealthSink(os.environ['URL'].replace('127.0.0.1', 'localhost')))\n"
        "def app(environ, start_response):\n"
        "    logger.info('sync.start')\n"
        "    logger.info('sync.done')\n"
        "    start_response('200 OK', [])\n"
        "    return [b'done']\n"
    )
    monkeypatch.setenv("URL", ping_receiver.url)
    port = free_port()

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return bool(answer.read() == b"done")
        except OSError:
            return False

    command = ("gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "app:app")
    with running(*command, cwd=tmp_path) as server:
        wait_until(answers, 30)
        wait_until(lambda: len(ping_receiver.pings) >= 2)
        assert ended(server, by=signal.SIGTERM) == 0
    assert events(ping_receiver)[:2] == ["start", "success"]
    assert "loghc:" not in said(tmp_path)


TASKS = """
import os
from celery import Celery
from loguru import logger
from loghc import HealthSink
import celery_runs

logger.add(HealthSink(os.environ["URL"].replace("127.0.0.1", "localhost")))
app = Celery("shop", config_source="celeryconfig")

@app.task
def sync(number):
    import time
    time.sleep(0.2)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("celery") is None, reason="needs celery")
@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent")
def test_celery_with_gevent(
    ping_receiver: PingReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", ping_receiver.url)
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    (tmp_path / "celeryconfig.py").write_text(CELERY)
    (tmp_path / "shop.py").write_text(TASKS)
    copied("celery_runs.py", tmp_path)
    send = "from shop import sync\nfor number in range(4): sync.delay(number)"
    subprocess.run([sys.executable, "-c", send], cwd=tmp_path, check=True, timeout=60)
    command = ("celery", "-A", "shop", "worker", "-P", "gevent", "-c", "4")
    with running(*command, cwd=tmp_path) as celery:
        wait_until(lambda: len(ping_receiver.pings) >= 8, 30)
        assert ended(celery, by=signal.SIGTERM) == 0, said(tmp_path)
    runs: dict[str, list[str]] = {}
    for ping in ping_receiver.pings:
        runs.setdefault(str(ping.run_id), []).append(ping.event.value)
    assert list(runs.values()) == [["start", "success"]] * 4
    assert "loghc:" not in said(tmp_path)
