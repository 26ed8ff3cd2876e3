"""The body of a ping (headline, log and footer, all masked already), and how it is cut."""

from __future__ import annotations

import time
from typing import NamedTuple

from loghc.utf8 import keep_beginning, keep_end

__all__ = ["HEADLINE_CHARACTERS", "SHORTEST", "Body", "moment", "one_line", "shorten"]

HEADLINE_CHARACTERS = 300
"""The most characters of a headline."""

SHORTEST = 2
"""The last step of ``Body.shortened``."""

_SHORT_LOG_BYTES = 8_000
_SHORT_RECORD_BYTES = 2_000
_FOOTER_BYTES = 2_000  # of a stored body, where nothing separates the log from the footer
_LATE = b" (sent late, of "
_LATE_LINE = b"loghc: sent late: this happened at "
_GAP = b"... loghc left out the middle here ...\n"


class Body(NamedTuple):
    r"""A body in parts. It contains no secrets, so it may be cut anywhere.

    Attributes:
        headline: the cause of a failure, as one line of UTF-8 without a newline; may be empty.
        log: the tail of the log.
        footer: what loghc adds after the log.
        record_bytes: how many bytes at the end of the log are the marker's own record; 0 if none.
        limit: the most bytes of all parts together; None for no limit.

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
        """Rebuild a failure's body, as far as possible, from the bytes that ``whole`` returned."""
        cause, found, rest = data.partition(b"\n\n")
        return cls(cause, rest) if found and b"\n" not in cause else cls(log=data)

    def whole(self, limit: int | None = None) -> bytes:
        """The bytes to send: the headline, as much of the log's end as fits, and the footer.

        Args:
            limit: the most bytes, if less than the body's own limit. If room is short, the footer
                takes at most half of what the headline leaves.
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
        """A shorter body, for a service that didn't accept all of it. The footer says so.

        Args:
            step: 0 for the body itself, 1 for only the last 8,000 bytes of its log, 2 for only the
                headline and the marker's own record.
            why: what the service did, such as ``"the service answered 413"``.

        Returns:
            The body itself if nothing would be left out.
        """
        record = self.log[len(self.log) - self.record_bytes :]
        if step == 0:
            return self
        if step == 1:
            log, footer = keep_end(self.log, _SHORT_LOG_BYTES), self.footer
            if len(record) > len(log):  # the marker is in its first line
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
        """The body for a ping that is sent late, with the time of its event added.

        A body that has such a time already is unchanged: the end of an earlier run has one, and may
        then wait in the queue as well.

        Args:
            happened: that time, in seconds since the epoch.
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
    """A headline cut to its maximum, less room for this many more characters."""
    most = HEADLINE_CHARACTERS - room
    return headline if len(headline) <= most else headline[: most - 3] + "..."


def moment(seconds: float) -> str:
    """A time, in seconds since the epoch, as text in UTC."""
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
