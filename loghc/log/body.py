"""What a ping carries: the end of the log, without secrets, cut to size."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterable, Iterator

from loghc.log.masking import Masker
from loghc.log.redaction import Redactor
from loghc.log.tail import CONTEXT, Snapshot
from loghc.stderr import say
from loghc.utf8 import encode, keep_end

__all__ = ["WITHHELD", "Renderer"]

WITHHELD = b"loghc: the log is withheld, as a redact rule failed.\n"
"""The body when the log can't be redacted."""

_PIECE = 65_536  # bytes that are masked at once

# The rules are imported with the first body. A child forked meanwhile would wait for ever for the
# end of an import whose thread it does not have: so forking waits instead.
_importing = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )


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
        """The last ``limit`` bytes of a snapshot and a closing text, masked and redacted.

        Secrets are looked for in whole records, before the cut: what is cut off first can't leave
        the end of a secret behind, unrecognised. When a rule raises, nothing of the log
        is in the body; that is said once.

        Args:
            snapshot: the log.
            closing: text to put after it, or an empty str.
        """
        chunks, limit = (*snapshot.chunks, encode(closing)), self._limit
        try:
            body = self._clean(chunks)
            if snapshot.begins_inside_record and len(body) < limit + CONTEXT:
                # Its first bytes may be the end of a secret cut in two. Rules that made the text
                # shorter must not bring them back in. The records after the first chunk are whole.
                rest = self._clean(chunks[1:])
                whole = len(rest) if body.endswith(rest) else 0
                limit = min(limit, whole + max(0, len(body) - whole - CONTEXT))
        except BaseException as error:  # the user's own rule may raise anything
            if _is_ctrl_c(error):
                raise
            self._say(error)
            return keep_end(WITHHELD, limit)
        return keep_end(body, limit)

    def _clean(self, chunks: Iterable[bytes]) -> bytes:
        """Chunks put together, masked and redacted."""
        data = self._masked(b"".join(chunks))
        if self._redact is None and not self._mask_secrets:
            return data
        text = data.decode("utf-8", "replace")
        if self._mask_secrets:
            for rule in _secrets():
                text = rule(text)
        if self._redact is None:
            return encode(text)
        return self._masked(encode(self._redact(text)))

    def _masked(self, data: bytes) -> bytes:
        return b"".join(self._masker.data(piece) for piece in _pieces(data))

    def _say(self, error: BaseException) -> None:
        """Tell where a rule raised. Not what: its text may quote the log."""
        if self._said:
            return
        self._said = True
        where = "".join(traceback.format_tb(error.__traceback__)[2:]).rstrip()
        say(
            f"redact raised {type(error).__name__}, so the log is withheld from this ping and any "
            f"other for which it does (its text isn't shown, as it may quote the log):\n{where}"
        )


def _secrets() -> tuple[Redactor, ...]:
    with _importing:
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


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether it is the user who interrupts the program, and not a rule that raises."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    return isinstance(error, KeyboardInterrupt) and on_main_thread
