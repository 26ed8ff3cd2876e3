"""Messages that were meant as markers are recognised; what programs log anyway is not."""

from __future__ import annotations

import pytest

from loghc import Event
from loghc.hints.near_misses import NearMisses
from loghc.markers import job_markers

SYNC = NearMisses(job_markers("sync"), "sync")
PHOTOS = NearMisses(job_markers("photos"), "photos")
BACKUP = NearMisses({"Backup finished": Event.SUCCESS, "Backup failed": Event.FAIL}, None)


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("sync.finish", "sync.done"),
        ("sync.finished: 12 photos", "sync.done"),
        ("sync.success", "sync.done"),
        ("sync.started", "sync.start"),
        ("sync.Started", "sync.start"),
        ("sync.failed", "sync.error"),
        ("sync.failure: disk full", "sync.error"),
        ("Sync.start", "sync.start"),
        ("SYNC.DONE", "sync.done"),
        ("sync.Error: disk full", "sync.error"),
        ("sync_done", "sync.done"),
        ("sync-error: disk full", "sync.error"),
        ("[photos] sync.start", "sync.start"),
        ("12:00:01 | INFO | sync.start", "sync.start"),
        ("✔ sync.done", "sync.done"),
        ("\ufeffsync.start", "sync.start"),
        (" sync.start", "sync.start"),
        ("\nsync.start", "sync.start"),
        ("'sync.start'", "sync.start"),
    ],
)
def test_a_near_miss_of_a_jobs_marker_is_found(message: str, meant: str) -> None:
    miss = SYNC.find(message)
    assert miss is not None
    assert miss[1] == meant


@pytest.mark.parametrize(
    "message",
    [
        "request.start",
        "app.sync.start",
        "resync.start",
        "sync.done.partial",
        "sync.done-late",
        "sync.start-up",
        "sync.stop",
        "sync.stats",
        "sync.progress: 3 of 12",
        "sync.py: loaded",
        "sync.photos.start",
        "syncing photo 3",
        "sync",
        "sync started at noon",
        "Sync error while reading photo 3, trying again",
        "now sync.done",
        "waiting for the next sync.start",
        "waiting for 'sync.start'",
        "Sync finished in 12 s",
        "Sync started",
        "sync: done",
        "asyncio.start",
        "",
    ],
)
def test_an_ordinary_message_is_none(message: str) -> None:
    assert SYNC.find(message) is None


def test_the_default_jobs_markers_at_a_sink_for_another_job_are_found() -> None:
    miss = PHOTOS.find("sync.done, 12 photos")
    assert miss is not None
    assert miss == (Event.SUCCESS, "photos.done")
    assert PHOTOS.find("request.start") is None
    assert PHOTOS.find("photos.finished") is not None
    assert BACKUP.find("sync.done") == (Event.SUCCESS, "Backup finished")
    assert BACKUP.find("sync.start") == (Event.START, None)


@pytest.mark.parametrize(
    "message",
    [
        "12:00 Backup finished",
        "Backup  finished",
        "Backup\tfinished: 12 files",
        "backup finished",
        "BACKUP FINISHED",
    ],
)
def test_a_text_of_ones_own_inside_a_message_or_spaced_otherwise_is_found(message: str) -> None:
    miss = BACKUP.find(message)
    assert miss is not None
    assert miss[1] == "Backup finished"


@pytest.mark.parametrize(
    "message", ["Backup finishedly", "Backup of photo 3", "finished", "Backup"]
)
def test_other_messages_with_the_same_words_are_none(message: str) -> None:
    assert BACKUP.find(message) is None


@pytest.mark.parametrize(("before", "found"), [(280, True), (290, False)])
def test_only_a_messages_beginning_is_examined(before: int, found: bool) -> None:
    assert (SYNC.find(f"[{'x' * before}] sync.error") is not None) is found


@pytest.mark.parametrize("job", ["a.b*(c", "é", "İ", "\ud800", "x" * 400, "\U0010ffff"])
def test_an_odd_job_name_raises_nothing(job: str) -> None:
    near_misses = NearMisses(job_markers(job), job)
    for message in ("", job, f"{job}.start", f"{job}.finish", f" {job}.start", f"{job} start"):
        near_misses.find(message)


def test_texts_of_white_space_and_no_texts_at_all_raise_nothing() -> None:
    for texts in ({" ": Event.LOG}, {}, {"\n": Event.LOG, "Bye": Event.FAIL}):
        assert NearMisses(texts, None).find("anything at all") is None
