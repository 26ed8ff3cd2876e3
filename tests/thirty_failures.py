"""Shows what a real Healthchecks makes of each kind of failure: its events, Slack, an e-mail.

    HEALTHCHECKS=/path/to/a/clone .venv/bin/python tests/thirty_failures.py [--keep] > table.md

The clone has a `.venv` with its `requirements.txt` and gunicorn installed. The server gets a
database of its own, in a temporary directory. With `--keep` it stays up after the failures, until
Enter is pressed: its address, and a user and password for its pages, are said on standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from failures import FAILURES

_USER, _PASSWORD = "on-call@example.org", "three in the morning"
_START_S = 60.0
_EVENT_LIST_BYTES = 150

_PREPARE = """
import json, sys
from django.contrib.auth.models import User
from hc.accounts.models import Profile, Project
from hc.api.models import Channel, Check
user = User.objects.create_user("on-call", "{user}", "{password}")
Profile.objects.for_user(user)
Profile.objects.update(check_limit=1000, ping_log_limit=1000)
project = Project.objects.create(owner=user, name="failures")
Channel.objects.create(project=project, kind="email", email_verified=True, value="{user}")
Channel.objects.create(project=project, kind="slack", value="http://127.0.0.1:9/")
codes = [str(Check.objects.create(project=project, name=name).code) for name in {names!r}]
print("RESULT" + json.dumps(codes))
"""
_SHOW = """
import html, json, re
from django.test import Client
from django.contrib.auth.models import User
from hc.api.models import Channel, Check, Flip, Notification
from hc.lib import emails
from hc.integrations.email.transport import Email
from hc.integrations.slack.transport import Slack
client = Client(HTTP_HOST="127.0.0.1")
client.force_login(User.objects.get())
shown, sent = [], []
emails.send = lambda message, block=False: sent.append(message)
for code in {codes!r}:
    check = Check.objects.get(code=code)
    page = client.get("/checks/%s/log/" % code).content.decode()
    rows = re.findall(r"<tr class=.ok.*?</tr>", page, re.S)
    failed = next((row for row in rows if "label-danger" in row), "")
    listed = "".join(re.findall(r"<code>(.*?)</code>", failed, re.S))
    listed = html.unescape(re.sub(r"<[^>]*>", "", listed))
    flip = Flip.objects.filter(owner=check, new_status="down").order_by("id").last()
    fields = Slack(Channel(kind="slack")).payload(flip)["attachments"][0]["fields"]
    slack = next((field["value"] for field in fields if field["title"] == "Last Ping Body"), "")
    channel = Channel.objects.get(kind="email")
    Email(channel).notify(flip, Notification(owner=check, channel=channel))
    shown.append([listed, slack, sent[-1].subject, sent[-1].body])
print("RESULT" + json.dumps(shown))
"""


class _Server:
    """A Healthchecks server of its own."""

    def __init__(self, clone: Path, folder: Path) -> None:
        self._clone = clone
        own = clone / ".venv" / "bin" / "python"
        self._python = str(own) if own.exists() else sys.executable
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._env = {
            **os.environ, "DB_NAME": str(folder / "hc.sqlite"), "ALLOWED_HOSTS": "*",
            "DEBUG": "True", "SECRET_KEY": "x", "COMPRESS_ENABLED": "False",
            "PING_BODY_LIMIT": "100000", "SITE_ROOT": self.url, "SITE_NAME": "Healthchecks",
        }  # fmt: skip
        self._manage("migrate", "--verbosity", "0")

    def ask(self, script: str) -> list[object]:
        """Run a script in the server's own shell; what it gives after RESULT."""
        output = self._manage("shell", "-c", script)
        found: list[object] = json.loads(output.rpartition("RESULT")[2])
        return found

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """A block in which it listens."""
        gunicorn = (
            self._python, "-m", "gunicorn", "--threads", "4", "--log-level", "error",
            "--bind", self.url.removeprefix("http://"), "hc.wsgi",
        )  # fmt: skip
        process = subprocess.Popen(gunicorn, cwd=self._clone, env=self._env)
        try:
            deadline = time.monotonic() + _START_S
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=5).close()
                    break
                assert process.poll() is None, "it doesn't start"
                assert time.monotonic() < deadline, "it doesn't answer"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()

    def _manage(self, *arguments: str) -> str:
        command = (self._python, "manage.py", *arguments)
        done = subprocess.run(
            command, cwd=self._clone, env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _quoted(text: str, most: int = 240) -> str:
    """A text for a cell of a table."""
    line = " ⏎ ".join(part for part in text[:most].splitlines() if part.strip())
    return "`" + line.replace("|", "\\|").replace("`", "'") + "`"


def main() -> int:
    """Run the failures, and print a table; the number of them whose cause is not shown."""
    clone = os.environ.get("HEALTHCHECKS")
    if not clone:
        sys.exit("HEALTHCHECKS is to name a clone of Healthchecks")
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        server = _Server(Path(clone), Path(name))
        names = [failure.name for failure in FAILURES]
        codes = server.ask(_PREPARE.format(user=_USER, password=_PASSWORD, names=names))
        with server.up():
            for number, (failure, code) in enumerate(zip(FAILURES, codes, strict=True)):
                folder = Path(name) / str(number)
                folder.mkdir()
                print(f"{number + 1}. {failure.name}", file=sys.stderr)
                failure.happen(f"{server.url}/ping/{code}", folder)
            shown = server.ask(_SHOW.format(codes=codes))
            print("| failure | list of events | Slack | e-mail |\n| --- | --- | --- | --- |")
            for failure, each in zip(FAILURES, shown, strict=True):
                listed, slack, subject, body = each  # type: ignore[misc]
                line = next((row.strip() for row in body.splitlines() if failure.cause in row), "")
                inside = (
                    failure.cause in listed[: _EVENT_LIST_BYTES + 2],
                    failure.cause in slack, bool(line),
                )  # fmt: skip
                missed += not all(inside)
                cells = (
                    _quoted(listed),
                    _quoted(slack.strip("`\n")),
                    _quoted(f"{subject} ... {line}"),
                )
                mark = "" if all(inside) else " **(not shown)**"
                print(f"| {failure.name}{mark} | {' | '.join(cells)} |")
            if "--keep" in sys.argv:
                print(f"{server.url} {_USER} {_PASSWORD!r} {codes[0]}", file=sys.stderr, flush=True)
                sys.stdin.readline()
    return missed


if __name__ == "__main__":
    sys.exit(main())
