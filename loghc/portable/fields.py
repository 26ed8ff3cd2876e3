"""Lines of `key=value`: how files, and a sink's options, are written and read."""

TYPE_CHECKING = False  # importing typing in a watched program would keep it from shadowing it
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["format_fields", "parse_fields"]


def format_fields(fields: "Iterable[tuple[str, str]]") -> bytes:
    """The lines for some pairs, in their order."""
    lines = [f"{key}={_escape(value)}\n" for key, value in fields]
    return "".join(lines).encode("utf-8", "surrogateescape")  # a path may be any bytes


def parse_fields(data: bytes) -> "list[tuple[str, str]]":
    """The pairs in lines of `key=value`; a line without `=` has an empty value."""
    pairs = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        key, _, value = line.partition("=")
        if key:
            pairs.append((key, _unescape(value)))
    return pairs


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(value: str) -> str:
    parts = value.split("\\\\")
    return "\\".join([part.replace("\\n", "\n").replace("\\r", "\r") for part in parts])
