"""Prints what the command shows, even if nobody reads it any more."""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["colourful", "show", "show_error", "width", "write"]


def show(text: str) -> None:
    """Print a line. A reader that has left, or a full disk, doesn't change the exit status."""
    with contextlib.suppress(OSError):
        write(sys.stdout, text)


def show_error(text: str) -> None:
    """Print a line on standard error, likewise."""
    with contextlib.suppress(OSError):
        write(sys.stderr, text)


def write(stream: TextIO | None, text: str) -> None:
    """Write a line at once. Without a stream (closed, or no console), do nothing.

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


def width() -> int:
    """Columns of the terminal; 80 in a pipe."""
    from shutil import get_terminal_size  # takes longer to import than a program to start

    return get_terminal_size().columns


def colourful(stream: TextIO | None) -> bool:
    """Whether to print in colour."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    # The console of older Windows shows the codes themselves.
    return stream is not None and stream.isatty() and not plain and sys.platform != "win32"


def _discard(descriptor: int) -> None:
    # What is buffered would be written again as the interpreter exits, which then complains and
    # exits with 120.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
