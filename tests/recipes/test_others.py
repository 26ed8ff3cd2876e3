"""Other frameworks, servers and packagers, each in an environment of its own.

Those are made where they are wanted, which takes some minutes, once:

    LOGHC_OTHERS=~/.cache/loghc-others pytest -n 2 -m slow tests/recipes/test_others.py
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from loghc import Event
from loghc.testing import PingReceiver
from pings import runs
from processes import needs_posix
from recipe_files import ended, running, said
from services import free_port
from waiting import wait_until

FOLDER = os.environ.get("LOGHC_OTHERS", "")
ROOT = Path(__file__).parents[2]
INSTALLING_S = 600
RUNNING_S = 300  # a packager or a scheduler on a busy machine

pytestmark = [
    needs_posix,
    pytest.mark.slow,
    pytest.mark.timeout(INSTALLING_S + RUNNING_S),
    pytest.mark.skipif(not FOLDER, reason="LOGHC_OTHERS names no folder for environments"),
]

RUN = [Event.START, Event.SUCCESS]

APP = """
from loguru import logger
from loghc import HealthSink, job

logger.add(HealthSink())

@job("sync")
def sync():
    logger.info("copied a.jpg")

def app(environ, start_response):
    sync()
    start_response("200 OK", [("Content-Length", "7")])
    return [b"synced\\n"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        sync()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"synced\\n"})

if __name__ == "__main__":
    sync()
