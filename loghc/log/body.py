"""The body of a ping: headline, log and footer, all masked already, and how it is cut."""

from __future__ import annotations

import time
from typing import NamedTuple

from loghc.utf8 import keep_beginning, keep_end

__all__ = ["HEADLINE_CHARACTERS", "SHORTEST", "Body", "moment", "one_line", "shorten"]

HEADLINE_CHARACTERS = 300
"""Characters of a headline at most."""

SHORTEST = 2
"""The last step of ``Body.shortened``."""

_SHORT_LOG_BYTES = 8_000
_SHORT_RECORD_BYTES = 2_000
_FOOTER_BYTES = 2_000  # of a kept body, whose footer can't be told from its log
_LATE = b" (sent late, of "
_LATE_LINE = b"loghc: sent late: this happened at "
_GAP = b"... loghc left out the middle here ...\n"


class Body(NamedTuple):
    r"""A body in its parts. Nothing in it is secret: it may be cut anywhere.

    Attributes:
        headline: the cause of a failure, one line without its end, UTF-8; or empty.
        log: the end of the log.
        footer: what loghc adds after the log.
        record_bytes: how many bytes at the log's end are the marker's own record; 0: none.
        limit: the most bytes of all parts together; None: no limit.

    Example:
        >>> body = Body(b"disk full", b"copied a\ncopied b\nsync.error\n")
        >>> body.whole(30)
        b'disk full\n\nopied b\nsync.error\n'
    """

    headline: bytes = b""
    log: bytes = b""
    footer: bytes = b""
    record_bytes: int = 0
    limit: int | None = None

    @classmethod
    def of_failure(cls, data: bytes) -> Body:
        """The body of a failure whose ``whole`` returned these bytes, as far as they show it."""
        cause, found, rest = data.partition(b"\n\n")
        return cls(cause, rest) if found and b"\n" not in cause else cls(log=data)

    def whole(self, limit: int | None = None) -> bytes:
        """The bytes to send: the headline, as much of the log's end as fits, and the footer.

        Args:
            limit: bytes at most, if less than the body's own limit. If there is little room, the
                footer takes no more than half of what the headline leaves.
        """
        limit = min((each for each in (limit, self.limit) if each is not None), default=None)
        after = self.log + self.footer
        if self.log and self.footer and not self.log.endswith(b"\n"):
            after = self.log + b"\n" + self.footer
        front = self.headline + (b"\n\n" if after else b"\n") if self.headline else b""
        if limit is None or len(front) + len(after) <= limit:
            return front + after
        front = keep_beginning(front, limit)
        room = limit - len(front)
        footer = _without_middle(self.footer, max(room // 2, room - len(self.log)))
        return front + keep_end(after[: len(after) - len(self.footer)] + footer, room)

    def shortened(self, step: int, why: str) -> Body:
        """Less of it, for a service that did not take all of it. The footer says so.

        Args:
            step: 0: the body itself; 1: the last 8,000 bytes of its log; 2: the headline and the
                marker's own record.
            why: what the service did, such as ``"the service answered 413"``.

        Returns:
            The body itself if nothing would be left out.
        """
        record = self.log[len(self.log) - self.record_bytes :]
        if step == 0:
            return self
        if step == 1:
            log, footer = keep_end(self.log, _SHORT_LOG_BYTES), self.footer
            if len(record) > len(log):  # its first line has the marker
                log = _without_middle(record, _SHORT_LOG_BYTES)
            footer = _without_middle(footer, _SHORT_LOG_BYTES // 2)
            left = f"the last {len(log):,} of {len(self.log):,} bytes of the log"
        else:
            log, footer = _without_middle(record, _SHORT_RECORD_BYTES), b""
            left = "only the marker's own record" if log else "no log"
        if (log, footer) == (self.log, self.footer):
            return self
        note = f"loghc: this ping has {left}: {why}\n".encode()
        record_bytes = min(self.record_bytes, len(log))
        return self._replace(log=log, footer=footer + note, record_bytes=record_bytes)

    def late(self, happened: float) -> Body:
        """The same for a ping that is sent late, with the moment of its event.

        It is unchanged if it has that moment already: the end of an earlier run may wait as well.

        Args:
            happened: that moment, in seconds of the wall clock.
        """
        end = self.log[-_FOOTER_BYTES:] + self.footer
        if _LATE in self.headline or _LATE_LINE in end:
            return self
        when = moment(happened)
        if not self.headline:
            return self._replace(footer=self.footer + _LATE_LINE + f"{when}\n".encode())
        added = f"{_LATE.decode()}{when})"
        cause = self.headline.decode("utf-8", "replace")
        return self._replace(headline=(shorten(cause, len(added)) + added).encode())


def one_line(text: str) -> str:
    """A text as one line, without unprintable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shorten(headline: str, room: int = 0) -> str:
    """A headline cut to size, with room for this many more characters."""
    most = HEADLINE_CHARACTERS - room
    return headline if len(headline) <= most else headline[: most - 3] + "..."


def moment(seconds: float) -> str:
    """A time of the wall clock as text, in UTC."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _without_middle(data: bytes, limit: int) -> bytes:
    """The first and the last lines that fit into a limit of bytes."""
    if len(data) <= limit:
        return data
    half = (limit - len(_GAP)) // 2
    if half <= 0:
        return keep_end(data, limit)
    head = keep_beginning(data, half)
    head = head[: head.rfind(b"\n") + 1] or head + b"\n"
    tail = keep_end(data, limit - len(_GAP) - len(head))
    return head + _GAP + (tail[tail.find(b"\n") + 1 :] or tail)
