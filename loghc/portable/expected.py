"""Looks for what a run is expected to say in the text that passes."""

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TEXT", "Expected", "matcher"]

TEXT = "text"


class Expected:
    """Expectations that have not been met yet.

    Args:
        expectations: pairs of a kind, ``text`` or ``pattern``, and what is expected.

    Attributes:
        left: by number, functions that check whether a text meets an expectation.
    """

    __slots__ = ("left",)

    def __init__(self, expectations: "list[tuple[str, str]]") -> None:
        self.left = {number: matcher(*each) for number, each in enumerate(expectations)}

    def meet(self, text: str) -> "list[int]":
        """The numbers of those that a text meets, each once."""
        met = [number for number, found in list(self.left.items()) if found(text)]
        return [number for number in met if self.left.pop(number, None) is not None]


def matcher(kind: str, expected: str) -> "Any":
    """A function that checks whether a text has what is expected.

    Raises:
        re.error: it is not a regular expression.
    """
    if kind == TEXT:
        return lambda text: expected in text
    import re  # which loguru has imported by then

    return re.compile(expected, re.MULTILINE).search
