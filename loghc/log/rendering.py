"""Makes a ping's body of the log: without colours, NULs and secrets, cut to size."""

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

_PIECE = 65_536  # bytes that are masked at once
_LONGEST_CAUSE = 4096  # characters that are masked of a headline, before it is cut
_BETWEEN = b"\n\0\n"


class Renderer:
    """Makes the bodies of one sink's pings.

    Args:
        limit: bytes of a body at most.
        masker: takes out the ping URL's secret.
        redact: the user's own rules, or None.
        mask_secrets: the built-in rules are on, and run before the user's.
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
        """The last ``limit`` bytes of a snapshot with what is put around it, masked and redacted.

        All parts are masked and redacted together, in one call, as whole records and before the
        cut: what is cut off first can't leave the end of a secret behind, unrecognised. When a
        rule raises, nothing of them is in the body; that is said once.

        Args:
            snapshot: the log.
            headline: the cause of a failure; what breaks a line becomes a space.
            tracebacks: put after the log, the most important last. They take half of the body at
                most.
            lines: put after those.
            record: the marker's own record, the last of the snapshot.

        Raises:
            ImportError, OSError: the built-in rules can't be imported at the moment.
        """
        ready_made = _secrets() if self._mask_secrets else ()
        limit = self._limit
        footer = fitted(tracebacks, limit // 2) + "".join(f"{line}\n" for line in lines)
        parts = (encode(headline[:_LONGEST_CAUSE]), b"".join(snapshot.chunks), encode(footer))
        try:
            cause, log, end = self._clean_parts(parts, ready_made)
            if snapshot.begins_inside_record and len(log) < limit + CONTEXT:
                # Its first bytes may be the end of a secret cut in two. Rules that made the text
                # shorter must not bring them back in. The records after the first chunk are whole.
                rest = self._clean(b"".join(snapshot.chunks[1:]), ready_made)
                whole = len(rest) if log.endswith(rest) else 0
                log = keep_end(log, whole + max(0, len(log) - whole - CONTEXT))
        except BaseException as error:  # the user's own rule may raise anything
            if _is_interrupt(error):
                raise
            self._say(error)
            return Body(log=WITHHELD, limit=limit)
        # Where three backticks are, Healthchecks shows Slack nothing of a body.
        text = one_line(cause.decode("utf-8", "replace")).replace("```", "'''")
        cause = encode(shorten(text))
        log = keep_end(log, limit)
        return Body(cause, log, end, _record_bytes(log, record), limit)

    def _clean_parts(self, parts: Sequence[bytes], ready_made: Sequence[Redactor]) -> list[bytes]:
        """The parts of a body, each without colours, masked and redacted.

        They are put together for that, as what is known to be secret in one is so in the others:
        with a line between them that holds a NUL, of which a log has none here.
        """
        parts = [part.replace(b"\0", b"") for part in parts]
        given = [part for part in parts if part]
        cleaned = self._clean(_BETWEEN.join(given), ready_made).split(b"\0")
        if len(cleaned) == len(given):
            cleaned[1:] = [part.removeprefix(b"\n") for part in cleaned[1:]]
            cleaned[:-1] = [part.removesuffix(b"\n") for part in cleaned[:-1]]
        else:  # a rule of the user's that takes out, or doubles, what it doesn't know
            cleaned = [self._clean(part, ready_made) for part in given]
        found = iter(cleaned)
        return [next(found) if part else b"" for part in parts]

    def _clean(self, data: bytes, ready_made: Sequence[Redactor]) -> bytes:
        """A text without colours, masked and redacted."""
        # Before the masking: a colour that begins inside of a secret must not hide it.
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
        """Tell where a rule raised. Not what: its text may quote the log."""
        if not self._once.is_due("redact"):
            return
        frames: list[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
        frames = [frame for frame in frames if frame.filename != __file__]
        where = "".join(traceback.format_list(frames)).rstrip()
        report(
            f"redact raised {type(error).__name__}, so the log is withheld from this ping and any "
            f"other for which it does (its text isn't shown, as it may quote the log):\n{where}"
        )


def _record_bytes(log: bytes, record: str) -> int:
    """How many bytes of a log's end are its last record, which may be masked there."""
    if not record:
        return 0
    first = encode(record).partition(b"\n")[0]
    begin = log.rfind(first)
    if begin < 0 or not first:
        begin = len(log)
        for _ in range(record.count("\n") + (not record.endswith("\n"))):
            begin = log.rfind(b"\n", 0, max(begin - 1, 0)) + 1
    return len(log) - begin


@functools.cache  # once they are there, no fork has to be waited for
def _secrets() -> tuple[Redactor, ...]:
    with importing():
        from loghc.log.secrets import SECRETS
    return SECRETS


def _pieces(data: bytes) -> Iterator[bytes]:
    """Data in pieces of whole lines, or else of whole words: no secret of a URL lies across.

    The interpreter's lock is let go between them: masking a long log as a whole would stop the
    app's threads meanwhile.
    """
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + _PIECE, start + 2 * _PIECE) + 1
        end = end or data.find(b" ", start + 2 * _PIECE) + 1 or len(data)
        yield data[start:end]
        start = end


def _is_interrupt(error: BaseException) -> bool:
    """Whether it is for the program, such as Ctrl-C, and not from a rule that raises."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    return on_main_thread and not isinstance(error, (Exception, SystemExit, GeneratorExit))
