"""The pytest fixture that comes with loghc; pytest finds it by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from loghc.testing import PingReceiver


@pytest.fixture
def ping_receiver() -> Iterator[PingReceiver]:
    """A monitoring service on a loopback port, for one test: see `loghc.testing.PingReceiver`."""
    from loghc.testing import PingReceiver  # late: most tests of most projects don't use it

    with PingReceiver() as receiver:
        yield receiver
