"""What a ping carries: the end of the log, without secrets, cut to size."""

from __future__ import annotations

from loghc.masking import Masker
from loghc.redaction import Redactor
from loghc.tail import CONTEXT, Snapshot
from loghc.utf8 import encode, keep_end

__all__ = ["render"]


def render(
    snapshot: Snapshot, closing: str, limit: int, masker: Masker, redact: Redactor | None
) -> bytes:
    """The last ``limit`` bytes of a snapshot and a closing text, masked and redacted.

    Secrets are looked for in whole records, before the cut: what is cut off first can't leave the
    end of a secret behind, unrecognised.

    Args:
        snapshot: the log.
        closing: text to put after it, or an empty str.
        limit: bytes at most.
        masker: takes out the ping URL's secret.
        redact: the user's own rules, or None.
    """
    # Chunk by chunk: the interpreter's lock is let go between them, so that a long log doesn't
    # stop the app's threads for as long as it takes.
    masked = [masker.data(chunk) for chunk in (*snapshot.chunks, encode(closing))]
    if redact is not None:
        text = b"".join(masked).decode("utf-8", "replace")
        masked = [masker.data(encode(redact(text)))]
    body = b"".join(masked)
    if snapshot.begins_inside_record and len(body) < limit + CONTEXT:
        # Rules made it shorter; its first bytes may still be the end of a secret cut in two.
        limit = min(limit, max(0, len(body) - CONTEXT))
    return keep_end(body, limit)
