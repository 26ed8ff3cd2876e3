"""What a sink listens for: how many messages are looked at, and how much of one is shown."""

from __future__ import annotations

import pytest

from loghc import Event
from loghc.hints import listener, no_marker
from loghc.hints.listener import Listener, quote
from loghc.markers import Markers

EVENTS = {"sync.done": Event.SUCCESS, "sync.start": Event.START}


ALL, OF_THE_JOB, MARKERS = [True] * 3, [False, True, True], [False, False, True]


@pytest.mark.parametrize(
    ("job", "target", "stages"),
    [
        ("sync", 1, [ALL, OF_THE_JOB, MARKERS, MARKERS]),
        (None, 1, [ALL, MARKERS, MARKERS, MARKERS]),
        ("sync", None, [MARKERS, MARKERS, MARKERS, MARKERS]),
    ],
    ids=["a job", "own markers", "no URL"],
)
def test_a_thousand_messages_are_looked_at_then_a_thousand_of_the_job_then_markers_alone(
    job: str | None, target: object, stages: list[list[bool]]
) -> None:
    listener = Listener(
        "HealthSink()", job=job, markers=Markers(EVENTS), mask=str, target=target, off=False
    )

    def looks_at(message: str) -> bool:
        first, after = listener.bounds
        return first <= message < after

    seen = []
    for _ in range(4):
        for _ in range(999):
            listener.record_seen("copied a photo")
        seen.append([looks_at(text) for text in ("copied", "syncing", "sync.done")])
        listener.record_seen("copied a photo")
    assert seen == stages


def test_the_newest_hundred_sinks_and_jobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    known = type(listener.known)()
    monkeypatch.setattr(listener, "known", known)
    monkeypatch.setattr(no_marker, "known", known)
    for number in range(150):
        Listener(str(number), job="sync", markers=Markers(EVENTS), mask=str, target=None, off=True)
        for _ in range(2):
            with no_marker.marker_of_job(str(number), "x.start", own_logger=False):
                known.thread.got_marker = True
    newest = list(map(str, range(50, 150)))
    assert [each.sink for each in known.listeners] == newest
    assert list(known.jobs) == newest


def test_a_message_is_shown_in_part_and_masked_before_it_is_cut() -> None:
    text = "x" * 75 + "secret" + "y" * 20_000
    assert quote(text, lambda text: text.replace("secret", "****")) == repr("x" * 75 + "****y")
    assert quote("short") == "'short'"
