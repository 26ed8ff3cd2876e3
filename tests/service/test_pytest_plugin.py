"""The fixture `ping_receiver`, as a project that has loghc installed meets it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run pytest in a process of its own, which finds the plugin by its entry point."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", *args)


def test_the_fixture_is_there_without_any_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import urllib.request

        def test_pings(ping_receiver):
            urllib.request.urlopen(ping_receiver.url + "/start", data=b"12 photos").close()
            (ping,) = ping_receiver.wait(1)
            assert ping.text == "12 photos"
        """
    )

    run(pytester, "-W", "error").assert_outcomes(passed=1)


def test_each_test_has_a_receiver_of_its_own_that_stops_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import socket
        from urllib.parse import urlsplit
        import pytest

        earlier = []

        @pytest.mark.parametrize("n", [1, 2])
        def test_pings(ping_receiver, n):
            assert ping_receiver.pings == ()
            for url in earlier:
                assert url != ping_receiver.url
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", urlsplit(url).port))
            socket.create_connection(("127.0.0.1", urlsplit(ping_receiver.url).port)).close()
            earlier.append(ping_receiver.url)
        """
    )

    run(pytester).assert_outcomes(passed=2)


def test_a_missing_ping_reads_well_in_the_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_pings(ping_receiver):
            ping_receiver.wait(1, timeout=0.01)
        """
    )

    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *AssertionError: 0 of 1 pings came within 0.01 s"])


def test_pytest_lists_the_fixture_with_what_it_is(pytester: pytest.Pytester) -> None:
    run(pytester, "--fixtures").stdout.fnmatch_lines(
        ["ping_receiver -- *", "*A monitoring service on a loopback port, for one test*"]
    )


def test_a_run_that_does_not_use_it_loads_no_receiver(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            assert "loghc.testing.plugin" in sys.modules
            assert not {"loghc.testing.receiver", "http.server", "urllib3"} & set(sys.modules)
        """
    )

    run(pytester).assert_outcomes(passed=1)
