"""The faults of a service: what goes wrong with a request, and with which one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = ["Fault", "FaultScript", "is_answered", "is_counted"]

Cut: TypeAlias = Literal["request", "body", "before-answer", "answer"]

_CUTS: Final = ("request", "body", "before-answer", "answer")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. ``Fault()`` is a normal answer.

    Attributes:
        status: answer with this HTTP status in place of the service's own.
        reason: the reason phrase after the status; None: the usual one.
        headers: headers to add to the answer, or to replace in it.
        body: the answer's body; None: the service's own, or the reason phrase if `status` is given.
        delay: seconds before the answer; `math.inf`: it never comes.
        pace: seconds between any two bytes of the answer, headers included; 0: all at once.
        endless: the answer's body never ends.
        raw: send these bytes in place of an HTTP answer, then close the connection.
        cut: where the connection breaks. ``"request"``: after the request's head, before its body
            is read. ``"body"``: in the middle of the request's body. ``"before-answer"``: after
            the whole request, before any answer. ``"answer"``: in the middle of the answer's body,
            or of its head if it has no body. None: nowhere.
        reset: a cut resets the connection (TCP RST); False: it closes it in order (FIN).
        counts: the service accepts the ping in spite of the fault. It never accepts one that it
            would normally refuse, nor one whose body was not read. None: it accepts if only the
            delivery of its own answer goes wrong (`delay`, `pace`, `endless`, `headers`, a cut at
            the answer), and not if the answer is another one (`status`, `body`, `raw`) or never
            comes.

    Raises:
        ValueError: a number is out of range, or `cut` is none of the above.

    Example:
        >>> busy = Fault(503, headers={"Retry-After": "2"})
        >>> shed = Fault(200, body="OK (rate limited)")
        >>> moved = Fault(302, headers={"Location": "https://elsewhere.example/"})
        >>> slow, hanging = Fault(delay=0.2), Fault(delay=math.inf)
        >>> broken, lost = Fault(cut="body"), Fault(cut="before-answer")
        >>> trickling, gibberish = Fault(pace=0.1), Fault(raw=b"SSH-2.0-OpenSSH_9.6")
    """

    status: int | None = None
    _: KW_ONLY
    reason: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes | str | None = None
    delay: float = 0.0
    pace: float = 0.0
    endless: bool = False
    raw: bytes | None = None
    cut: Cut | None = None
    reset: bool = True
    counts: bool | None = None

    def __post_init__(self) -> None:
        # Checked here, a mistake fails the test; later, it would be lost on a server's thread.
        if self.status is not None and not 200 <= self.status <= 999:
            raise ValueError(f"status must be an HTTP status from 200 to 999, not {self.status!r}")
        for name in ("delay", "pace"):
            seconds = getattr(self, name)
            if not seconds >= 0:
                raise ValueError(f"{name} must be seconds, 0 or more, not {seconds!r}")
        if self.cut is not None and self.cut not in _CUTS:
            raise ValueError(f"cut must be one of {', '.join(_CUTS)} or None, not {self.cut!r}")


def is_answered(fault: Fault) -> bool:
    """Whether a request that was read whole gets an HTTP answer."""
    lost = fault.raw is not None or fault.cut == "before-answer"
    return not lost and math.isfinite(fault.delay)


def is_counted(fault: Fault) -> bool:
    """Whether the service accepts a good ping in spite of the fault."""
    if fault.cut in ("request", "body"):
        return False
    if fault.counts is not None:
        return fault.counts
    is_services_answer = fault.status is None and fault.body is None and fault.raw is None
    return is_services_answer and math.isfinite(fault.delay)


class FaultScript:
    """Decides which fault the next request meets. Not thread-safe."""

    def __init__(self) -> None:
        self._scripted: deque[Fault] = deque()
        self._always = Fault()

    def extend(self, faults: Iterable[Fault | int | None]) -> None:
        """Add one fault for each of the next requests, after those added before."""
        self._scripted.extend([_as_fault(fault) for fault in faults])

    def set_always(self, fault: Fault | int | None) -> None:
        """Set the fault of every request for which none was added."""
        self._always = _as_fault(fault)

    def next(self) -> Fault:
        """Return the fault of the next request."""
        return self._scripted.popleft() if self._scripted else self._always


def _as_fault(fault: Fault | int | None) -> Fault:
    if fault is None:
        return Fault()
    if isinstance(fault, Fault):
        return fault
    if isinstance(fault, int) and not isinstance(fault, bool):
        return Fault(int(fault))
    raise TypeError(f"a fault must be a Fault, an HTTP status or None, not {fault!r}")
