"""Prints what the command shows, also where nobody reads it any more."""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["show", "show_error", "write"]


def show(text: str) -> None:
    """Print a line. A reader that has left, or a full disk, doesn't change the exit status."""
    with contextlib.suppress(OSError):
        write(sys.stdout, text)


def show_error(text: str) -> None:
    """The same on standard error."""
    with contextlib.suppress(OSError):
        write(sys.stderr, text)


def write(stream: TextIO | None, text: str) -> None:
    """Write a line at once. Without a stream (closed, a program without a console): nothing.

    Raises:
        OSError: it can't be written; the stream discards it, and all that follows.
    """
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(f"{text}\n".encode(encoding, "replace").decode(encoding))
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):
            _discard(stream.fileno())
        raise


def _discard(descriptor: int) -> None:
    # What is buffered would be written again as the interpreter exits, which then complains and
    # exits with 120.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
