"""Turns the log into a ping's body: removes colours, NULs and secrets, and cuts it to size."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Iterator, Sequence

from loghc.callbacks import calling_back
from loghc.fork import importing
from loghc.log.body import Body, one_line, shorten
from loghc.log.escapes import without_escapes
from loghc.log.masking import Masker
from loghc.log.redaction import Redactor
from loghc.log.tail import CONTEXT, Snapshot
from loghc.log.tracebacks import fitted
from loghc.report import Once, report
from loghc.utf8 import encode, keep_end

__all__ = ["WITHHELD", "Renderer"]

WITHHELD = b"loghc: the log is withheld, as a redact rule failed.\n"
"""The body when the log can't be redacted."""

_PIECE_BYTES = 65_536  # masked at once
_CAUSE_CHARACTERS = 4096  # of a headline that are masked before it is cut
_BETWEEN = b"\n\0\n"


class Renderer:
    """Makes the bodies of one sink's pings.

    Args:
        limit: the most bytes of a body.
        masker: masks the secrets of the ping URL.
        redact: the user's own rules, or None.
        mask_secrets: whether to apply the built-in rules, before the user's. Off by default.
    """

    def __init__(
        self, limit: int, masker: Masker, redact: Redactor | None, *, mask_secrets: bool = False
    ) -> None:
        self._limit = limit
        self._masker = masker
        self._redact = redact
        self._mask_secrets = mask_secrets
        self._once = Once()

    def render(
        self,
        snapshot: Snapshot,
        *,
        headline: str = "",
        tracebacks: Sequence[str] = (),
        lines: Sequence[str] = (),
        record: str = "",
    ) -> Body:
        """The last ``limit`` bytes of a snapshot and the text around it, masked and redacted.

        All parts are masked and redacted in one call, as whole records and before the cut, so the
        cut can't leave half a secret that no rule recognises. If a rule raises, the body contains
        none of the parts, and the failure is reported once.

        Args:
            snapshot: the log.
            headline: the cause of a failure; line breaks become spaces.
            tracebacks: put after the log, the most important last. They take at most half of the
                body.
            lines: put after the tracebacks.
            record: the marker's own record, the last of the snapshot.

        Raises:
            ImportError, OSError: the built-in rules can't be imported at the moment.
        """
        ready_made = _secrets() if self._mask_secrets else ()
        limit = self._limit
        footer = fitted(tracebacks, limit // 2) + "".join(f"{line}\n" for line in lines)
        parts = (encode(headline[:_CAUSE_CHARACTERS]), b"".join(snapshot.chunks), encode(footer))
        try:
            cause, log, end = self._clean_parts(parts, ready_made)
            if snapshot.begins_inside_record and len(log) < limit + CONTEXT:
                # The first bytes may be the end of a secret cut in two. They must stay out even if
                # the rules made the text shorter. The records after the first chunk are whole.
                rest = self._clean(b"".join(snapshot.chunks[1:]), ready_made)
                whole = len(rest) if log.endswith(rest) else 0
                log = keep_end(log, whole + max(0, len(log) - whole - CONTEXT))
        except BaseException as error:  # a user's rule may raise anything
            if _is_interrupt(error):
                raise
            self._say(error)
            return Body(log=WITHHELD, limit=limit)
        # Healthchecks doesn't show a body with three backticks in Slack.
        text = one_line(cause.decode("utf-8", "replace")).replace("```", "'''")
        cause = encode(shorten(text))
        log = keep_end(log, limit)
        return Body(cause, log, end, _record_bytes(log, record), limit)

    def _clean_parts(self, parts: Sequence[bytes], ready_made: Sequence[Redactor]) -> list[bytes]:
        """The parts of a body, each without colours, masked and redacted.

        They are joined for this, because a secret found in one part is masked in the others too.
        Between them is a NUL on a line of its own; the parts themselves no longer contain any.
        """
        parts = [part.replace(b"\0", b"") for part in parts]
        given = [part for part in parts if part]
        cleaned = self._clean(_BETWEEN.join(given), ready_made).split(b"\0")
        if len(cleaned) == len(given):
            cleaned[1:] = [part.removeprefix(b"\n") for part in cleaned[1:]]
            cleaned[:-1] = [part.removesuffix(b"\n") for part in cleaned[:-1]]
        else:  # a user's rule removed or repeated the NULs
            cleaned = [self._clean(part, ready_made) for part in given]
        found = iter(cleaned)
        return [next(found) if part else b"" for part in parts]

    def _clean(self, data: bytes, ready_made: Sequence[Redactor]) -> bytes:
        """A text without colours, masked and redacted."""
        # Before masking, as a colour that begins inside a secret would hide it.
        data = self._masked(without_escapes(data))
        if self._redact is None and not ready_made:
            return data
        text = data.decode("utf-8", "replace")
        for rule in ready_made:
            text = rule(text)
        if self._redact is None:
            return encode(text)
        with calling_back():
            text = self._redact(text)
        return self._masked(encode(text))

    def _masked(self, data: bytes) -> bytes:
        return b"".join(self._masker.data(piece) for piece in _pieces(data))

    def _say(self, error: BaseException) -> None:
        """Report where a rule raised, but not its message, which may quote the log."""
        if not self._once.is_due("redact"):
            return
        frames: list[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
        frames = [frame for frame in frames if frame.filename != __file__]
        where = "".join(traceback.format_list(frames)).rstrip()
        report(
            f"redact raised {type(error).__name__}, so the log is withheld from this ping and any "
            f"other for which it does (its message isn't shown, as it may quote the log):\n{where}"
        )


def _record_bytes(log: bytes, record: str) -> int:
    """How many bytes at the end of a log are its last record, which may be partly masked."""
    if not record:
        return 0
    first = encode(record).partition(b"\n")[0]
    begin = log.rfind(first)
    if begin < 0 or not first:
        begin = len(log)
        for _ in range(record.count("\n") + (not record.endswith("\n"))):
            begin = log.rfind(b"\n", 0, max(begin - 1, 0)) + 1
    return len(log) - begin


@functools.cache  # once they are imported, no fork has to wait
def _secrets() -> tuple[Redactor, ...]:
    with importing():
        from loghc.log.secrets import SECRETS
    return SECRETS


def _pieces(data: bytes) -> Iterator[bytes]:
    """Data in pieces of whole lines, or else whole words: no piece splits a URL's secret.

    The interpreter's lock is released between pieces. Masking a long log in one go would block the
    app's other threads.
    """
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + _PIECE_BYTES, start + 2 * _PIECE_BYTES) + 1
        end = end or data.find(b" ", start + 2 * _PIECE_BYTES) + 1 or len(data)
        yield data[start:end]
        start = end


def _is_interrupt(error: BaseException) -> bool:
    """Whether an exception is meant for the program, such as Ctrl-C, and isn't from a rule."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    return on_main_thread and not isinstance(error, (Exception, SystemExit, GeneratorExit))
