"""A marker is in its ring before the watcher is told: what the channel can't bring is there."""

from __future__ import annotations

import os
import time
from array import array

import pytest
from test_trust import NOBODY, dead_run, needs_root  # noqa: F401 - a fixture

from loghc.entry.directory import Directory
from loghc.ping import Event
from loghc.portable import layout
from loghc.portable.ring import open_ring
from processes import RUN, TIMEOUT, needs_posix, run, started

pytestmark = needs_posix

HOW = (f"os.setgid({NOBODY}); os.setuid({NOBODY})", "os.chroot(os.getcwd())")


@needs_root
@pytest.mark.parametrize("how", HOW)
def test_a_daemon_that_can_open_nothing_any_more_is_told_of(receiver, program, tmp_path, how):
    name = program(
        f"""
        import os, time
        from loguru import logger
        inherited = os.open("go", os.O_RDONLY)
        {how}
        logger.info("sync.start")
        while not os.read(inherited, 1):
            time.sleep(0.01)
        logger.info("sync.done")
        """
    )
    (tmp_path / "go").touch()
    process = started(*RUN, "--markers-only", name, cwd=tmp_path)
    start, *_ = receiver.wait(1, timeout=TIMEOUT)  # while it runs
    (tmp_path / "go").write_text("go")
    process.communicate(timeout=TIMEOUT)
    _, end = receiver.wait(2, timeout=TIMEOUT)
    assert (start.event, end.event) == (Event.START, Event.SUCCESS)
    assert start.run_id == end.run_id
    assert end.text.endswith(" - sync.done\n")


@needs_root
def test_a_failure_of_a_process_that_can_open_nothing_any_more_is_told_at_once(
    receiver, program, tmp_path
):
    name = program(
        f"""
        import os, time
        from loguru import logger
        {HOW[0]}
        logger.error("sync.error: disk full")
        time.sleep(600)
        """
    )
    process = started(*RUN, name, cwd=tmp_path)
    _, failure = receiver.wait(2, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert "sync.error: disk full" in failure.text
    process.terminate()
    process.communicate(timeout=TIMEOUT)


def test_no_flood_of_notes_hides_a_failure(receiver, program, tmp_path):
    name = program(
        """
        import os, signal
        from loguru import logger
        os.kill(os.getppid(), signal.SIGSTOP)  # the watcher
        channel = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(channel, bytes(4096))
        except BlockingIOError:
            pass  # it is full
        for _ in range(500):
            logger.info("sync.log")
        logger.info("sync.start")
        logger.error("sync.error: disk full")
        os.kill(os.getppid(), signal.SIGCONT)
        """
    )
    assert run(*RUN, "--markers-only", name, cwd=tmp_path).returncode == 0
    end = receiver.pings[-1]
    assert [ping.event for ping in receiver.pings if ping.event.ends_run] == [Event.FAIL]
    assert end.event is Event.FAIL
    assert end.text.startswith("disk full")  # not as one that may have been lost


@pytest.mark.parametrize("pairs", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_of_many_processes_that_begin_and_end_runs_none_fails(receiver, program, tmp_path, pairs):
    name = program(
        f"""
        import os
        from loguru import logger
        for _ in range(8):
            if os.fork() == 0:
                for _ in range({pairs}):
                    logger.info("sync.start")
                    logger.info("sync.done")
                os._exit(0)
        for _ in range(8):
            os.wait()
        """
    )
    done = run(*RUN, "--markers-only", "--drain", "60", name, cwd=tmp_path, timeout=100)
    assert done.returncode == 0
    told = [ping.event for ping in receiver.pings]
    assert Event.SUCCESS in told
    assert Event.FAIL not in told


# Rings that were made up, or that another version wrote


@pytest.mark.parametrize("made_up", ["empty frames", "places like frames", "zeros"])
def test_a_ring_that_was_made_up_costs_no_time(tmp_path, made_up):
    from loghc.entry.collector import Collector

    size = 1 << 26
    ring = open_ring(str(tmp_path), size, os.getpid())
    ring.append(b"one\n", 1)
    (path,) = tmp_path.glob("*.ring")
    head = size + size
    with path.open("r+b") as file:
        content = bytearray(file.read())
        words = memoryview(content)[: layout.HEADER].cast("Q")
        words[layout.RING_HEAD] = head
        words.release()
        upper = (head >> 24).to_bytes(5, "little")
        if made_up == "places like frames":
            content[layout.HEADER :] = (upper * (size // 5 + 1))[:size]
        elif made_up == "empty frames":
            frames = array("Q", bytes(size))
            frames[0::4] = array("Q", range(size, head, 32))
            frames[1::4] = array("Q", [5]) * (size // 32)
            frames[3::4] = array("Q", range(size + 32, head + 1, 32))
            content[layout.HEADER :] = frames.tobytes()
        file.seek(0)
        file.write(content)
    collector = Collector(Directory(str(tmp_path)), 100_000)
    begun = time.monotonic()
    collector.read()
    assert time.monotonic() - begun < 15  # seconds; it took 31


def test_a_ring_of_another_version_is_told_without_its_log(receiver, tmp_path, dead_run):  # noqa: F811
    path, env = dead_run
    (ring,) = path.glob("*.ring")
    with ring.open("r+b") as file:
        magic = int.from_bytes(file.read(8), "little")
        file.seek(0)
        file.write((magic + (1 << layout.FORMAT_BITS)).to_bytes(8, "little"))
    run(*RUN, "true", cwd=tmp_path, env=env)
    _, late, *_ = receiver.wait(4, timeout=TIMEOUT)
    assert late.event is Event.FAIL
    assert "was kept by another version of loghc" in late.text
    assert " - last\n" not in late.text
