"""What a sink listens for: how many messages are looked at, and how much of one is shown."""

from __future__ import annotations

from loghc import Event
from loghc.hints.listener import Listener, quote
from loghc.markers import Markers

EVENTS = {"sync.done": Event.SUCCESS, "sync.start": Event.START}


def test_a_thousand_messages_are_looked_at_then_a_thousand_of_the_job_then_markers_alone() -> None:
    listener = Listener(
        "HealthSink()", job="sync", markers=Markers(EVENTS), mask=str, target=1, off=False
    )

    def looks_at(message: str) -> bool:
        first, after = listener.bounds
        return first <= message < after

    seen = []
    for _ in range(3):
        for _ in range(999):
            listener.record_seen("copied a photo")
        seen.append([looks_at(text) for text in ("copied", "syncing", "sync.done")])
        listener.record_seen("copied a photo")
    assert seen == [[True] * 3, [False, True, True], [False, False, True]]


def test_a_message_is_shown_in_part_and_masked_before_it_is_cut() -> None:
    text = "x" * 75 + "secret" + "y" * 20_000
    assert quote(text, lambda text: text.replace("secret", "****")) == repr("x" * 75 + "****y")
    assert quote("short") == "'short'"
