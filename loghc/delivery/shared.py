"""What all senders of one delivery share, one after the other."""

from __future__ import annotations

from typing import NamedTuple

from loghc.delivery.capabilities import Capabilities
from loghc.delivery.inbox import Inbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.policy import Policy
from loghc.delivery.troubles import Troubles

__all__ = ["Shared"]


class Shared(NamedTuple):
    """What a sender has from the delivery, and leaves to its successor.

    Attributes:
        inbox: where new pings are.
        outcomes: where what becomes of them goes.
        troubles: reports them.
        capabilities: what is known of the service.
        policy: how patient to be.
    """

    inbox: Inbox
    outcomes: Outcomes
    troubles: Troubles
    capabilities: Capabilities
    policy: Policy
