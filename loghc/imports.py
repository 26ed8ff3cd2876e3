"""Late imports, and the forks that have to wait for them."""

from __future__ import annotations

import os
import threading

__all__ = ["importing"]

importing = threading.Lock()
"""Held while a thread of loghc's imports something. A child that is forked meanwhile would wait for
ever for the end of an import whose thread it doesn't have: so forking waits instead."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire,
        after_in_parent=importing.release,
        after_in_child=importing.release,
    )