"""


class Tried(NamedTuple):
    """What is tried.

    Attributes:
        packages: what is installed for it.
        command: of a shell, beside `app.py`. {watched} stands for `loghc run --markers-only`, or
            for nothing.
        files: that lie there, too.
        runs: how many there are.
        needs: a program that has to be found.
        alone: also without `loghc run`.
        env: variables on top.
    """

    packages: str
    command: str
    files: Mapping[str, str] = {}
    runs: int = 1
    needs: str = ""
    alone: bool = True
    env: Mapping[str, str] = {}


COMMANDS = {
    "doit": Tried(
        "doit",
        "{watched} doit",
        {"dodo.py": "import app\ndef task_sync():\n    return {'actions': [(app.sync,)]}\n"},
    ),
    "luigi": Tried(
        "luigi",
        "{watched} luigi --module tasks Sync --local-scheduler",
        {
            "tasks.py": """
                import luigi
                import app

                class Sync(luigi.Task):
                    done = False
                    def run(self):
                        app.sync()
                        self.done = True
                    def complete(self):
                        return self.done
                """
        },
        env={"PYTHONPATH": "."},
    ),
    "snakemake": Tried(
        "snakemake",
        "{watched} snakemake --cores 1",
        {
            "Snakefile": """
                rule sync:
                    output: "done.txt"
                    run:
                        from app import sync
                        sync()
                        open(output[0], "w").close()
                """
        },
    ),
    "dagster": Tried(
        "dagster",
        'mkdir home; DAGSTER_HOME="$PWD/home" {watched} dagster job execute -f jobs.py -j nightly',
        {
            "jobs.py": """
                import dagster
                import app

                @dagster.op
                def sync():
                    app.sync()

                @dagster.job
                def nightly():
                    sync()
                """
        },
    ),
    "ray": Tried(
        "ray",
        "{watched} python tasks.py",
        {
            "tasks.py": """
                import ray

                @ray.remote
                def sync():
                    import app
                    app.sync()

                ray.init(num_cpus=1, include_dashboard=False)
                ray.get([sync.remote() for _ in range(2)])
                """
        },
        runs=2,
        alone=False,  # the driver's end kills the workers, and what they have not sent
    ),
    "trio": Tried(
        "trio",
        "{watched} python tasks.py",
        {
            "tasks.py": """
                import trio
                from loghc import job
                import app

                @job("sync")
                async def sync():
                    await trio.sleep(0.1)

                async def main():
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(sync)
                        nursery.start_soon(sync)

                trio.run(main)
                """
        },
        runs=2,
    ),
    "dramatiq": Tried(
        "dramatiq",
        "{watched} python tasks.py",
        {
            "tasks.py": """
                import dramatiq
                from dramatiq.brokers.stub import StubBroker
                from loghc import job
                import app

                broker = StubBroker()
                dramatiq.set_broker(broker)

                @dramatiq.actor
                @job("sync")
                def sync():
                    app.logger.info("copied a.jpg")

                worker = dramatiq.Worker(broker)
                worker.start()
                sync.send()
                sync.send()
                broker.join(sync.queue_name)
                worker.join()
                worker.stop()
                """
        },
        runs=2,
    ),
    "taskiq": Tried(
        "taskiq",
        "{watched} python tasks.py",
        {
            "tasks.py": """
                import asyncio
                from taskiq import InMemoryBroker
                from loghc import job
                import app

                broker = InMemoryBroker(await_inplace=False)

                @broker.task
                @job("sync")
                async def sync():
                    await asyncio.sleep(0.1)

                async def main():
                    await broker.startup()
                    for task in [await sync.kiq() for _ in range(2)]:
                        await task.wait_result()
                    await broker.shutdown()

                asyncio.run(main())
                """
        },
        runs=2,
    ),
    "arq": Tried(
        "arq",
        'redis-server --port {port} --save "" >/dev/null & redis=$!; '
        "python tasks.py && {watched} arq --burst tasks.WorkerSettings; "
        "status=$?; kill $redis; exit $status",
        {
            "tasks.py": """
                import asyncio, os
                from arq import create_pool
                from arq.connections import RedisSettings
                from loghc import job
                import app

                @job("sync")
                async def sync(ctx):
                    app.logger.info("copied a.jpg")

                class WorkerSettings:
                    functions = [sync]
                    redis_settings = RedisSettings(port=int(os.environ["PORT"]))

                async def main():
                    pool = await create_pool(WorkerSettings.redis_settings)
                    for number in range(2):
                        await pool.enqueue_job("sync")

                if __name__ == "__main__":
                    asyncio.run(main())
                """
        },
        runs=2,
        needs="redis-server",
    ),
    "procrastinate": Tried(
        "procrastinate",
        "{watched} python tasks.py",
        {
            "tasks.py": """
                import procrastinate
                from procrastinate.testing import InMemoryConnector
                from loghc import job
                import app

                tasks = procrastinate.App(connector=InMemoryConnector())

                @tasks.task(name="one")
                @job("sync")
                def one():
                    app.logger.info("copied a.jpg")

                @tasks.task(name="another")
                @job("sync")
                async def another():
                    app.logger.info("copied b.jpg")

                with tasks.open():
                    one.defer()
                    another.defer()
                    tasks.run_worker(wait=False)
                """
        },
        runs=2,
    ),
    "IPython": Tried("ipython", "IPYTHONDIR=. {watched} ipython -c 'import app; app.sync()'"),
    "a notebook": Tried(
        "nbconvert ipykernel",
        "{watched} jupyter nbconvert --to notebook --execute nb.ipynb",
        {
            "nb.ipynb": """
                {"cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {},
                "outputs": [], "source": "import app; app.sync()"}],
                "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
                """
        },
    ),
    "pytest-xdist": Tried(
        "pytest-xdist",
        "{watched} pytest -q -n 2 --dist load test_one.py",
        {
            "test_one.py": "from app import sync\n"
            "def test_one():\n    sync()\ndef test_another():\n    sync()\n"
        },
        runs=2,
    ),
    "ddtrace": Tried("ddtrace", "ddtrace-run {watched} python app.py"),
    "ddtrace, within": Tried("ddtrace", "{watched} ddtrace-run python app.py"),
    "OpenTelemetry": Tried(
        "opentelemetry-distro",
        "opentelemetry-instrument --traces_exporter none --metrics_exporter none "
        "--logs_exporter none {watched} python app.py",
    ),
    "OpenTelemetry, within": Tried(
        "opentelemetry-distro",
        "{watched} opentelemetry-instrument --traces_exporter none --metrics_exporter none "
        "--logs_exporter none python app.py",
    ),
    "zipapp": Tried(
        "",
        "pip install -q --no-deps -t zip {root} loguru urllib3 && cp app.py zip && "
        "python -m zipapp zip -o app.pyz -m app:sync && {watched} python -I app.pyz",
    ),
    "shiv": Tried(
        "shiv",
        "mkdir folder && cp app.py folder && "
        "shiv -q -o app.pyz -p $(command -v python) --site-packages folder -e app:sync {root} && "
        "SHIV_ROOT=. {watched} ./app.pyz",
    ),
    "pex": Tried(
        "pex",
        "mkdir folder && cp app.py folder && "
        "pex -o app.pex --pex-root=root -D folder -e app:sync {root} && "
        # The first start unpacks it, with helpers that the recorder can't get into.
        "export PEX_ROOT=root && PEX_INTERPRETER=1 ./app.pex -c pass && {watched} ./app.pex",
    ),
    "PyInstaller, a file": Tried(
        "pyinstaller",
        "pyinstaller --onefile --log-level ERROR app.py && {watched} dist/app",
    ),
    "PyInstaller, a folder": Tried(
        "pyinstaller",
        "pyinstaller --onedir --log-level ERROR app.py && {watched} dist/app/app",
    ),
}

SERVERS = {
    "waitress": ("waitress", "python server.py"),
    "hypercorn": ("hypercorn", "hypercorn --bind 127.0.0.1:{port} app:asgi"),
    "uWSGI": (
        "pyuwsgi",
        "uwsgi --http-socket 127.0.0.1:{port} --module app:app --master --die-on-term",
    ),
}
WAITRESS = """
import os, signal, sys
import waitress
from app import app
signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # else it dies of it at once
waitress.serve(app, listen="127.0.0.1:" + os.environ["PORT"])
"""

watched = pytest.mark.parametrize(
    "watched", ["", "loghc run --markers-only"], ids=["alone", "under loghc run"]
)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment(packages: str) -> Path:
    """The folder of the commands in an environment with some packages, and loghc as it is now."""
    folder = Path(FOLDER).expanduser() / (packages.replace(" ", "-") or "none")
    ready = folder / "ready"
    newest = str(max(path.stat().st_mtime_ns for path in (ROOT / "loghc").rglob("*.py")))
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
    with locked(folder):
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([*pip, ROOT, *packages.split()], check=True, timeout=INSTALLING_S)
        elif ready.read_text() != newest:
            again = ["--no-deps", "--force-reinstall", ROOT]
            subprocess.run([*pip, *again], check=True, timeout=INSTALLING_S)
        ready.write_text(newest)
    return folder / "bin"


def prepared(
    packages: str, files: Mapping[str, str], receiver: PingReceiver, into: Path
) -> dict[str, str]:
    """Write a program's files; the environment's variables that it gets."""
    bin_folder = environment(packages)
    for name, text in {"app.py": APP, **files}.items():
        (into / name).write_text(dedent(text))
    return {
        **os.environ,
        "HEALTH_CHECK_URL": receiver.url.replace("127.0.0.1", "localhost"),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PORT": str(free_port()),
    }


@watched
@pytest.mark.parametrize("name", COMMANDS)
def test_each_run_is_told_with_its_end(
    name: str, watched: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    tried = COMMANDS[name]
    if not (watched or tried.alone):
        pytest.skip("is not enough here")
    if tried.needs and shutil.which(tried.needs) is None:
        pytest.skip(f"needs {tried.needs}")
    env = {**prepared(tried.packages, tried.files, receiver, tmp_path), **tried.env}
    command = tried.command.format(watched=watched, root=ROOT, port=env["PORT"])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUNNING_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert runs(receiver) == [RUN] * tried.runs, done.stderr
    assert "loghc: " not in done.stderr


@watched
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_tells_of_a_request_and_ends_by_sigterm(
    name: str,
    watched: str,
    receiver: PingReceiver,
    tmp_path: Path,
) -> None:
    packages, command = SERVERS[name]
    env = prepared(packages, {"server.py": WAITRESS}, receiver, tmp_path)

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{env['PORT']}/", timeout=5) as answer:
                return bool(answer.read() == b"synced\n")
        except OSError:
            return False

    names = ("HEALTH_CHECK_URL", "PATH", "PORT")
    words = [f"{each}={env[each]}" for each in names]
    command = command.format(port=env["PORT"])
    with running("env", *words, *watched.split(), *command.split(), cwd=tmp_path) as server:
        wait_until(answers, 60)
        wait_until(lambda: len(receiver.pings) >= 2, 60)
        assert ended(server, by=signal.SIGTERM) == 0, said(tmp_path)
    assert runs(receiver) == [RUN]
    assert "loghc: " not in said(tmp_path)
