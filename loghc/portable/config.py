"""What the watcher wants recorded, from the file `config` in the run directory."""

import posix

from . import layout
from .fields import parse_fields
from .stdlib import load
from .trusted import FILE, TrustedDirectory, open_trusted, read_trusted

__all__ = ["FILE_NAME", "Config", "read_config", "watcher_lives"]

FILE_NAME = "config"

_LIMIT_BYTES = 1 << 20  # of the file


class Config:
    """The run directory's settings that concern the recorder.

    Args:
        fields: pairs of a key and a value. Keys that mean nothing here are ignored.

    Attributes:
        capacity: bytes of a ring's data area.
        level: the lowest level number to record; None: what the program's handlers take.
        markers: from marker to its event's name.
        expected: pairs of a kind, ``text`` or ``pattern``, and what the run is expected to say.
        by_run: each record says which run it belongs to.
        fields: all of the fields.

    Raises:
        ValueError: a field can't be understood.
    """

    def __init__(self, fields: "list[tuple[str, str]]") -> None:
        self.capacity = layout.DEFAULT_CAPACITY_BYTES
        self.level = None  # type: float | None
        self.markers = {}  # type: dict[str, str]
        self.expected = []  # type: list[tuple[str, str]]
        self.by_run = False
        self.fields = dict(fields)
        for key, value in fields:
            if key == "capacity":
                self.capacity = min(int(value), layout.MAX_CAPACITY_BYTES)
            elif key == "level":
                number = float(value)
                self.level = int(number) if number == int(number) else number
            elif key == "scope":
                self.by_run = value == "run"
            elif key == "marker":
                event, _, marker = value.partition(" ")
                if marker:
                    self.markers[marker] = event
            elif key == "expect":
                kind, _, text = value.partition(" ")
                self.expected.append((kind, text))


def read_config(path: str) -> Config:
    """Read the configuration of a run.

    Args:
        path: the run directory's.

    Raises:
        OSError: it can't be read, or isn't ours.
        ValueError: it can't be understood.
    """
    with TrustedDirectory(path) as directory:
        return Config(parse_fields(read_trusted(FILE_NAME, _LIMIT_BYTES, directory=directory)))


def watcher_lives(path: str) -> bool:
    """Whether the run of a directory is still being watched: its watcher holds the lock."""
    fcntl = load("fcntl")
    try:
        with TrustedDirectory(path) as directory:
            descriptor = open_trusted(layout.LOCK, FILE, directory=directory)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        posix.close(descriptor)
    return False
