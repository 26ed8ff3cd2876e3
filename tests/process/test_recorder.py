"""The recorder in real processes: what it takes, and what is left however the process ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loghc.portable.run_ids import run_id_from
from recorded import BOOTSTRAP, CAPACITY, RunDirectory, read, run, run_directory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no recorder elsewhere")

QUIET = "import os, sys\nfrom loguru import logger\nlogger.remove()\nlogger.add(lambda m: None)\n"


@pytest.fixture
def watch(tmp_path) -> Iterator[RunDirectory]:
    with run_directory(tmp_path / "run") as directory:
        yield directory


@pytest.fixture
def recorded(watch, tmp_path, program):
    """Runs a program with the recorder; the program is to succeed unless told otherwise."""

    def run(source, *args, status=0, directory=watch, env=None):
        done = directory.run(program(source), *args, cwd=tmp_path, env=env)
        assert done.returncode == status, done.stderr.decode()
        return done.stdout.decode()

    return run


def messages(directory: RunDirectory) -> list[str]:
    """What was logged, without times and places."""
    return [line.partition(" - ")[2] for line in directory.text.splitlines() if " - " in line]


# Which records


def test_a_record_has_its_time_level_and_place(recorded, watch):
    recorded(
        """
        from loguru import logger
        def sync():
            logger.warning("12 {}", "photos")
        logger.remove()
        logger.add(lambda m: print(m, end=""), format="{time:YYYY-MM-DD HH:mm:ss.SSS}")
        sync()
        """
    )
    assert re.fullmatch(
        r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| WARNING  \| __main__:sync:4 - 12 photos\n",
        watch.text,
    )
    reading = watch.reading
    assert reading.level == 30
    assert reading.written == len(watch.text)


def test_a_records_time_is_that_of_the_programs_own_log(recorded, watch):
    out = recorded(
        """
        import sys, time
        from loguru import logger
        logger.remove()
        form = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} - {message}"
        logger.add(sys.stdout, format=form)
        for _ in range(130):
            logger.info("x")
            time.sleep(0.01)
        """
    )
    assert watch.text == out


LOGS = {
    "the default handler": ("logger.info('a')\nlogger.trace('b')", ["a"]),
    "removed": ("logger.remove()\nlogger.info('a')", []),
    "removed by number": ("logger.remove(0)\nlogger.info('a')", []),
    "removed and added": (
        "logger.remove()\nlogger.add(print, level='WARNING')\nlogger.info('a')\nlogger.error('b')",
        ["b"],
    ),
    "the least of several": (
        "n = logger.add(print, level='TRACE')\n"
        "logger.trace('a')\n"
        "logger.remove(n)\n"
        "logger.trace('b')",
        ["a"],
    ),
    "configured": (
        "logger.configure(handlers=[dict(sink=print, level=25)])\n"
        "logger.info('a')\n"
        "logger.log(26, 'b')",
        ["b"],
    ),
    "filters are not asked": (
        "logger.remove()\nlogger.add(print, filter='other')\nlogger.info('a')",
        ["a"],
    ),
    "enqueued": ("logger.remove()\nlogger.add(print, enqueue=True)\nlogger.info('a')", ["a"]),
    "bound, patched, contextualized": (
        "logger.bind(a=1).info('a {a}', a=2)\n"
        "logger.patch(lambda r: r.update(message='b')).info('x')\n"
        "with logger.contextualize(c=1):\n    logger.opt(lazy=True).info('{}', lambda: 'c')",
        ["a 2", "b", "c"],
    ),
    "disabled": (
        "logger.disable('__main__')\nlogger.info('a')\nlogger.enable('__main__')\nlogger.info('b')",
        ["b"],
    ),
    "copied": (
        "import copy\n"
        "logger.remove()\n"
        "other = copy.deepcopy(logger)\n"
        "other.add(print)\n"
        "other.info('a')\n"
        "logger.info('b')",
        ["a"],
    ),
    "pickled": (
        "import pickle\n"
        "logger.remove()\n"
        "other = pickle.loads(pickle.dumps(logger))\n"
        "other.add(print)\n"
        "other.info('a')",
        ["a"],
    ),
    "a core of its own": (
        "from loguru._logger import Core, Logger\n"
        "own = Logger(Core(), *logger._options)\n"
        "own.add(print)\n"
        "own.info('a')",
        ["a"],
    ),
    "imported again": (
        "for name in [n for n in sys.modules if n.split('.')[0] == 'loguru']:\n"
        "    del sys.modules[name]\n"
        "from loguru import logger as again\nagain.info('a')\nlogger.info('b')",
        ["a", "b"],
    ),
    "reloaded": (
        "import importlib, loguru\nimportlib.reload(loguru).logger.info('a')\nlogger.info('b')",
        ["a", "b"],
    ),
    "surrogates": ("logger.info('a\\ud800b')", ["a?b"]),
    "braces and colors": (
        "logger.info('{}')\nlogger.opt(colors=True).info('<red>a</red>')",
        ["{}", "a"],
    ),
    "numbers": ("logger.info(12)", ["12"]),
    "broken by a patcher": (
        "logger.remove()\nlogger.add(print, format='{message}')\n"
        "logger.patch(lambda r: r.update(time='x')).info('t - a')\n"
        "logger.patch(lambda r: r.pop('process')).info('b')",
        ["a", "b"],
    ),
    "in UTC": (
        "from datetime import timezone\n"
        "utc = logger.patch(lambda r: r.update(time=r['time'].astimezone(timezone.utc)))\n"
        "logger.info('a')\nutc.info('b')\nlogger.info('c')",
        ["a", "b", "c"],
    ),
}


@pytest.mark.parametrize(("source", "expected"), LOGS.values(), ids=LOGS)
def test_what_the_programs_handlers_would_format_is_recorded(recorded, watch, source, expected):
    recorded(f"import sys\nfrom loguru import logger\n{source}")
    assert messages(watch) == expected
    assert all(reading.lost == 0 for reading in watch.readings)


def test_what_is_pickled_of_a_logger_knows_nothing_of_the_recorder(recorded, tmp_path):
    show = "print(logger._core.__getstate__()['min_level'])\n"
    source = f"from loguru import logger\nlogger.remove()\n{show}"
    source += f"logger.add(print, level='WARNING')\n{show}"
    with run_directory(tmp_path / "lower", level=10) as directory:
        assert recorded(source, directory=directory) == "inf\n30\n"


def test_handlers_that_are_changed_in_place_are_changed(recorded, watch):
    out = recorded(
        """
        import sys
        from loguru import logger
        logger.remove()
        first = logger.add(sys.stdout.write, format="1 {message}")
        logger.add(sys.stdout.write, format="2 {message}")
        logger.info("a")
        del logger._core.handlers[first]
        logger.info("b")
        """
    )
    assert out == "1 a\n2 a\n2 b\n"
    assert messages(watch) == ["a", "b"]


def test_the_level_of_a_childs_first_record_is_the_childs(recorded, watch):
    recorded(
        """
        import os
        from loguru import logger
        logger.remove()
        logger.add(lambda m: None)
        logger.info("parent")
        if not os.fork():
            logger.error("child")
            os._exit(0)
        os.wait()
        """
    )
    assert [reading.level for reading in watch.readings] == [20, 40]


def test_patched_times_of_another_zone_dont_get_mixed_up(recorded, watch):
    recorded(
        LOGS["in UTC"][0].join(["import sys\nfrom loguru import logger\n", ""]), env={"TZ": "EST+5"}
    )
    hours = [int(line[11:13]) for line in watch.text.splitlines()]
    assert hours[0] == hours[2] == (hours[1] - 5) % 24


@pytest.mark.parametrize(
    ("level", "expected"), [(10, ["b", "c"]), (40, ["c"]), (5, ["a", "b", "c"])]
)
def test_a_level_of_its_own_asks_for_more_or_less(recorded, tmp_path, level, expected):
    with run_directory(tmp_path / "other", level=level) as directory:
        out = recorded(
            """
            import sys
            from loguru import logger
            logger.remove()
            logger.info("no handler: nothing")
            n = logger.add(sys.stdout, level="INFO", format="{message}")
            logger.add(sys.stdout, level="WARNING", format="{message}")
            logger.remove(n)
            logger.trace("a"); logger.debug("b"); logger.error("c")
            """,
            directory=directory,
        )
        assert (out, messages(directory)) == ("c\n", expected)


def test_an_exceptions_traceback_is_recorded_without_values(recorded, watch):
    recorded(
        """
        from loguru import logger
        def sync(password):
            return 1 / password
        @logger.catch
        def task():
            sync(0)
        try:
            sync(0)
        except ZeroDivisionError:
            logger.exception("one")
        task()
        logger.opt(exception=True).info("none")
        """
    )
    assert watch.text.count("ZeroDivisionError: division by zero\n") == 2
    assert watch.text.count("    return 1 / password\n") == 2
    # From the outermost frame on that is the program's own.
    assert watch.text.count(", in <module>\n    sync(0)\n") == 1
    assert watch.text.count(", in task\n    sync(0)\n") == 1
    assert "catch_wrapper" not in watch.text
    assert "└" not in watch.text


def test_a_raw_record_is_recorded_as_it_is(recorded, watch):
    recorded("from loguru import logger\nfor _ in range(3):\n    logger.opt(raw=True).info('.')")
    assert watch.text == "..."


def test_a_program_without_loguru_leaves_nothing(recorded, watch):
    recorded("import sys\nassert 'loguru' not in sys.modules")
    assert watch.readings == []


def test_what_was_overwritten_is_counted(recorded, watch):
    recorded(QUIET + "for n in range(9000):\n    logger.info(n)")
    reading = watch.reading
    assert messages(watch)[-1] == "8999"
    assert 0 < len(watch.text) < reading.written
    assert len(watch.text) > CAPACITY * 0.5


def test_a_run_that_is_over_concerns_nobody(recorded, watch):
    out = recorded(
        QUIET
        + "import shutil\nshutil.rmtree(os.environ['LOGHC_RUN'])\nlogger.error('sync.error')\n"
        "import subprocess\n"
        "code = 'from loguru import logger; logger.info(1)'\n"
        "print(subprocess.run([sys.executable, '-c', code]).returncode)"
    )
    assert out == "0\n"


# How it ends


ENDS = {
    "the end": ("pass", 0),
    "os._exit": ("os._exit(3)", 3),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "SIGSEGV": ("faulthandler._sigsegv()", -11),
    "abort": ("os.abort()", -6),
    "exec": ("os.execv(sys.executable, [sys.executable, '-c', 'pass'])", 0),
    "exit by C": ("import ctypes\nctypes.CDLL(None).exit(4)", 4),
}


@pytest.mark.parametrize(("source", "status"), ENDS.values(), ids=ENDS)
def test_the_last_record_is_there_however_the_process_ends(recorded, watch, source, status):
    recorded(QUIET + f"import faulthandler, signal\nlogger.info('last')\n{source}", status=status)
    assert messages(watch) == ["last"]


def test_the_traceback_of_the_uncaught_exception_is_written(recorded, watch):
    recorded(QUIET + "sys.excepthook = lambda *a: None\ndef f():\n    1/0\nf()", status=1)
    trace = watch.reading.traceback
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("ZeroDivisionError: division by zero\n")


TOLD_APART = {
    "a thread's": "import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start()\nt.join()",
    "sys.exit": "sys.exit(0)",
    "one that was caught": "try:\n    1/0\nexcept Exception:\n    pass",
    "a console's": "import code\ncode.InteractiveInterpreter().runsource('1/0')",
    "one in atexit": "import atexit\natexit.register(lambda: 1/0)",
}


@pytest.mark.parametrize("source", TOLD_APART.values(), ids=TOLD_APART)
def test_other_exceptions_are_not_the_uncaught_one(recorded, watch, source):
    recorded(QUIET + source)
    assert watch.reading.traceback is None


@pytest.mark.parametrize(
    "body",
    [
        "raise SystemExit(9)",
        "raise KeyError",
        "os._exit(8)",
        "logger.info('sync.error')\n        return ''",
    ],
)
def test_what_an_exceptions_str_does_harms_nothing(recorded, watch, body):
    status = 8 if "_exit" in body else 1
    recorded(
        QUIET + f"class E(Exception):\n    def __str__(self):\n        {body}\nraise E",
        status=status,
    )
    assert len(watch.readings) == 1


UNTELLABLE = {
    "a text that ends the program": "class E(Exception):\n    def __str__(self): sys.exit(9)\n",
    "a truth that is none": "class E(Exception):\n    def __bool__(self): raise KeyError\n",
}


@pytest.mark.parametrize("source", UNTELLABLE.values(), ids=UNTELLABLE)
def test_an_exception_that_can_t_be_shown_is_named_with_its_place(recorded, watch, source):
    recorded(QUIET + source + "def f():\n    raise E('x')\nf()", status=1)
    trace = watch.reading.traceback
    assert trace.startswith("Traceback (most recent call last):\n  File ")
    assert ", in <module>\n" in trace
    assert ", in f\n" in trace
    assert trace.splitlines()[-1].startswith("E: ")


# Markers


def test_a_marker_is_told_at_once_and_kept(recorded, watch):
    recorded(
        QUIET
        + "logger.info('sync.log')\nlogger.bind(run_id='a b').error('sync.error: no\\tspace')\n"
        "logger.info('sync.errors')\nlogger.info('sync.log.x')\nos._exit(0)"
    )
    first, second = watch.messages
    reading = watch.reading
    assert (first.event, first.run_id, first.lane) == ("log", None, ())
    assert (second.event, second.run_id, second.pid) == (
        "fail",
        run_id_from("a b"),
        reading.pid,
    )
    assert (second.time_ns, second.line) == reading.frames[1][:2]
    assert (reading.failures, reading.markers) == (1, 2)


def test_a_full_channel_loses_no_failure(recorded, watch):
    recorded(
        QUIET
        + "for n in range(3000):\n    logger.info('sync.log {}', n)\nlogger.info('sync.error')"
    )
    sent = watch.messages
    assert 100 < len(sent) < 3000
    assert (watch.reading.failures, watch.reading.markers) == (1, 3001)


def test_a_long_marker_is_cut_for_the_channel_alone(recorded, watch):
    recorded(QUIET + "logger.error('sync.error: ' + 'é' * 9000)")
    (message,) = watch.messages
    assert 3000 < len(message.line) <= 4096
    assert message.line.decode().endswith("é")
    assert len(watch.text) > 9000


def test_a_marker_without_a_reader_is_no_sigpipe(recorded, watch):
    os.close(watch.channel)
    try:
        recorded(
            QUIET + "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
            "logger.error('sync.error')"
        )
    finally:
        watch.channel = os.dup(0)
        os.dup2(os.open(watch.path / "channel", os.O_RDWR | os.O_NONBLOCK), watch.channel)
    assert watch.reading.failures


def test_what_lies_in_the_channels_place_is_not_written_to(recorded, watch):
    (watch.path / "channel").unlink()
    (watch.path / "channel").write_text("a file")
    recorded(QUIET + "logger.error('sync.error')")
    assert (watch.path / "channel").read_text() == "a file"
    assert watch.reading.failures


# Several processes


def test_each_process_has_a_ring_of_its_own(recorded, watch):
    recorded(
        QUIET
        + """
