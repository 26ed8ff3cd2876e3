"""The recipes for cron, systemd and containers, run as those would run them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loghc.ping import Event
from loghc.testing import PingReceiver
from pings import runs
from processes import TIMEOUT, first_process, needs_posix, run, started
from recipe_files import RECIPES, copied, running, said

pytestmark = needs_posix

LOGHC = str(Path(sys.executable).with_name("loghc"))
PROGRAM = """#!{python}
import os, sys
from loguru import logger
logger.info("arguments {{}}, child of {{}}", sys.argv[1:], os.getppid())
"""
SLEEPER = PROGRAM + "print('ready', flush=True)\nimport time\ntime.sleep(60)\n"
RUN = [Event.START, Event.SUCCESS]

Installed = Callable[[str], str]


@pytest.fixture
def installed(receiver: PingReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Gives a recipe's file, with the paths that such a machine would have changed to what is here.

    The ping URL is in a file alone.
    """
    secret = tmp_path / "ping-url"
    secret.write_text(f"{receiver.url}\n")
    secret.chmod(0o600)
    monkeypatch.delenv("HEALTH_CHECK_URL")
    paths = {
        r"/opt/\w+/venv/bin/python": sys.executable,
        r"/opt/\w+/bin/loghc": LOGHC,
        r"(?:/opt/sync/)?\bsync\.py": str(executable(tmp_path / "sync.py")),
        r"/home/ana/\.sync-url|%d/ping-url|/(?:run/)?secrets/ping-url": str(secret),
        r"/var/lib/sync|(?<=\")/state": str(tmp_path / "state"),
    }

    def install(name: str) -> str:
        text = (RECIPES / name).read_text(encoding="utf-8")
        for path, here in paths.items():
            text = re.sub(path, here, text)
        return text

    return install


