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
        inbox: holds new pings.
        outcomes: take what becomes of pings.
        troubles: report trouble.
        capabilities: what is known of the service.
        policy: how patient to be.
    """

    inbox: Inbox
    outcomes: Outcomes
    troubles: Troubles
    capabilities: Capabilities
    policy: Policy
