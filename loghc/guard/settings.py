"""What a guard knows of a sink: as much as it needs to send the sink's pings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from loghc.ping import Event
from loghc.service.url import PingUrl

__all__ = ["Settings", "environment", "import_paths"]

_VARIABLES = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "HEALTH_CHECK_CA_FILE", "OPENSSL_CONF", "OPENSSL_MODULES"),
    *("LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES"),
)
_PACKAGES = ("loghc", "urllib3")
_URL_PARTS = ("origin", "host", "port", "path", "query", "user", "password")


class Settings:
    """The part of a sink's settings that is needed to send its ends.

    Args:
        values: as ``of_sink`` returns them.

    Attributes:
        url: the ping URL.
        entry: the path of the entry.
        state: the state directory that it lies in; None: in memory.
        headers: more request headers.
        timeout: seconds for one attempt.
        drain: seconds that all attempts may take.
        limit: bytes of a body.
        mask_secrets: the built-in rules are on.
        events: the events to send.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.url = PingUrl(**values["url"])
        self.entry: str = values["entry"]
        self.state: str | None = values["state"]
        self.headers: dict[str, str] = values["headers"]
        self.timeout: float = values["timeout"]
        self.drain: float = values["drain"]
        self.limit: int = values["limit"]
        self.mask_secrets: bool = values["mask_secrets"]
        self.events = tuple(Event(value) for value in values["events"])

    @staticmethod
    def of_sink(url: PingUrl, options: Mapping[str, Any], entry: str) -> dict[str, Any]:
        """A sink's settings, in types that JSON knows.

        Its redaction rules aren't among them: they are in the entry.

        Args:
            url: its ping URL.
            options: the sink's.
            entry: the path of its entry.
        """
        same = ("timeout", "drain", "limit", "mask_secrets")
        return {
            "url": {part: getattr(url, part) for part in _URL_PARTS},
            "entry": entry,
            "state": options["state"],
            "headers": dict(options["headers"]),
            "events": [event.value for event in options["events"]],
            **{name: options[name] for name in same},
        }


def environment() -> dict[str, str]:
    """The variables of this process that decide how pings are sent."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def import_paths() -> list[str]:
    """Where a Python without ``site`` finds what it needs.

    Raises:
        ImportError: one of the packages isn't found.
    """
    found: list[str] = []
    for name in _PACKAGES:
        module = sys.modules.get(name)
        spec = find_spec(name) if module is None else None
        file = getattr(module, "__file__", None) if spec is None else spec.origin
        if not file:
            raise ImportError(f"{name} isn't found")
        found.append(os.path.dirname(os.path.dirname(os.path.abspath(file))))
    return found