def executable(path: Path, source: str = PROGRAM) -> Path:
    path.write_text(source.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_cron_with_next_to_no_environment(
    installed: Installed, receiver: PingReceiver, tmp_path: Path
) -> None:
    *settings, entry = installed("crontab").splitlines()
    by_cron(entry, settings, tmp_path)
    assert runs(receiver) == [RUN]
    assert "arguments ['--all']" in receiver.pings[1].text


def by_cron(entry: str, settings: list[str], home: Path) -> None:
    """Run a line of a crontab as cron does; it is quiet."""
    command = entry.split(maxsplit=5)[5]
    assert "%" not in command  # cron would make a line's end of it
    environment = [f"HOME={home}", "LOGNAME=ana", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"]
    done = run("env", "-i", *environment, *settings, "/bin/sh", "-c", command, cwd=home)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "loghc: " not in done.stderr  # cron would send it by mail


def test_three_jobs_of_a_crontab_ping_a_check_each(receiver: PingReceiver, tmp_path: Path) -> None:
    page = (RECIPES.parents[1] / "loghc" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```crontab\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    jobs = ("photos", "mails", "bills")
    for job in jobs:
        executable(tmp_path / f"{job}.py")
        secret = tmp_path / f".{job}-url"
        secret.write_text(f"{receiver.check(job).url}\n")
        secret.chmod(0o600)
    block = re.sub(r"/opt/\w+/bin/loghc", LOGHC, block)
    block = re.sub("/home/ana/|/opt/sync/", f"{tmp_path}/", block)
    for entry in block.splitlines():
        by_cron(entry, [], tmp_path)
    for job in jobs:
        assert [ping.event for ping in receiver.check(job).pings] == RUN, job


def test_systemd_finds_no_fault(installed: Installed, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here")
    units = [tmp_path / name for name in ("sync.service", "sync.timer", "sync-daemon.service")]
    for unit in units:
        unit.write_text(installed(unit.name))
    done = run("systemd-analyze", "verify", "--man=no", *units, cwd=tmp_path)
    if re.search("Failed to (?:initialize manager|create|connect)", done.stderr):
        pytest.skip("systemd-analyze can't work here")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_systemd_starts(installed: Installed, receiver: PingReceiver, tmp_path: Path) -> None:
    unit = installed("sync.service")
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert int(settings["TimeoutStopSec"]) > 10  # --drain
    environment = dict([settings["Environment"].split("=", 1)])
    done = run(*shlex.split(settings["ExecStart"]), cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert runs(receiver) == [RUN]
    assert (tmp_path / "state").is_dir()


def test_docker_around_an_image_of_somebody_elses(
    installed: Installed, receiver: PingReceiver, tmp_path: Path
) -> None:
    file = dict(re.findall(r"^(\w+) (.*)$", installed("Dockerfile"), re.MULTILINE))
    # The image's own entry point: a shell script that becomes the program.
    script = f'#!/bin/sh\nset -e\nexec {executable(tmp_path / "gallery.py")} "$@"\n'
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "gallery-sync", script)
    done = run(
        *first_process(tmp_path),
        *json.loads(file["ENTRYPOINT"]),
        *json.loads(file["CMD"]),
        cwd=tmp_path,
        env={
            "HEALTH_CHECK_URL_FILE": str(tmp_path / "ping-url"),
            "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        },
    )
    assert done.returncode == 0, done.stderr
    assert runs(receiver) == [RUN]
    assert "arguments ['--all'], child of 1\n" in receiver.pings[1].text


def compose(text: str) -> tuple[list[str], dict[str, str]]:
    """A service's command and environment; what it refers to is there."""
    file = parsed(text)
    service = file["services"]["sync"]
    assert set(service["secrets"]) == set(file["secrets"])
    assert {volume.partition(":")[0] for volume in service["volumes"]} == set(file["volumes"])
    assert int(service["stop_grace_period"].rstrip("s")) > 10  # --drain
    return service["command"], service["environment"]


def kubernetes(text: str) -> tuple[list[str], dict[str, str]]:
    """The same of a job's container."""
    pod = parsed(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 10  # --drain
    return container["command"], {item["name"]: item["value"] for item in container["env"]}


def parsed(text: str) -> Any:
    return pytest.importorskip("yaml").safe_load(text)


@pytest.mark.parametrize(
    ("name", "read"),
    [("compose.yaml", compose), ("cronjob.yaml", kubernetes)],
    ids=["Compose", "Kubernetes"],
)
def test_a_container_that_was_killed_is_told_of_by_the_next(
    name: str,
    read: Callable[[str], tuple[list[str], dict[str, str]]],
    installed: Installed,
    receiver: PingReceiver,
    tmp_path: Path,
) -> None:
    (_, *arguments), environment = read(installed(name))
    command = [*first_process(tmp_path), LOGHC, *arguments]
    executable(tmp_path / "sync.py", SLEEPER)
    container = started(*command, cwd=tmp_path, env=environment)
    assert container.stdout is not None
    container.stdout.readline()
    receiver.wait(1, timeout=TIMEOUT)
    container.kill()  # and all that is in it, as the kernel does for its memory
    container.communicate(timeout=TIMEOUT)
    executable(tmp_path / "sync.py")
    done = run(*command, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert runs(receiver) == [[Event.START, Event.FAIL], RUN]
    assert "arguments ['--all'], child of 1\n" in receiver.pings[1].text


def deployment(text: str) -> list[str]:
    """The command of a deployment's container; what it refers to is there."""
    pod = parsed(text)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 10  # drain
    return [*container["command"]]


def service(text: str) -> list[str]:
    """What systemd starts; it makes the directory, with this mode, and names it."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert settings["StateDirectory"]
    assert int(settings["TimeoutStopSec"]) > 10  # drain
    return shlex.split(settings["ExecStart"])


@pytest.mark.parametrize(
    ("name", "read", "mode"),
    [("deployment.yaml", deployment, 0o2775), ("sync-daemon.service", service, 0o755)],
    ids=["Kubernetes", "systemd"],
)
def test_a_daemon_that_was_killed_in_a_run_is_told_of_by_the_next(
    name: str,
    read: Callable[[str], list[str]],
    mode: int,
    installed: Installed,
    receiver: PingReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    command = [
        word.replace("/opt/sync/", "").replace("${STATE_DIRECTORY}", str(state))
        for word in read(installed(name))
    ]
    command[0] = sys.executable
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", str(tmp_path / "ping-url"))
    copied("daemon.py", tmp_path, "logger.info('copied a.jpg')\ntime.sleep(60)")
    with running(*command, cwd=tmp_path) as daemon:
        (start,) = receiver.wait(1, timeout=TIMEOUT)
        daemon.kill()
    assert start.event is Event.START
    copied("daemon.py", tmp_path, "pass")
    with running(*command, cwd=tmp_path):
        _, failure, *after = receiver.wait(4, timeout=TIMEOUT)
    assert (failure.event, failure.run_id) == (Event.FAIL, start.run_id)
    assert failure.text.startswith("cut off: the process died in this run")
    assert failure.text.endswith(" - copied a.jpg\n")
    assert [ping.event for ping in after] == RUN
    assert "loghc: " not in said(tmp_path)


@pytest.mark.parametrize("name", ["cronjob.yaml", "deployment.yaml"])
def test_the_manifest_is_what_kubernetes_expects(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    manifest = parsed((RECIPES / name).read_text(encoding="utf-8"))
    validate.validate(manifest, validate.latest_version(), strict=True)


def test_compose_accepts_the_file() -> None:
    spec = pytest.importorskip("compose_spec")
    text = (RECIPES / "compose.yaml").read_text(encoding="utf-8")
    spec.PyCompose.from_yaml(text).validate()


# loguru, set up by a file

LOG = """
from loguru import logger
logger.debug("looking")
logger.info("photos.done")
"""
LOADERS = {
    "configured.py": "import configured",
    "loguru-config": 'from loguru_config import LoguruConfig; LoguruConfig.load("loguru.yaml")',
}


@pytest.mark.parametrize("loader", LOADERS)
def test_loguru_set_up_by_a_file(loader: str, receiver: PingReceiver, tmp_path: Path) -> None:
    pytest.importorskip("yaml" if loader == "configured.py" else "loguru_config")
    for name in ("configured.py", "loguru.yaml"):
        shutil.copy(RECIPES / name, tmp_path)
    done = run(sys.executable, "-c", LOADERS[loader] + LOG, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (ping,) = receiver.pings
    assert ping.event is Event.SUCCESS
    assert "looking" not in ping.text
    assert "looking" in (tmp_path / "sync.log").read_text()


# The pages


@pytest.mark.parametrize("page", [RECIPES.parents[1] / "README.md", RECIPES / "README.md"])
def test_the_pages_show_what_is_in_the_files(page: Path) -> None:
    files = [path.read_text(encoding="utf-8") for path in recipes()]
    text = page.read_text(encoding="utf-8")
    languages = "ini|crontab|dockerfile"  # the main page has other code beside that of recipes
    if page.parent == RECIPES:
        languages += "|python|yaml"
    blocks = re.findall(rf"^```(?:{languages})\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert any(block in file for file in files), block


def test_each_file_is_on_the_page() -> None:
    page = (RECIPES / "README.md").read_text(encoding="utf-8")
    for path in recipes():
        assert f"]({path.name})" in page, path.name


def recipes() -> list[Path]:
    return [path for path in RECIPES.iterdir() if path.is_file() and path.name != "README.md"]