import multiprocessing, subprocess
def work(n):
    logger.remove()
    logger.add(lambda m: None)
    logger.info(n)
    if n == "fork":
        logger.error("sync.error")
        os._exit(0)
if __name__ == "__main__":
    logger.info("main")
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=work, args=(method,))
        child.start()
        child.join()
    subprocess.run([sys.executable, "-c", "from loguru import logger; logger.info('child')"])
    logger.info("end")
"""
    )
    assert messages(watch) == ["main", "fork", "sync.error", "spawn", "forkserver", "child", "end"]
    assert [bool(reading.failures) for reading in watch.readings if len(reading.frames) == 2] == [
        False,
        True,
    ]
    assert len({reading.pid for reading in watch.readings}) == len(watch.readings) >= 5


def test_each_ring_that_is_opened_is_told(recorded, watch):
    recorded(
        QUIET + "if not os.fork():\n    logger.info('x')\n    os._exit(0)\nos.wait()\nos.fork()"
    )
    news = [(message.event, message.pid) for message in watch.news]
    assert news == [("ring", reading.pid) for reading in watch.readings]
    assert len(news) == 2


def test_a_failure_is_left_somewhere_though_there_is_neither_ring_nor_channel(recorded, watch):
    (watch.path / "channel").unlink()
    recorded(
        """
        import os, resource
        from loguru import logger
        used = len(os.listdir("/proc/self/fd")) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
        files = []
        try:
            while True:
                files.append(os.dup(0))
        except OSError:
            pass
        logger.remove()
        logger.add(lambda m: None)
        if not os.fork():
            logger.error("sync.error")
            os._exit(0)
        os.wait()
        """
    )
    assert (watch.path / "failed").exists()


def test_a_spawned_child_that_gets_the_logger_is_recorded(recorded, watch):
    recorded(
        """
        import multiprocessing, sys
        from loguru import logger
        def work(log):
            log.info("in the child")
            log.complete()
        if __name__ == "__main__":
            multiprocessing.set_start_method("spawn")
            logger.remove()
            logger.add(sys.stdout, enqueue=True)
            child = multiprocessing.Process(target=work, args=(logger,))
            child.start()
            child.join()
        """
    )
    assert messages(watch) == ["in the child"]


def test_a_childs_uncaught_exception_is_written(recorded, watch):
    recorded(
        QUIET
        + """
