"""Which messages are markers."""

from __future__ import annotations

import re
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loghc import Event
from loghc.markers import Markers, job_markers
from marker_examples import EXAMPLES

SYNC = Markers(job_markers("sync"))


@pytest.mark.parametrize(("message", "event"), EXAMPLES.items(), ids=repr)
def test_a_message_is_a_marker_or_not(message: str, event: Event | None) -> None:
    assert SYNC.match(message) is event


@given(
    st.sampled_from(list(job_markers("sync"))),
    st.sampled_from(["", ".", "-", "_", "..", ".-", "--", ":", " ", "\n", "/", "\0", "\u2714"]),
    st.sampled_from(["", "a", "Z", "é", "ß", "1", "\u0661", "\u00b2", "_", "中", "!", "\ud800"]),
    st.text(max_size=3),
)
def test_matching_agrees_with_one_plain_regular_expression(
    marker: str, separator: str, letter: str, rest: str
) -> None:
    message = f"{marker}{separator}{letter}{rest}"
    found = re.match(r"(sync\.(?:start|done|error|log))(?![\w]|[.-]\w)", message)
    expected = None if found is None else job_markers("sync")[found[1]]
    assert SYNC.match(message) is expected


pieces = st.sampled_from(
    ["sync.", "sync.done", "done", "sync.error", ".", "-", "_", "a", "é", "1", " ", "\n", ":", "✔"]
)
some_text = st.one_of(pieces, st.text(max_size=3), st.sampled_from("\U0010ffff\ud7ff\ud800\0"))


@given(
    st.lists(some_text.filter(bool), max_size=3),
    st.lists(some_text, max_size=4).map("".join),
)
def test_markers_of_any_text_are_found_and_nothing_else(texts: list[str], rest: str) -> None:
    markers = Markers(dict.fromkeys(texts, Event.LOG))
    pattern = "|".join(rf"{re.escape(text)}(?!\w|[.-]\w)" for text in texts) or "(?!)"
    for message in (rest, *(text + rest for text in texts)):
        assert (markers.match(message) is not None) == bool(re.match(pattern, message))


def test_the_bounds_leave_room_for_little_else() -> None:
    assert SYNC.bounds == ("sync.done", "sync.staru")
    assert Markers({"a\U0010ffff": Event.LOG}).bounds[1] == "b"


def test_the_job_names_the_markers() -> None:
    assert job_markers("nightly-backup") == {
        "nightly-backup.start": Event.START,
        "nightly-backup.done": Event.SUCCESS,
        "nightly-backup.error": Event.FAIL,
        "nightly-backup.log": Event.LOG,
    }


def test_a_job_name_is_plain_text_and_no_pattern() -> None:
    markers = Markers(job_markers("a.b*(c"))
    assert markers.match("a.b*(c.done") is Event.SUCCESS
    assert markers.match("aXbb(c.done") is None


def test_own_messages_trigger_pings_and_the_usual_markers_no_longer_do() -> None:
    markers = Markers({"Backup finished": Event.SUCCESS, "Backup failed": Event.FAIL})
    assert markers.match("Backup finished: 12 files") is Event.SUCCESS
    assert markers.match("Backup failed.") is Event.FAIL
    assert markers.match("Backup finishedly") is None
    assert markers.match("sync.done") is None
    assert not markers.bounds[0] <= "sync.done" < markers.bounds[1]


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_that_fit_the_longest_counts(turned: bool) -> None:
    events = {"Done": Event.SUCCESS, "Done: with errors": Event.FAIL}
    markers = Markers(dict(reversed(events.items())) if turned else events)
    assert markers.match("Done: with errors, 3") is Event.FAIL
    assert markers.match("Done: without errors") is Event.SUCCESS
    assert markers.match("Done: with errorsome files") is Event.SUCCESS


def test_an_event_may_be_named_by_its_value() -> None:
    assert Markers(MappingProxyType({"Bye": "fail"})).match("Bye") is Event.FAIL  # type: ignore[dict-item]


def test_without_any_markers_nothing_matches() -> None:
    markers = Markers({})
    assert markers.match("sync.done") is None
    assert not markers.bounds[0] <= "" < markers.bounds[1]


@pytest.mark.parametrize("markers", [["sync.done"], "sync.done", 1, {("sync.done", Event.FAIL)}])
def test_markers_that_are_no_mapping_are_refused(markers: object) -> None:
    with pytest.raises(TypeError, match=r"^markers: expected a mapping .* not (list|str|int|set)$"):
        Markers(markers)  # type: ignore[arg-type]


def test_a_marker_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^markers: expected messages to be str, not int$"):
        Markers({1: Event.FAIL})  # type: ignore[dict-item]


def test_an_empty_marker_is_refused_since_every_message_begins_with_it() -> None:
    with pytest.raises(ValueError, match=r"^markers: expected a message, not an empty str$"):
        Markers({"": Event.FAIL})


@pytest.mark.parametrize("event", ["failed", None, 1, [], "FAIL", Event])
def test_an_unknown_event_is_refused_and_the_known_ones_are_named(event: object) -> None:
    with pytest.raises(ValueError, match=r"^markers\['Bye'\]: .*Event\.FAIL.* not ") as caught:
        Markers({"Bye": event})  # type: ignore[dict-item]
    assert repr(event) in str(caught.value)


@pytest.mark.parametrize("job", [None, 1, b"sync"])
def test_a_job_that_is_no_text_is_refused(job: object) -> None:
    with pytest.raises(TypeError, match=r"^job: expected a str, not "):
        job_markers(job)  # type: ignore[arg-type]


@pytest.mark.parametrize("job", ["", " sync", "sync\n"])
def test_a_job_name_with_white_space_around_it_or_none_at_all_is_refused(job: str) -> None:
    with pytest.raises(ValueError, match=r"^job: expected a name ") as caught:
        job_markers(job)
    assert repr(job) in str(caught.value)
