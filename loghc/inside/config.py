"""What the watcher wants recorded, from the file `config` in the run directory."""

__all__ = ["Config", "escaped", "read_config"]

_UNESCAPED = {"n": "\n", "r": "\r"}
_CAPACITY = 1 << 18  # bytes of a ring, unless said otherwise


class Config:
    """The run directory's settings that concern the recorder.

    Attributes:
        capacity: bytes of a ring's data area.
        level: the least level number that is recorded, None for what the program's handlers take.
        markers: pairs of an event's name and a marker.
    """

    def __init__(self) -> None:
        self.capacity = _CAPACITY
        self.level = None  # type: float | None
        self.markers = []  # type: list[tuple[str, str]]


def read_config(path: str) -> Config:
    """Read the file. Keys that mean nothing to the recorder are ignored.

    Raises:
        OSError, ValueError: it can't be read.
    """
    config = Config()
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        key, _, value = line.partition("=")
        value = _unescape(value)
        if key == "capacity":
            config.capacity = int(value)
        elif key == "level":
            number = float(value)
            config.level = int(number) if number == int(number) else number
        elif key == "marker":
            event, _, marker = value.partition(" ")
            if marker:
                config.markers.append((event, marker))
    return config


def escaped(value: str) -> str:
    """A value as it stands in the file, and in a sink's options."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    parts = iter(value)
    return "".join(_after_backslash(next(parts, "")) if part == "\\" else part for part in parts)


def _after_backslash(char: str) -> str:
    return _UNESCAPED.get(char, char)
