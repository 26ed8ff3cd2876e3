"""`loghc run`: a program finds everything as it does without, Python and loguru alike."""

from __future__ import annotations

import json
import py_compile
import re
import sys
import zipapp
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import RUN, events, needs_posix, run

# As python would have run it


LOOKS_AROUND = """
    import json, os, pickle, sys
    import __main__
    class Photo: pass
    def copy(count: int): pass  # a string where loghc's own __future__ imports leak
    def look():
        names = {
            name: repr(value).split(" at 0x")[0]
            for name, value in vars(__main__).items() if name.startswith("__")
        }
        print(json.dumps({
            "argv": sys.argv, "path": sys.path, "names": names, "cwd": os.getcwd(),
            "annotations": repr(copy.__annotations__),
            "pickled": pickle.dumps(Photo()).hex(), "stdin": sys.stdin.read(),
        }, indent=1))
    if __name__ == "__main__":
        look()
"""


@pytest.mark.parametrize(
    "target",
    [
        ["program.py", "a", "--level", "b", "--", "-m", "c"],
        ["./program.py"],
        ["pack/../program.py", ""],
        ["link.py"],
        ["compiled.pyc"],
        ["pack"],
        ["pack.pyz", "--help"],
        ["-m", "pack", "--no-start", "-m"],
        ["-m", "pack.inner.sync"],
        ["-m", "program"],
    ],
    ids=" ".join,
)
def test_a_program_finds_what_it_finds_when_python_runs_it(receiver, program, tmp_path, target):
    program(LOOKS_AROUND)
    program(LOOKS_AROUND, "pack/__main__.py")
    program("", "pack/__init__.py")
    program(LOOKS_AROUND, "pack/inner/sync.py")  # in a namespace package
    zipapp.create_archive(tmp_path / "pack", tmp_path / "pack.pyz")
    py_compile.compile(str(tmp_path / "program.py"), str(tmp_path / "compiled.pyc"))
    (tmp_path / "elsewhere").mkdir()
    program(LOOKS_AROUND, "elsewhere/real.py")
    (tmp_path / "link.py").symlink_to("elsewhere/real.py")
    alone = run(sys.executable, *target, cwd=tmp_path, stdin="12 photos")
    watched = run(*RUN, *target, cwd=tmp_path, stdin="12 photos")
    assert alone.returncode == 0, alone.stderr
    assert json.loads(watched.stdout) == json.loads(alone.stdout)
    assert watched.stderr == alone.stderr
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]


def test_a_console_script_runs_by_its_name(receiver, tmp_path):
    script = Path(sys.executable).with_name("pygmentize")  # comes with pytest
    alone = run(script, "-V", cwd=tmp_path)
    watched = run(*RUN, "pygmentize", "-V", cwd=tmp_path)
    assert alone.returncode == 0
    assert (watched.returncode, watched.stdout) == (0, alone.stdout)


def test_a_console_script_without_a_script_file_runs_too(receiver, program, tmp_path):
    program("import sys\ndef main():\n    print(sys.argv[1:])\n    return 6", "lib/gallery.py")
    program(
        "Metadata-Version: 2.1\nName: gallery\nVersion: 1\n", "lib/gallery-1.dist-info/METADATA"
    )
    program(
        "[console_scripts]\ngallery-sync = gallery:main\n",
        "lib/gallery-1.dist-info/entry_points.txt",
    )
    done = run(
        *RUN, "gallery-sync", "--all", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "lib")}
    )
    assert (done.returncode, done.stdout) == (6, "['--all']\n")
    assert events(receiver)[1:] == [(Event.FAIL, 6)]


