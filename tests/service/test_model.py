"""A sink against the plainest model: each marker's ping arrives in order, or its loss is told.

Each seed is a scenario: threads, tasks, forks, faults of the service, a sink that is replaced.
CONTRIBUTING.md says how to try more of them than the gate does.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

import pytest
import trustme

import seeds
from loghc import Event
from loghc.delivery import Delivery
from loghc.delivery.policy import Backoff, Policy
from loghc.delivery.queued import LOG_LEFT_OUT
from loghc.testing import PingReceiver, ReceivedRequest
from services import running_proxy, server_context
from sink_scenarios import CHUNK, WAYS, Given, Play, Scenario, Seen

_AROUND = 400  # bytes that a headline, and a character that was cut, may take
REFUSALS = (302, 400, 403, 404, 409, 410)  # the statuses among the faults that are final
_EVENTS = {"start": Event.START, "fail": Event.FAIL, "log": Event.LOG}


@pytest.fixture(scope="session")
def proxy_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_proxy(tmp_path_factory.mktemp("proxy")) as port:
        yield port


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between attempts."""
    policy = Policy(Backoff(first=0.002, cap=0.05), repeat_after_s=0.01, refused_for_s=2.0)
    monkeypatch.setattr("loghc.direct.Delivery", functools.partial(Delivery, policy=policy))


