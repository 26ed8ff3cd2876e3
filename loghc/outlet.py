"""Where a sink's markers go: nowhere, to the service, or to the watcher of its program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loghc.ping import Event, Stats

if TYPE_CHECKING:
    from loghc.log.masking import Masker
    from loghc.log.tail import Log
    from loghc.service.url import PingUrl

__all__ = ["Off", "Outlet", "masker_for"]


class Outlet:
    """What a HealthSink gives its markers to. Nothing in here raises, or waits for the network.

    Attributes:
        name: in place of the ping URL where the sink is shown.
        enabled: the markers go somewhere.
        off_on_purpose: they go nowhere, and that is intended.
        target: equal for two that ping the same URL; None without one.
        tail: keeps the log.
    """

    name = ""
    enabled = True
    off_on_purpose = False
    target: object = None
    tail: Log

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are pending."""
        return Stats(0, 0, 0)

    def mask(self, text: str) -> str:
        """A text without the ping URL's secret."""
        return text

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        """Handle a marker.

        Args:
            event: the marker's.
            record: loguru's.
            text: the record, formatted.
        """

    def error_seen(self, record: Mapping[str, Any]) -> None:
        """A record of level ERROR or above was logged: it may be the cause of a failure."""

    def wait(self, timeout: float | None) -> bool:  # noqa: ARG002
        """Whether within that many seconds (None: any number) every ping has an outcome."""
        return True

    def stop(self, *, exiting: bool) -> None:
        """Deliver what is queued; at the exit, fail the runs that are open."""

    def after_fork(self) -> None:
        """Be usable in a forked child."""


def masker_for(url: PingUrl, options: Mapping[str, Any]) -> Masker:
    """What masks the secrets of a sink's ping URL and headers."""
    from loghc.log.masking import Masker

    pools = (getattr(options["http"], name, None) for name in ("headers", "proxy_headers"))
    return Masker(url, options["headers"], *pools)


class _NoLog:
    def append(self, text: str) -> None:
        """Keep nothing: no ping carries it."""


class Off(Outlet):
    """For a sink without a ping URL, or one that ``HEALTH_CHECK_URL=off`` turns off.

    Args:
        on_purpose: otherwise the first marker is reported.
    """

    name = "disabled"
    enabled = False
    tail = _NoLog()

    def __init__(self, *, on_purpose: bool) -> None:
        self.off_on_purpose = on_purpose

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:  # noqa: ARG002
        """Report, once, that nothing is sent."""
        from loghc.hints.no_url import report_no_url, report_off

        if self.off_on_purpose:
            report_off()
        else:
            report_no_url(record["message"])
