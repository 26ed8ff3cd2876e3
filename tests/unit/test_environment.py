"""``HEALTH_CHECK_URL`` and ``HEALTH_CHECK_URL_FILE``."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from loghc import HealthSink
from loghc.service.environment import turned_off

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
URL = f"https://hc-ping.com/{UUID}"

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


@pytest.fixture
def url_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "url"
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", str(path))
    path.touch(mode=0o600)
    return path


def refusal() -> str:
    with pytest.raises(ValueError, match=r"^HEALTH_CHECK_URL_FILE: expected ") as caught:
        HealthSink()
    assert UUID not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [URL, f"{URL}\n", f"\n  {URL}\r\n\r\n", f"\ufeff{URL}\n"])
def test_the_file_holds_the_url_with_white_space_around_it(url_file: Path, content: str) -> None:
    url_file.write_text(content, encoding="utf-8")
    assert repr(HealthSink()) == "HealthSink('https://hc-ping.com/***', job='sync')"


def test_the_url_itself_goes_before_the_file(
    url_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url_file.write_text("https://file.example/x")
    monkeypatch.setenv("HEALTH_CHECK_URL", " https://variable.example/x ")
    assert "variable.example" in repr(HealthSink())
    assert "argument.example" in repr(HealthSink("https://argument.example/x"))


def test_variables_that_are_empty_or_not_set_disable_the_sink(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not HealthSink().enabled
    monkeypatch.setenv("HEALTH_CHECK_URL", " ")
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", " ")
    assert not HealthSink().enabled


def test_white_space_around_the_path_does_not_count(
    url_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url_file.write_text(URL)
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", f" {url_file}\n")
    assert HealthSink().enabled


def test_a_file_may_be_as_long_as_the_limit(url_file: Path) -> None:
    url_file.write_bytes(URL.encode().ljust(8192))
    assert HealthSink().enabled
    url_file.write_bytes(URL.encode().ljust(8193))
    assert "is longer than 8192 bytes" in refusal()


@pytest.mark.parametrize("off", ["off", " OFF\n", "Off"])
def test_off_disables_every_sink_whatever_a_file_holds(
    off: str, url_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url_file.write_text(URL)
    monkeypatch.setenv("HEALTH_CHECK_URL", off)
    assert turned_off()
    assert not HealthSink().enabled
    assert not HealthSink(URL).enabled
    for other in ("", "offline", "of", URL):
        monkeypatch.setenv("HEALTH_CHECK_URL", other)
        assert not turned_off()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe" + URL.encode("utf-16-le"), "is not UTF-8 text"),
        (URL.encode() + b" " * 10_000, "is longer than 8192 bytes"),
        (URL.encode() + b"\n" + URL.encode(), "without white space"),
        (b"password=" + UUID.encode(), "it must start with"),
    ],
)
def test_a_file_without_a_url_is_refused_without_showing_it(
    url_file: Path, content: bytes, reason: str
) -> None:
    url_file.write_bytes(content)
    assert reason in refusal()


def test_a_huge_file_is_not_read_whole(url_file: Path) -> None:
    with url_file.open("wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        assert "longer than 8192 bytes" in refusal()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_not_there_is_refused(url_file: Path) -> None:
    url_file.unlink()
    assert "can't be read: No such file" in refusal()


def test_a_path_with_a_host_s_name_in_it_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", "/nowhere/hc-ping.com/url")
    assert "'/nowhere/hc-ping.com/url' can't be read: No such file" in refusal()


def test_a_directory_is_refused(url_file: Path) -> None:
    url_file.unlink()
    url_file.mkdir()
    assert str(url_file) in refusal()


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_can_t_be_read_is_refused(url_file: Path) -> None:
    url_file.chmod(0)
    assert "Permission denied" in refusal()


@posix
@pytest.mark.timeout(10)
def test_a_fifo_does_not_hang_the_program(url_file: Path) -> None:
    url_file.unlink()
    os.mkfifo(url_file, 0o600)
    assert "not a regular file" in refusal()


@posix
@pytest.mark.timeout(10)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", device)
    refusal()


def test_a_url_in_the_place_of_the_path_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", URL)
    assert "HEALTH_CHECK_URL takes one" in refusal()


@posix
def test_a_variable_that_is_not_utf_8_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environb, b"HEALTH_CHECK_URL", URL.encode() + b"\xff")
    with pytest.raises(ValueError, match=r"^HEALTH_CHECK_URL: ") as caught:
        HealthSink()
    assert UUID not in repr(caught.value)


def test_a_url_without_its_scheme_in_the_place_of_the_path_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in (f"hc-ping.com/{UUID}", "hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/nightly", UUID):
        monkeypatch.setenv("HEALTH_CHECK_URL_FILE", text)
        said = refusal()
        assert "fqOO" not in said
    assert "; '***' can't be read: " in said


@posix
@pytest.mark.parametrize(
    ("mode", "warned"),
    [(0o600, False), (0o640, False), (0o660, False), (0o644, True), (0o444, True), (0o602, True)],
)
def test_a_file_that_others_can_read_or_change_is_warned_about_once(
    url_file: Path, mode: int, warned: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    url_file.write_text(URL)
    url_file.chmod(mode)
    HealthSink()
    HealthSink()
    said = capfd.readouterr().err
    assert said.count(f"has mode {mode:04o}") == warned
    assert said.count(". chmod o= keeps them out.") == warned
    assert UUID not in said


@posix
@pytest.mark.parametrize(("mode", "warned"), [(0o755, False), (0o1777, False), (0o777, True)])
def test_a_directory_in_which_others_can_replace_the_file_is_warned_about_once(
    url_file: Path, mode: int, warned: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    url_file.write_text(URL)
    url_file.parent.chmod(mode)
    HealthSink()
    HealthSink()
    said = capfd.readouterr().err
    assert said.count("is in a directory that others can write") == warned
    assert said.count(". chmod o-w keeps them out.") == warned
    assert UUID not in said


@posix
def test_a_path_may_be_relative(
    url_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url_file.write_text(URL)
    url_file.parent.chmod(0o777)
    monkeypatch.chdir(url_file.parent)
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", url_file.name)
    assert HealthSink().enabled
    assert "'url' is in a directory that others can write" in capfd.readouterr().err
