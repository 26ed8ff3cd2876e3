"""What a ping carries: the end of the log, without colours and secrets, cut to size."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence

from loghc.callbacks import calling_back
from loghc.fork import importing
from loghc.log.escapes import without_escapes
from loghc.log.masking import Masker
from loghc.log.redaction import Redactor
from loghc.log.tail import CONTEXT, Snapshot
from loghc.report import report
from loghc.utf8 import encode, keep_end

__all__ = ["WITHHELD", "Renderer"]

WITHHELD = b"loghc: the log is withheld, as a redact rule failed.\n"
"""The body when the log can't be redacted."""

_PIECE = 65_536  # bytes that are masked at once


class Renderer:
    """Makes the bodies of one sink's pings.

    Args:
        limit: bytes of a body at most.
        masker: takes out the ping URL's secret.
        redact: the user's own rules, or None.
        mask_secrets: the ready-made rules hold, too, before the user's.
    """

    def __init__(
        self, limit: int, masker: Masker, redact: Redactor | None, *, mask_secrets: bool = False
    ) -> None:
        self._limit = limit
        self._masker = masker
        self._redact = redact
        self._mask_secrets = mask_secrets
        self._said = False

    def render(self, snapshot: Snapshot, closing: str) -> bytes:
        """The last ``limit`` bytes of a snapshot and a closing text, plain, masked and redacted.

        Secrets are looked for in whole records, before the cut: what is cut off first can't leave
        the end of a secret behind, unrecognised. When a rule raises, nothing of the log
        is in the body; that is said once.

        Args:
            snapshot: the log.
            closing: text to put after it, or an empty str.

        Raises:
            ImportError, OSError: the ready-made rules can't be imported at the moment.
        """
        ready_made = _secrets() if self._mask_secrets else ()
        chunks, limit = (*snapshot.chunks, encode(closing)), self._limit
        try:
            body = self._clean(chunks, ready_made)
            if snapshot.begins_inside_record and len(body) < limit + CONTEXT:
                # Its first bytes may be the end of a secret cut in two. Rules that made the text
                # shorter must not bring them back in. The records after the first chunk are whole.
                rest = self._clean(chunks[1:], ready_made)
                whole = len(rest) if body.endswith(rest) else 0
                limit = min(limit, whole + max(0, len(body) - whole - CONTEXT))
        except BaseException as error:  # the user's own rule may raise anything
            if _is_interrupt(error):
                raise
            self._say(error)
            return keep_end(WITHHELD, limit)
        return keep_end(body, limit)

    def _clean(self, chunks: Iterable[bytes], ready_made: Sequence[Redactor]) -> bytes:
        """Chunks put together, without colours, masked and redacted."""
        # Before the masking: a colour that begins inside of a secret must not hide it.
        data = self._masked(without_escapes(b"".join(chunks)))
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
        if self._said:
            return
        self._said = True
        where = "".join(traceback.format_tb(error.__traceback__)[2:]).rstrip()
        report(
            f"redact raised {type(error).__name__}, so the log is withheld from this ping and any "
            f"other for which it does (its text isn't shown, as it may quote the log):\n{where}"
        )


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
