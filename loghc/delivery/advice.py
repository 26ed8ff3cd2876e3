"""What a user can do about a ping that was not delivered."""

from __future__ import annotations

from loghc.ping import Attempt, Event, Ping

__all__ = ["SUFFIX_REFUSED", "advice_on"]

SUFFIX_REFUSED = frozenset({400, 404})
"""Refusals that may be about one kind of ping alone."""

_TOO_LARGE = 413


def advice_on(ping: Ping, attempt: Attempt, limit_name: str, *, check_known: bool) -> str:
    """What to do about a failed attempt; empty if nothing is known to help.

    Args:
        ping: which one failed.
        attempt: what it came to.
        limit_name: what a user calls the limit for a body.
        check_known: the service has taken other pings for the same check.
    """
    if attempt.status == _TOO_LARGE:
        return f"Lower {limit_name}."
    if attempt.status in SUFFIX_REFUSED:
        return _about_suffix(ping, check_known=check_known) or attempt.advice
    return attempt.advice


def _about_suffix(ping: Ping, *, check_known: bool) -> str:
    """What to do about a refusal that may be about a ping's suffix alone, or an empty str."""
    if ping.event in (Event.START, Event.LOG):
        name = ping.event.value
        return (
            f"The service has no check with this URL, or does not know /{name}: if it takes other "
            f"pings, no more {name}s are sent. To leave them out from the start, use events= or "
            "--events."
        )
    if not check_known:
        return ""
    if ping.event is Event.FAIL:
        return (
            "The service has taken other pings of this check: it doesn't know /fail, and a missing "
            "success is its only sign of a failure, or the check was deleted."
        )
    return "The service has taken other pings of this check: it may have been deleted."
