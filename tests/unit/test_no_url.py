"""What is said of an environment in which no ping URL was found."""

from __future__ import annotations

import os

import pytest

from loghc.hints.no_url import why_no_url

NONE = (
    "no ping URL is set. Set HEALTH_CHECK_URL, or HEALTH_CHECK_URL_FILE to the path of a file "
    "that holds it."
)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("HEALTH_CHECK_URL", "https://x", "was set after HealthSink() was made. Set it before."),
        ("HEALTH_CHECK_URL_FILE", "a", "was set after HealthSink() was made. Set it before."),
        ("HEALTH_CHECK_URL", "", "is set, and empty. Put the ping URL into HEALTH_CHECK_URL, or "),
        ("HEALTH_CHECK_URL_FILE", " \n", "is set, and empty. Put the ping URL into "),
        *(
            (name, "", f"no ping URL is set. {name} is, but loghc reads HEALTH_CHECK_URL.")
            for name in (
                "HEALTHCHECK_URL",
                "healthcheck_url",
                "health_check_url",
                "MY_HEALTH_CHECK_URL",
                "HC_PING_URL",
                "PingUrl",
                "HEALTHCHECK_PING_URL",
            )
        ),
        *((name, "", NONE) for name in ("DATABASE_URL", "HEALTHCHECK_ID", "PING", "HOME")),
    ],
)
def test_the_variable_that_was_probably_meant_is_named(
    name: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in os.environ:
        monkeypatch.delenv(other)
    monkeypatch.setenv(name, value)
    assert why in why_no_url()
