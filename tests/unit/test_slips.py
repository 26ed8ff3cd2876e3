"""What is refused names the slip, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from loghc import HealthSink, job

KEY = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
URL = f"https://hc-ping.com/{KEY}"


@pytest.mark.parametrize(
    ("text", "slip"),
    [
        ("https://hc-ping.com/<uuid>", "it has a placeholder in it"),
        ("https://hc-ping.com/<your-uuid>", "it has a placeholder in it"),
        (f"https://hc-ping.com/<{KEY}>", "it has a placeholder in it"),
        ("https://hc-ping.com/%3Cuuid%3E", "it has a placeholder in it"),
        ("https://hc-ping.com/{uuid}", "it has a placeholder in it"),
        ("https://hc-ping.com/$HC_UUID", "it has a placeholder in it"),
        ("https://hc-ping.com/your-uuid-here", "it has a placeholder in it"),
        (f"'{URL}'", "it is in quotes; leave them out"),
        (f"\u201c{URL}\u201d", "it is in quotes"),
        (f"\u2018{URL}\u2019", "it is in quotes"),
        (f'"{URL}"', "it is in quotes"),
        ("https://bob:hunter2@hc-ping.com/<uuid>", "it has a placeholder in it"),
        ("https://hc-ping.com/<uuid>?hunter2", "it has a placeholder in it"),
        (f"HEALTH_CHECK_URL={URL}", "it begins with HEALTH_CHECK_URL="),
        (f'export HEALTH_CHECK_URL="{URL}"', "it begins with HEALTH_CHECK_URL="),
        (f"URL=http:hc-ping.com/{KEY}", "it begins with URL=; give the URL alone"),
        (f"URL={URL}?next=http://h/", "it begins with URL="),
        ("$BASE/x", "it begins with a variable"),
        (f"https://healthchecks.io/checks/{KEY}/details/", "this is a check's page"),
        (f"https://hc.example/projects/{KEY}/checks/", "this is a check's page"),
        (f"https://healthchecks.io/b/2/{KEY}.svg", "this is a badge"),
        (f"https://healthchecks.io/badge/{KEY}/x.json", "this is a badge"),
        ("https://hc-ping.com", "https://hc-ping.com is only the host"),
        ("https://user:hunter2@hc-ping.com/", "https://hc-ping.com is only the host"),
    ],
)
@pytest.mark.parametrize("where", ["url", "HEALTH_CHECK_URL", "HEALTH_CHECK_URL_FILE"])
def test_a_slip_in_the_url_is_named_wherever_it_stands(
    text: str, slip: str, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if where == "HEALTH_CHECK_URL":
        monkeypatch.setenv(where, text)
    elif where == "HEALTH_CHECK_URL_FILE":
        path = tmp_path / "url"
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        monkeypatch.setenv(where, str(path))
    with pytest.raises(ValueError, match=rf"^{where}: expected a ping URL") as caught:
        HealthSink(text if where == "url" else None)
    assert f"; {slip}" in str(caught.value)
    assert KEY not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        URL,
        "https://hc-ping.com/key/slug?create=1",
        "https://example.com/?token=x",
        "https://example.com/a=b",
        "https://example.com/checks/nightly",
        "https://example.com/badge/nightly",
        "https://example.com/price$5",
        "https://example.com/a<b",
        "https://example.com/a?b={c}",
        "https://bob:{hunter2}@example.com/a@b",
        "https://example.com/price{5",
        "https://example.com/<5",
        "https://example.com/x?next=<uuid>",
        "https://example.com/x?next={uuid}@",
        "https://bob:<uuid>{x}@example.com/x",
        "https://bob:%3Cuuid%3E@example.com/x",
        "https://bob:x@example.com/x@y",
        "https://example.com/x?url=https://example.com/y",
        "https://example.com/your-uuid",
    ],
)
def test_a_url_without_a_slip_is_taken(text: str) -> None:
    assert HealthSink(text).enabled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c2VjcmV0IGtleQ==", "; it must start with https:// or http://"),
        (f"curl c2VjcmV0 X={URL}", "without white space"),
    ],
)
def test_a_secret_that_looks_like_a_setting_is_not_shown(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        HealthSink(text)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "slip"),
    [
        ("photos.", "not 'photos.': loghc adds the dot itself"),
        ("my photos", "without white space, not 'my photos'"),
        (" photos", "without white space, not ' photos'"),
        ("photos\n", "without white space"),
        ("", "not ''"),
        ("photos.start", "not the marker 'photos.start': the job is 'photos'"),
        ("photos.done", "not the marker 'photos.done': the job is 'photos'"),
        ("nightly.photos.error", "the job is 'nightly.photos'"),
    ],
)
def test_a_slip_in_the_name_of_a_job_is_named(name: str, slip: str) -> None:
    for refuses in (lambda: HealthSink(URL, job=name), lambda: job(name)):
        with pytest.raises(ValueError, match=r"^job: expected a name such as 'photos'") as caught:
            refuses()
        assert slip in str(caught.value)


@pytest.mark.parametrize("name", ["sync", "nightly-backup", "a.b", "start", "photos.logs"])
def test_other_names_are_taken(name: str) -> None:
    assert HealthSink(URL, job=name).enabled
