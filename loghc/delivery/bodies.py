"""The body that a ping carries when it is sent: whole or shortened, with what has to be added."""

from __future__ import annotations

from loghc.clock import monotonic
from loghc.delivery.queued import Queued
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body, moment

__all__ = ["rendered", "to_send"]


def rendered(queued: Queued, troubles: Troubles) -> Body:
    """A ping's body.

    Raises:
        ImportError, OSError: it can't be made at the moment.
    """
    try:
        return queued.ping.body()
    except (ImportError, OSError):
        raise
    except Exception:  # noqa: BLE001 - a ping without its log is worth more than none
        troubles.raised("the log could not be attached to a ping, please report this:")
        return Body(footer=b"loghc: the log could not be attached.\n")


def to_send(queued: Queued, body: Body, why: str, late_after_s: float) -> Body:
    """A ping's body as it is to be sent now.

    Args:
        queued: the ping. It says how much is left out, and which failures it counts.
        body: its body.
        why: why something is left out.
        late_after_s: a ping that comes later says when it happened.
    """
    if not queued.has_log:
        return body
    body = body.shortened(queued.step, why)
    if queued.counted:
        since = moment(min(each.happened for each in queued.counted))
        more = f"loghc: and {len(queued.counted)} more failures since {since}\n"
        body = body._replace(footer=body.footer + more.encode())
    if monotonic() - queued.since > late_after_s:
        body = body.late(queued.happened)
    return body