import multiprocessing
def work(status):
    if status == "a child of its own":
        child = multiprocessing.get_context("fork").Process(target=work, args=(None,))
        child.start()
        child.join()
        status = 3
    if status is not None:
        sys.exit(status)
    raise KeyError("in the child")
if __name__ == "__main__":
    for method, status in (("fork", None), ("spawn", None), ("fork", "a child of its own")):
        child = multiprocessing.get_context(method).Process(target=work, args=(status,))
        try:
            1 / 0
        except ZeroDivisionError:
            child.start()
        child.join()
    if not os.fork():
        raise KeyError("in a bare fork")
    os.wait()
"""
    )
    traces = [reading.traceback for reading in watch.readings if reading.traceback]
    assert traces[-1].endswith("KeyError: 'in a bare fork'\n")
    assert len(traces) == 4
    assert all(trace.endswith("KeyError: 'in the child'\n") for trace in traces[:3])


def test_a_fork_amid_threads_that_log_hangs_nobody(recorded, watch):
    recorded(
        """
        import os, threading
        from loguru import logger
        logger.remove()
        logger.add(lambda m: None)
        stop = False
        def log(n):
            while not stop:
                logger.info("thread {}", n)
        threads = [threading.Thread(target=log, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for n in range(20):
            pid = os.fork()
            if not pid:
                logger.info("child {}", n)
                os._exit(0)
            os.waitpid(pid, 0)
        stop = True
        """
    )
    assert {f"child {n}" for n in range(20)} <= set(messages(watch))
    assert len(watch.readings) == 21


def test_threads_lose_nothing(recorded, tmp_path):
    with run_directory(tmp_path / "large", capacity=1 << 22) as directory:
        recorded(
            QUIET + "import threading\nsys.setswitchinterval(1e-5)\n"
            "def log(t):\n    for n in range(300):\n        logger.info('{} {}', t, n)\n"
            "ts = [threading.Thread(target=log, args=(t,)) for t in range(16)]\n"
            "[t.start() for t in ts]\n[t.join() for t in ts]",
            directory=directory,
        )
        (ring,) = directory.path.glob("*.ring")
        found: dict[str, list[int]] = {}
        for frame in read(ring, 1 << 22).frames:
            thread, number = frame.data.decode().rpartition(" - ")[2].split()
            found.setdefault(thread, []).append(int(number))
        assert list(found.values()) == [list(range(300))] * 16


def test_a_signal_handler_that_logs_anywhere_loses_nothing(recorded, watch):
    out = recorded(
        """
        import signal, sys
        from loguru import logger
        logger.remove()
        class Handler:  # no lock, unlike loguru's, which forbids what is tried here
            levelno = 0
            def emit(self, *args): pass
            def stop(self): pass
        logger.add(lambda m: None)
        logger._core.handlers[1] = Handler()
        count = 0
        def handle(*args):
            global count
            count += 1
            logger.info("inner {}", count)
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for n in range(1500):
            logger.info("outer {}", n)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(count)
        """
    )
    found = messages(watch)
    assert [m for m in found if m[0] == "o"] == [f"outer {n}" for n in range(1500)]
    assert len(found) == 1500 + int(out)
    assert int(out) > 5


# What can't be had


def test_a_level_larger_than_any_costs_no_record(recorded, watch):
    recorded(QUIET + "logger.log(2**64, 'sync.error: large')\nlogger.log(2**70, 'larger')")
    assert messages(watch) == ["sync.error: large", "larger"]
    assert (watch.reading.failures > 0, watch.reading.lost) == (True, 0)


def test_without_a_descriptor_there_is_a_note_and_no_ring(recorded, watch):
    recorded(
        """
        import os, resource
        import loguru
        loguru.logger.remove()
        loguru.logger.add(lambda m: None)
        loguru.logger.info("parent")
        used = len(os.listdir("/proc/self/fd")) + 20
        files = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
        try:
            while True:
                files.append(os.dup(0))
        except OSError:
            pass
        if not os.fork():
            loguru.logger.info("child")
            os._exit(0)
        assert os.wait()[1] == 0
        """
    )
    assert messages(watch) == ["parent"]
    assert watch.reading.orphans == 1
    (note,) = watch.notes
    assert "Too many open files" in note.text


def test_a_loguru_of_another_make_is_left_alone(recorded, watch, program):
    program("class logger:\n    info = print", "loguru.py")
    assert recorded("from loguru import logger\nlogger.info('x')") == "x\n"
    (note,) = watch.notes
    assert "can't be recorded" in note.text


PYTHONS = ["python2.7", *(f"python3.{minor}" for minor in range(5, 15))]


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHONS)
def test_any_python_starts_as_without(watch, tmp_path, program, name):
    python = shutil.which(name)
    if (
        not python
        or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
    ):
        pytest.skip("not installed")
    program("import sys\nsys.own = __name__", "lib/sitecustomize.py")
    show = "import sys; print(sorted(sys.modules), sys.path, getattr(sys, 'own', None)); 1/0"
    for paths in ([], [str(tmp_path / "lib")]):
        env = {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
        alone = run([python, "-c", show], tmp_path, env)
        env = {**watch.environment, "PYTHONPATH": os.pathsep.join([str(BOOTSTRAP), *paths])}
        recorded = run([python, "-c", show], tmp_path, env)
        assert (recorded.stdout, recorded.stderr) == (alone.stdout, alone.stderr)
        assert recorded.returncode == alone.returncode == 1


def test_a_file_size_limit_that_kills_is_not_touched(recorded, watch):
    recorded(
        """
        import resource, signal, sys
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        from loguru import logger
        logger.info("x")
        """
    )
    assert watch.readings == []
    assert len(watch.notes) == 1


@pytest.fixture
def tiny(tmp_path) -> Iterator[Path]:
    """A file system in memory with room for half a ring."""
    place = tmp_path / "tiny"
    place.mkdir()
    size = f"size={CAPACITY // 2}"
    mount = shutil.which("mount")
    if (
        not mount
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", size, "tmpfs", place], check=False
        ).returncode
    ):
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_file_system_costs_the_log_and_not_the_job(recorded, tiny):
    with run_directory(tiny / "run") as directory:
        out = recorded(QUIET + "logger.error('sync.error')\nprint('on')", directory=directory)
        assert out == "on\n"
        assert list(directory.path.glob("*.ring")) == []
        (note,) = directory.notes
        assert note.text == "can't open a ring: No space left on device"
        (message,) = directory.messages  # a marker arrives all the same
        assert message.event == "fail"


def test_a_file_system_that_fills_up_later_kills_nobody(recorded, tiny):
    with run_directory(tiny / "run", capacity=CAPACITY // 4) as directory:
        recorded(
            QUIET + "try:\n    with open(os.environ['LOGHC_RUN'] + '/ballast', 'wb') as f:\n"
            "        while True:\n            f.write(bytes(4096))\nexcept OSError:\n    pass\n"
            "for n in range(3000):\n    logger.info(n)",
            directory=directory,
        )
        assert messages(directory)[-1] == "2999"


def test_a_killed_process_leaves_whole_records_alone(watch, tmp_path, program):
    name = program(QUIET + "print(flush=True)\nn = 0\nwhile True:\n    n += 1\n    logger.info(n)")
    for delay in range(5):
        with subprocess.Popen(
            [sys.executable, name], cwd=tmp_path, stdout=subprocess.PIPE,
            env={**os.environ, **watch.environment},
        ) as child:  # fmt: skip
            child.stdout.readline()
            try:
                child.wait(0.05 + delay / 100)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
    for reading in watch.readings:
        numbers = [int(frame.data.rpartition(b" - ")[2]) for frame in reading.frames]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