def test_a_module_of_the_programs_may_have_the_name_of_one_that_loghc_needs(
    receiver, program, tmp_path
):
    program("raise ImportError('not this one')", "email.py")
    program("raise ImportError('not this one')", "queue.py")
    script = Path(sys.executable).with_name("loghc")
    done = run(script, "run", program("print('out')"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")
    assert len(receiver.pings) == 2


def test_children_see_no_url_that_came_on_the_command_line(program, tmp_path):
    name = program(
        """
        import os, subprocess, sys
        assert not [text for text in (*sys.argv, *os.environ.values()) if "PING-ME" in text]
        subprocess.run([sys.executable, "-c", "import os; print(sorted(os.environ))"], check=True)
        """
    )
    with PingReceiver() as receiver:
        url = f"{receiver.base_url}/{receiver.ping_key}/ping-me?create=1&PING-ME"
        env = {"PYTHONHASHSEED": "0"}
        watched = run(*RUN, "--health-check-url", url, name, cwd=tmp_path, env=env)
        alone = run(sys.executable, name, cwd=tmp_path, env=env)
    assert (watched.returncode, watched.stdout) == (0, alone.stdout)


@needs_posix
def test_forked_children_tell_no_end(receiver, program, tmp_path):
    name = program(
        """
        import multiprocessing, os, sys
        from loguru import logger
        def work():
            logger.info("in the child")
        if __name__ == "__main__":
            for leave in (sys.exit, os._exit):
                child = os.fork()
                if not child:
                    leave(3)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
            for method in ("fork", "spawn", "forkserver"):
                child = multiprocessing.get_context(method).Process(target=work)
                child.start()
                child.join()
                assert child.exitcode == 0
            logger.info("in the parent")
        """
    )
    done = run(*RUN, name, cwd=tmp_path, env={"PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]
    assert receiver.pings[1].text.endswith("in the parent\n")


@needs_posix
def test_a_child_that_is_terminated_dies_as_it_would_have(receiver, program, tmp_path):
    name = program(
        """
        import multiprocessing, signal, time
        def work(ready):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            ready.set()
            time.sleep(60)
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        child = context.Process(target=work, args=(ready,))
        child.start()
        assert ready.wait(30)
        child.terminate()
        child.join()
        assert child.exitcode == -signal.SIGTERM
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert events(receiver)[1:] == [(Event.SUCCESS, None)]


# loguru, as the program sets it up


HANDLERS = {
    "the default one": "logger.info('one')",
    "removed": "logger.remove()\nlogger.info('one')",
    "removed by number": "logger.remove(0)\nlogger.info('one')",
    "removed twice": (
        "logger.remove(0)\ntry:\n    logger.remove(0)\n"
        "except ValueError as error:\n    print(error)\n"
        "logger.info('one')"
    ),
    "numbers that count on": (
        "number = logger.add(sys.stdout, format='{message}')\nprint(number)\n"
        "logger.remove(number)\nprint(logger.add(sys.stdout, format='{message}'))\n"
        "logger.info('one')"
    ),
    "configured": (
        "print(logger.configure(handlers=[dict(sink=sys.stdout, format='{message}', "
        "level='WARNING')]))\nlogger.info('one')\nlogger.warning('two')"
    ),
    "listed": "logger.remove()\nprint(len(logger._core.handlers), list(logger._core.handlers))\n"
    "logger.info('one')",
    "copied": (
        "import copy\nlogger.remove()\nother = copy.deepcopy(logger)\n"
        "other.add(sys.stdout, format='{message}')\nother.info('one')"
    ),
    "set up by the environment": (
        "import os, importlib\nos.environ.update(LOGURU_LEVEL='ERROR', LOGURU_FORMAT='{message}')\n"
        "sys.stderr = sys.stdout\nfrom loguru import logger\n"
        "logger.info('one')\nlogger.error('two')"
    ),
    "looked for first": (
        "import importlib.util\nassert importlib.util.find_spec('loguru').loader\n"
        "from loguru import logger\nlogger.info('one')"
    ),
    "with a traceback down to the first frame": (
        "logger.remove()\nlogger.add(sys.stdout, format='{message}')\n"
        "def copy():\n    try:\n        1/0\n    except ZeroDivisionError:\n"
        "        logger.exception('one')\ncopy()"
    ),
    "caught by a decorator": (
        "logger.remove()\nlogger.add(sys.stdout, format='one', diagnose=False)\n"
        "@logger.catch\ndef copy():\n    1/0\ncopy()"
    ),
}


@pytest.mark.parametrize("source", HANDLERS.values(), ids=HANDLERS)
def test_the_programs_handlers_are_as_without_and_its_log_arrives(
    receiver, program, tmp_path, source
):
    late = "from loguru import logger" in source
    name = program(f"import sys\n{'' if late else 'from loguru import logger'}\n{source}")
    frozen = {"LOGURU_FORMAT": "{level} {message}"}
    alone = run(sys.executable, name, cwd=tmp_path, env=frozen)
    watched = run(*RUN, name, cwd=tmp_path, env=frozen)
    assert alone.returncode == watched.returncode == 0, alone.stderr
    assert _addressless(watched.stdout) == _addressless(alone.stdout)
    assert watched.stderr == alone.stderr
    assert " - one\n" in receiver.wait(2)[1].text or "caught in function" in receiver.pings[1].text


def _addressless(text):
    return re.sub("0x[0-9a-f]+", "0x", text)


def test_a_logger_that_goes_to_a_child_takes_the_programs_handlers_alone(
    receiver, program, tmp_path
):
    name = program(
        """
        import multiprocessing, sys
        from loguru import logger
        def work(log):
            log.info("in the child, of {} handler", len(log._core.handlers.values()))
            log.complete()
        if __name__ == "__main__":
            multiprocessing.set_start_method("spawn")
            logger.remove()
            logger.add(sys.stdout, format="{message}", enqueue=True)
            child = multiprocessing.Process(target=work, args=(logger,))
            child.start()
            child.join()
            assert child.exitcode == 0
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "in the child, of 1 handler\n"), done.stderr


def test_a_health_sink_of_the_programs_own_works_beside(receiver, program, tmp_path):
    name = program(
        """
        import sys
        from loguru import logger
        from loghc import HealthSink
        logger.remove()
        logger.add(HealthSink(sys.argv[1]))
        logger.info("sync.start")
        logger.info("sync.done")
        """
    )
    with PingReceiver() as own:
        run(*RUN, name, own.url, cwd=tmp_path)
        assert [ping.event for ping in own.pings] == [Event.START, Event.SUCCESS]
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.SUCCESS]


def test_a_program_that_does_not_log_with_loguru_never_imports_it(receiver, program, tmp_path):
    name = program("import sys\nprint('loguru' in sys.modules)")
    assert run(*RUN, name, cwd=tmp_path).stdout == "False\n"
    assert [ping.text for ping in receiver.wait(2)] == ["", ""]