# A TLS connection whose attempt was cut off may be left to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.usefixtures("brisk", "trusted")
@pytest.mark.parametrize("chunk", seeds.chunks(500, CHUNK), ids=seeds.name)
def test_each_marker_is_delivered_in_order_or_reported(
    chunk: range,
    authority: trustme.CA,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = WAYS[chunk[0] // CHUNK % len(WAYS)]
    tls = server_context(authority) if way.startswith("tls") else None
    if way.endswith("proxy"):
        proxy = f"http://127.0.0.1:{request.getfixturevalue('proxy_port')}"
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("https_proxy", proxy)
    for seed in chunk:
        scenario = Scenario(seed)
        with PingReceiver(body_limit=scenario.body_limit, ssl_context=tls) as receiver:
            try:
                processes = Play(scenario, receiver, tmp_path)()
                Model(scenario, receiver, processes).holds()
            except Exception as error:
                raise AssertionError(f"{seeds.VARIABLE}={seed}: {error}") from error


class Marker(NamedTuple):
    """A marker that a sink was given.

    Attributes:
        given: its record.
        log: all that the sink had been given by then, its line the last.
    """

    given: Given
    log: bytes


class Told(NamedTuple):
    """What became of a marker's ping.

    Attributes:
        marker: which one.
        run_id: of its run.
        delivered: the service took it.
        refused: the service refused it for good.
        attempts: requests made for it.
        arrivals: the requests with it that the service took, by their number.
    """

    marker: Marker
    run_id: str
    delivered: bool
    refused: bool
    attempts: int
    arrivals: list[int]


class Model:
    """What has to hold after a scenario."""

    def __init__(self, scenario: Scenario, receiver: PingReceiver, processes: list[Seen]) -> None:
        self._scenario = scenario
        self._options = scenario.options
        self._body_limit = receiver.body_limit
        self._processes = processes
        self._requests = [each for each in receiver.requests if each.accepted]
        self._unexplained = set(range(len(self._requests)))

    def holds(self) -> None:
        for number, seen in enumerate(self._processes):
            told = list(self._told(seen))
            self._accounted_for(seen, told)
            self._in_order(told)
            self._said(seen, told, to_the_end=number == 0)
            self._paired(seen, told)
        left = [self._requests[number] for number in self._unexplained]
        if self._scenario.answers_lost:  # then what has no log of its own may have come twice
            left = [each for each in left if each.body not in (b"", LOG_LEFT_OUT.whole())]
        assert not left, [str(request) for request in left]

    def _told(self, seen: Seen) -> Iterator[Told]:
        """Each marker that is to be sent, with its outcome; all outcomes are some marker's."""
        outcomes = list(seen.outcomes)
        ended: set[str] = set()
        for marker in self._markers(seen):
            given = marker.given
            if not self._scenario.named:
                # The log's end was sent again, as the service had not kept it.
                while outcomes and outcomes[0][0] is Event.LOG and outcomes[0][1] in ended:
                    self._again(outcomes.pop(0))
            outcome = next(
                (each for each in outcomes if each[0] is given.event and given.name == each[1])
                if self._scenario.named
                else iter(outcomes),
                None,
            )
            if outcome is None:
                assert given.event in _not_understood(seen.said), f"no outcome: {given}"
                continue
            outcomes.remove(outcome)
            event, run_id, delivered, status, error, attempts, superseded = outcome
            assert event is given.event, (outcome, given)
            assert given.name in (None, run_id), (outcome, given)
            if event.ends_run:
                ended.add(run_id)
            refused = not delivered and status in REFUSALS
            assert refused or delivered or superseded or self._scenario.hasty, error
            # Less of a log is always taken, whoever refuses all of it.
            assert self._may_be_refused or not refused, error
            arrivals = self._arrivals(marker, run_id, delivered=delivered)
            yield Told(marker, run_id, delivered, refused, attempts, arrivals)
        for outcome in outcomes:
            assert outcome[1] in ended
            self._again(outcome)

    def _markers(self, seen: Seen) -> Iterator[Marker]:
        log = b"".join(each.text.encode() for each in seen.before)
        for given in seen.given:
            log += given.text.encode()
            if given.event in (self._options["events"] or tuple(Event)):
                yield Marker(given, log)

    def _arrivals(self, marker: Marker, run_id: str, *, delivered: bool) -> list[int]:
        """The requests that bring a marker's ping, each with the log as it was."""
        found: list[int] = []
        for number in sorted(self._unexplained):
            request = self._requests[number]
            if (found or not delivered) and request.body in (b"", LOG_LEFT_OUT.whole()):
                continue  # it may be another's of the same run
            event, rid = _event_and_run(request)
            # An end that was set aside goes as a note, if a newer end was taken meanwhile.
            # Another process's note of this run ends otherwise.
            as_note = event is Event.LOG and marker.given.event.ends_run
            log = request.body.partition(b"loghc: this ping has ")[0]
            if as_note and not marker.log.endswith(log[-50:]):
                continue
            is_it = event is marker.given.event or as_note
            if is_it and rid == run_id and self._is_log(marker, number):
                found.append(number)
        self._unexplained -= set(found)
        return found

    def _is_log(self, marker: Marker, number: int) -> bool:
        """Whether a request's body is the log up to a marker's line, or says why it isn't."""
        body = self._requests[number].body
        if not self._options["send_logs"] or body == LOG_LEFT_OUT.whole():
            return self._options["send_logs"] or body == b""
        limit = min(self._options["limit"], self._body_limit or self._options["limit"])
        if marker.given.event is Event.FAIL and limit <= 2 * _AROUND:
            return len(body) <= self._options["limit"]  # a headline may take all of it
        if marker.given.event is Event.FAIL:  # a headline stands in front
            body = body.partition(b"\n\n")[2] or body
        log, note, _ = body.partition(b"loghc: this ping has ")
        enough = len(log) >= min(len(marker.log), limit - _AROUND)
        return marker.log.endswith(log) and (enough or bool(note))

    def _again(self, outcome: tuple[Event, str, bool, int | None, str | None, int, bool]) -> None:
        """The log of an end was sent again, for who got its front, or less of it."""
        event, run_id = outcome[:2]
        assert event is Event.LOG
        self._unexplained -= {
            number
            for number in self._unexplained
            if _event_and_run(self._requests[number]) == (event, run_id)
        }

    def _accounted_for(self, seen: Seen, told: list[Told]) -> None:
        """Emitted is delivered and reported, and the service saw just that."""
        delivered = sum(outcome[2] for outcome in seen.outcomes)
        superseded = sum(outcome[6] for outcome in seen.outcomes)
        failed = len(seen.outcomes) - delivered - superseded
        assert seen.stats == (delivered, failed, 0, superseded)
        for each in told:
            if each.delivered:
                assert each.arrivals, f"said to be delivered: {each.marker.given}"
            if not self._scenario.answers_lost:
                # The log of an end may come once more, as a note.
                most = 2 if each.marker.given.event.ends_run else 1
                assert each.delivered <= len(each.arrivals) <= most, each.marker.given

    def _in_order(self, told: list[Told]) -> None:
        """The service saw them in the order in which the sink did."""
        # What is refused again and again is set aside.
        most = 2 if self._may_be_set_aside else math.inf
        first = [each.arrivals[0] for each in told if each.delivered and each.attempts <= most]
        assert first == sorted(first), first

    @property
    def _may_be_refused(self) -> bool:
        scenario = self._scenario
        return scenario.ignorant or scenario.refusing or scenario.hasty

    @property
    def _may_be_set_aside(self) -> bool:
        scenario = self._scenario
        return scenario.ignorant or scenario.refusing or bool(scenario.strict.kind)

    def _said(self, seen: Seen, told: list[Told], *, to_the_end: bool) -> None:
        """What was given up, refused or left out is in what was said, and nothing else is."""
        lines = seen.said.splitlines()
        assert all(line.startswith("loghc: ") for line in lines), seen.said
        lost = [each for each in seen.outcomes if not each[2] and not each[6]]
        refused = Counter(each.marker.given.event for each in told if each.refused)
        given_up = len(lost) - sum(each[3] in REFUSALS for each in lost)
        assert given_up <= _sum(r"loghc: (\d+) pings? \(.* given up\.", lines), seen.said
        for event in refused:
            said = re.search(
                f"^loghc: {event.value} ping to .* not delivered: |given up",
                seen.said,
                re.MULTILINE,
            )
            assert said or event in _not_understood(seen.said), (event, seen.said)
        superseded = sum(each[6] for each in seen.outcomes)
        counted = _sum(r"loghc: .*?(\d+) pings? superseded by newer", lines)
        assert counted <= superseded
        if to_the_end:  # but for a few, which one failed attempt makes void,
            # and for logs that were offered once more, and not taken
            offers = sum(each[6] and each[0] is Event.LOG for each in seen.outcomes)
            assert superseded - offers - counted <= 4, seen.said
        if all(outcome[2] and outcome[5] < 2 for outcome in seen.outcomes):
            assert not any("not delivered" in line for line in lines)

    def _paired(self, seen: Seen, told: list[Told]) -> None:
        """An end has the run id of its start, and no other run has it."""
        if self._scenario.named:
            return
        run_ids = {
            (each.marker.given.event, each.marker.given.number): each.run_id for each in told
        }
        of_run: defaultdict[int, set[str]] = defaultdict(set)
        open_runs: defaultdict[str, list[tuple[int, Given]]] = defaultdict(list)
        for number, given in enumerate(seen.given):
            here = open_runs[given.actor]
            if given.event is Event.START:
                here.append((number, given))
            if given.event is None or (given.event is Event.LOG and not here):
                continue
            if not here or here[-1][1].name != given.name:
                return  # its start came while the sink was removed: it ends some other run
            if (run_id := run_ids.get((given.event, given.number))) is not None:
                of_run[here[-1][0]].add(run_id)
            if given.event.ends_run:
                here.pop()
        assert all(len(ids) == 1 for ids in of_run.values()), of_run
        assert len(set[str]().union(*of_run.values())) == len(of_run), of_run


def _not_understood(said: str) -> list[Event]:
    """The events that are not sent any more, as was said."""
    words = {Event.START: "no more starts are sent", Event.LOG: "no more logs are sent"}
    return [event for event, text in words.items() if text in said]


def _event_and_run(request: ReceivedRequest) -> tuple[Event, str]:
    event = _EVENTS.get(request.path.rpartition("/")[2], Event.SUCCESS)
    return event, parse_qs(request.query)["rid"][0]


def _end(log: bytes, limit: int) -> bytes:
    """The last bytes of a log, without a character that the cut left half."""
    return log[-limit:].decode("utf-8", "ignore").encode()


def _sum(pattern: str, lines: list[str]) -> int:
    return sum(int(found[1]) for line in lines if (found := re.match(pattern, line)))
