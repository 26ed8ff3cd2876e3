"""What a guard sends of a dead process's sink: with that sink's options, from its entry."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from loghc.delivery import exiting
from loghc.entry.directory import Directory
from loghc.entry.keeper import Keeper
from loghc.guard import sending
from loghc.guard.sending import GuardedSink
from loghc.guard.settings import Settings
from loghc.log.tail import Tail
from loghc.ping import Event
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver
from processes import needs_posix

pytestmark = needs_posix

OPTIONS: dict[str, Any] = {
    "state": None,
    "limit": 100_000,
    "send_logs": True,
    "redact": (),
    "headers": {},
    "timeout": 10.0,
    "drain": 10.0,
    "mask_secrets": True,
    "events": tuple(Event),
}


class Job:
    """A sink's entry with an open run, in memory or in a state directory; and its guard's part."""

    def __init__(self, url: str, **options: Any) -> None:
        self.options = {**OPTIONS, **options}
        self.url = PingUrl.parse(url)
        self.run_id = str(uuid4())
        self.keeper = Keeper(self.url, self.options, str)
        log = Tail(self.options["limit"])
        log.append("before\n")
        self.keeper.marker_seen(log.snapshot, starts=True)
        self.keeper.note(Event.START, self.run_id, "", ends=False, owed=False)
        self.keeper.kept_with(log).append("password=Zq8rT2mKx91pLw the last\n")
        assert self.keeper.path is not None
        self.entry = Path(self.keeper.path)

    def die(self) -> None:
        """No lock is held any more."""
        self.keeper._thread.end(5)
        self.keeper.after_fork()

    def death(self) -> dict[str, str]:
        """Five minutes after now."""
        died = str(time.time() + 300)
        return {"died": died, "death": "killed by SIGKILL", "exit_status": "137"}

    def guard(self) -> GuardedSink:
        settings = Settings.of_sink(self.url, self.options, str(self.entry))
        return GuardedSink(Settings(json.loads(json.dumps(settings))))


@pytest.fixture
def job(receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # Each is the exit of a process of its own.
    monkeypatch.setattr(exiting, "_begun", [])
    monkeypatch.setattr(exiting, "_deliveries", weakref.WeakSet())
    jobs = []

    def make(url: str = receiver.url, **options: Any) -> Job:
        jobs.append(Job(url, **options))
        return jobs[-1]

    yield make
    for each in jobs:
        with contextlib.suppress(OSError):
            directory = Directory(str(each.entry))
            directory.remove()
            directory.close()


def sent(job: Job) -> None:
    guard = job.guard()
    job.die()
    guard.queue_ends(job.death())
    guard.deliver()


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_the_end_of_an_open_run_and_nothing_is_left(receiver, job, tmp_path, place) -> None:
    it = job(state=None if place == "memory" else str(tmp_path))
    sent(it)
    (failure,) = receiver.pings
    assert (failure.event, failure.exit_status, failure.run_id) == (Event.FAIL, 137, it.run_id)
    first, _, *log = failure.text.splitlines()
    assert re.fullmatch(r"killed by SIGKILL \(after 5 min \d s\)", first)
    assert log == ["before", "password=[redacted] the last"]
    assert not it.entry.exists()


def test_what_can_t_be_sent_is_left_on_a_disk_but_not_in_memory(receiver, job, tmp_path) -> None:
    receiver.always(503)
    jobs = [job(drain=0.1), job(drain=0.1, state=str(tmp_path))]
    for each in jobs:
        sent(each)
    assert [each.entry.exists() for each in jobs] == [False, True]


def test_with_the_sink_s_own_credentials_headers_and_limit(receiver, job) -> None:
    url = receiver.url.replace("://", "://user:word@") + "?create=1"
    sent(job(url, headers={"X-Team": "night"}, limit=60, mask_secrets=False))
    (failure,) = receiver.pings
    assert failure.headers["X-Team"] == "night"
    assert failure.headers["Authorization"].startswith("Basic ")
    assert failure.query.startswith("create=1&")
    assert len(failure.body) <= 60
    assert failure.text.endswith("Lw the last\n")


@pytest.mark.parametrize(
    "events", [(Event.START, Event.FAIL), (Event.START, Event.SUCCESS)], ids=str
)
def test_only_the_events_that_the_sink_sends(receiver, job, events) -> None:
    it = job(events=events)
    sent(it)
    assert [ping.event for ping in receiver.pings] == [
        each for each in events[1:] if each is Event.FAIL
    ]
    assert not it.entry.exists()


@pytest.mark.parametrize(
    "options", [{"send_logs": False}, {"redact": [str.lower]}], ids=["no logs", "a callable"]
)
def test_no_log_where_none_may_leave_the_process(receiver, job, options) -> None:
    sent(job(**options))
    (failure,) = receiver.pings
    assert (failure.event, failure.text) == (Event.FAIL, "")


def test_an_entry_in_memory_is_locked_until_its_sink_is_removed(job) -> None:
    it = job()
    guard = it.guard()
    other = Directory(str(it.entry))
    assert not other.lock()
    guard.release()
    assert other.lock()
    other.close()


def test_an_entry_on_a_disk_is_not(job, tmp_path) -> None:
    it = job(state=str(tmp_path))
    it.guard().release()
    it.die()
    other = Directory(str(it.entry))
    assert other.lock()
    other.close()


def test_a_child_s_copy_of_the_lock_is_waited_for(receiver, job, tmp_path) -> None:
    it = job(state=str(tmp_path))
    guard = it.guard()
    it.keeper._thread.end(5)
    threading.Timer(0.1, it.die).start()
    guard.queue_ends(it.death())
    guard.deliver()
    assert [ping.event for ping in receiver.pings] == [Event.FAIL]


def test_an_entry_that_stays_locked_is_another_s_to_send(
    receiver, job, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sending, "_CLAIMED_WITHIN_S", 0.05)
    it = job(state=str(tmp_path))
    began = time.monotonic()
    with pytest.raises(BlockingIOError):
        it.guard().queue_ends(it.death())
    assert time.monotonic() - began > 0.05
    assert it.entry.exists()
    assert not receiver.pings


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_where_the_entry_is_gone_nothing_is_owed(job, tmp_path, place) -> None:
    it = job(state=None if place == "memory" else str(tmp_path))
    it.keeper._thread.end(5)
    directory = Directory(str(it.entry))
    directory.remove()
    directory.close()
    with pytest.raises(FileNotFoundError):
        it.guard().queue_ends(it.death())
