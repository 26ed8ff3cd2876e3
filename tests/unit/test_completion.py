"""How ``await logger.complete()`` waits: it looks now and then, less and less often."""

from __future__ import annotations

import asyncio

import pytest

from loghc.completion import Completion


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes any time."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return pauses


async def complete(completion: Completion) -> None:
    await completion()


def test_it_looks_less_and_less_often_and_never_less_than_20_times_a_second(
    slept: list[float],
) -> None:
    asyncio.run(complete(Completion(lambda: len(slept) == 9, 20)))
    assert slept == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05, 0.05]


@pytest.mark.parametrize(("done", "seconds"), [(True, 20), (False, 0), (False, -1)])
def test_it_makes_no_pause_when_all_is_done_or_there_is_no_time(
    done: bool, seconds: float, slept: list[float]
) -> None:
    asyncio.run(complete(Completion(lambda: done, seconds)))
    assert slept == []
