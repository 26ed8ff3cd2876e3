"""Which seeds a model test tries: the gate's few, or those that somebody asks for."""

from __future__ import annotations

import os

VARIABLE = "LOGHC_SEEDS"


def chunks(count: int, size: int) -> list[range]:
    """The seeds from 0 on, in chunks that are tests of their own and can run side by side.

    ``LOGHC_SEEDS=17`` asks for one seed, ``LOGHC_SEEDS=500-5499`` for many.

    Args:
        count: seeds that the gate tries.
        size: seeds of a chunk.
    """
    first, _, last = os.environ.get(VARIABLE, f"0-{count - 1}").partition("-")
    begin, end = int(first), int(last or first) + 1
    # A chunk begins at a multiple of its size, so that a seed is in the same one each time.
    starts = range(begin - begin % size, end, size)
    return [range(max(begin, start), min(end, start + size)) for start in starts]


def name(seeds: range) -> str:
    """A chunk's name, to be given as ``LOGHC_SEEDS``."""
    return f"{seeds[0]}-{seeds[-1]}" if seeds[1:] else str(seeds[0])
