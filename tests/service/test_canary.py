"""Every secret of a configuration is looked for in everything that a process writes anywhere."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from loghc.testing import Fault, PingReceiver

PASSWORD = "canary/p\u00e4ss:w0rd"
TOKEN = "canaryTokenOfTheQuery1"
BEARER = "canary-bearer-0123456789"
PROXY_PASSWORD = "canaryproxypassw0rd"

# The app. Its own log file and standard error show what it logs, unless that holds the secret: that
# goes to the sink alone, so whatever secret turns up elsewhere, loghc put it there.
APP = r"""
import gc, http.client, json, logging, os, sys, traceback, warnings
from urllib.parse import quote
import loghc
from loguru import logger
from loghc import HealthSink, Event, SECRETS

url, password = os.environ["HEALTH_CHECK_URL"], os.environ["CANARY_PASSWORD"]
bearer, scene = os.environ["CANARY_BEARER"], os.environ["CANARY_SCENE"]

class Intercept(logging.Handler):
    def emit(self, record):
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())

logging.basicConfig(handlers=[Intercept()], level=0, force=True)
logging.captureWarnings(True)
http.client.HTTPConnection.debuglevel = 1

def harmless(record):
    return not record["extra"].get("mine")

logger.remove()
everything = dict(level=0, diagnose=True, backtrace=True, filter=harmless)
logger.add("app.log", **everything)
logger.add(sys.stderr, **everything)
logger.add(sys.stdout, serialize=True, **everything)
mine = logger.bind(mine=True)

def told(outcome):
    logger.info("outcome {!r} {} {}", outcome, outcome, outcome.error)
    if scene == "on_outcome raises":
        raise RuntimeError(f"can't tell {url}, {password}, Bearer {bearer}")

def failing(text):
    raise RuntimeError(text)

sink = HealthSink(
    redact=failing if scene == "redact raises" else SECRETS if scene == "redacted" else (),
    headers={"X-Api-Key": f"{bearer}"},
    on_outcome=told,
    timeout=2,
    drain=2 if scene[:5] != "unrea" else 0.5,
)
handler = logger.add(sink, level=0, diagnose=True, backtrace=True)

logger.info("{} {!r} {}", sink, sink, sink.stats)
for wrong in (
    lambda: HealthSink(limit=0),
    lambda: HealthSink(headers={"X-Key": os.environ["CANARY_BEARER"] + "\n"}),
    lambda: HealthSink(redact="(" + os.environ["CANARY_PASSWORD"]),
    lambda: HealthSink(os.environ["HEALTH_CHECK_URL"] + "#x"),
):
    try:
        wrong()
    except ValueError:
        logger.exception("refused")
        traceback.print_exc()
os.environ["HEALTH_CHECK_URL"] = url + "#x"
try:
    HealthSink()
except ValueError:
    logger.exception("refused")
os.environ["HEALTH_CHECK_URL"] = url

def scan():
    for item in gc.get_objects():
        if (type(item).__module__ or "").startswith("loghc"):
            print(repr(item), str(item))

def crash(address, secret):
    raise ValueError(f"can't open {address} with {secret}")

mine.info("sync.start {}", url)
for spelled in (url, url.upper(), quote(url), quote(url, safe=""), json.dumps(url), repr([url]),
                password, quote(password, safe=""), ascii(password), repr(password.encode()),
                json.dumps({"x": password}), bearer, str(dict(os.environ))):
    mine.info("app says {}", spelled)
    mine.info("app says " + spelled.replace("{", "{{").replace("}", "}}"))
try:
    crash(url, password)
except ValueError:
    mine.exception("sync.log")
scan()
reachable = not scene.startswith("unreachable")
assert sink.wait(10 if reachable else 1.0) is reachable

scan()

mine.info("sync.error")
mine.info("sync.start again")
warnings.warn("over")
if scene == "crash":
    crash(url, password)
"""


def spellings(secret: str) -> list[str]:
    return [secret, quote(secret, safe=""), ascii(secret).strip("'"), repr(secret.encode())[2:-1]]


def check_for(secrets: list[str], where: str, written: str) -> None:
    low = written.lower()
    for secret in secrets:
        for spelled in spellings(secret):
            found = low.find(spelled.lower())
            assert found < 0, f"{where}: ...{written[max(0, found - 300) : found + 100]}..."


SCENES = {
    "all well": [],
    "crash": [],
    "redacted": [],
    "redact raises": [],
    "on_outcome raises": [],
    "not found": [Fault(404)],
    "echo": [Fault(400, body="ECHO"), Fault(500, body="ECHO", reason="ECHO")],
    "redirect": [Fault(302, headers={"Location": "http://ECHO.example/ECHO"})],
    "no HTTP": [Fault(raw=b"ECHO\r\n\r\n")],
    "unreachable": [],
    "unreachable, proxy": [],
}


@pytest.mark.parametrize("scene", SCENES)
def test_no_secret_turns_up_in_anything_that_is_written(
    scene: str, tmp_path: Path, run_script
) -> None:
    (tmp_path / "files").mkdir()
    with PingReceiver() as receiver:
        uuid = receiver.url.rpartition("/")[2]
        credentials = f"bob:{PASSWORD}"
        url = receiver.url.replace("://", f"://bob:{quote(PASSWORD, safe='')}@")
        url += f"?token={TOKEN}"
        for fault in SCENES[scene]:
            text = str(fault.body or "").replace("ECHO", f"{uuid} {PASSWORD} {BEARER}")
            receiver.script(
                Fault(
                    fault.status,
                    body=text or None,
                    headers={k: v.replace("ECHO", uuid) for k, v in fault.headers.items()},
                    raw=fault.raw and fault.raw.replace(b"ECHO", uuid.encode()),
                )
            )
        env = {
            "HEALTH_CHECK_URL": url,
            "CANARY_PASSWORD": PASSWORD,
            "CANARY_BEARER": BEARER,
            "CANARY_SCENE": scene,
            "PYTHONWARNINGS": "always",
            "PYTHONDEVMODE": "1",
        }
        if scene.startswith("unreachable"):
            receiver.stop()
        if scene.endswith("proxy"):
            env["http_proxy"] = f"http://amy:{PROXY_PASSWORD}@127.0.0.1:1"
        result = run_script(f"import os; os.chdir({str(tmp_path / 'files')!r})\n{APP}", env=env)
    assert "ValueError" in result.stderr
    assert result.returncode == (scene == "crash"), result.stderr
    secrets = [
        uuid,
        uuid.replace("-", ""),
        PASSWORD,
        TOKEN,
        BEARER,
        PROXY_PASSWORD,
        base64.b64encode(credentials.encode()).decode(),
        base64.b64encode(f"amy:{PROXY_PASSWORD}".encode()).decode(),
    ]
    if scene == "crash":
        # What the interpreter itself prints of the app's own exception, at the very end.
        result.stderr = result.stderr.rpartition("Traceback (most recent call last)")[0]
    check_for(secrets, "standard output", result.stdout)
    check_for(secrets, "standard error", result.stderr)
    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert files
    for path in files:
        check_for(secrets, str(path), path.read_text("utf-8"))
    for request in receiver.requests:
        check_for(secrets, f"body of {request.path}", request.body.decode())
    if not scene.startswith("unreachable"):
        assert "HealthSink('http://127.0.0.1:" in result.stdout
        bodies = b"".join(request.body for request in receiver.requests).decode()
        assert ("app says" in bodies) is (scene != "redact raises")
        assert (bodies.count("***") > 10) is (scene != "redact raises")
        assert ("withheld" in bodies) is (scene == "redact raises")
