"""Programs that must not notice that they are recorded, in the form in which test_equivalence has them.

Each is a text of files: a line `### name` begins the file of that name, what comes before it is
`program.py`. A first line `$ args` says how Python is started, `$ program.py` without one; a line
`< text` is standard input, with `\n` for line ends.
"""

# Modules of the standard library whose names people give to their own files.
SHADOWED = (
    "array", "base64", "binascii", "bisect", "calendar", "cmd", "code", "colorsys", "configparser",
    "copy", "csv", "dbm", "decimal", "difflib", "dis", "email", "fractions", "getpass", "glob", "graphlib",
    "hashlib", "html", "http", "imp", "json", "keyword", "linecache", "mailbox", "math", "mmap", "numbers",
    "parser", "pickle", "platform", "plistlib", "profile", "queue", "random", "sched", "secrets", "select",
    "shelve", "shutil", "signal", "site", "socket", "sqlite3", "statistics", "string", "struct", "symbol",
    "symtable", "tempfile", "test", "textwrap", "timeit", "token", "tokenize", "traceback", "types",
    "typing", "uuid", "wave", "weakref", "zipfile", "zlib", "_struct", "_datetime", "layout", "ring", "tap",
    "text", "markers", "config", "hook", "recorder", "stdlib", "mapping",
)  # fmt: skip

_SHADOWING = "".join(f"### {name}.py\nOWN = {name!r}\n" for name in SHADOWED)
_LOOK = f"""
import importlib, sys
for name in {SHADOWED!r}:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        print(name, type(error).__name__)
    else:
        print(name, getattr(module, "OWN", None))
"""
_LOG = "from loguru import logger\nlogger.info('one')\n"
_QUIET = "from loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, format='{message}')\n"

PROGRAMS = {
    # Modules
    "shadowed names": _LOOK + _SHADOWING,
    "shadowed names, after loguru": (
        "import loguru\n"
        + _LOOK
        + "".join(
            f"### {name}.py\nOWN = 1\n"
            for name in SHADOWED
            if name
            in (
                "calendar",
                "cmd",
                "dbm",
                "mmap",
                "getpass",
                "mailbox",
                "plistlib",
                "profile",
                "sched",
                "shelve",
                "sqlite3",
                "statistics",
                "symtable",
                "wave",
                "_struct",
                "layout",
                "ring",
                "tap",
                "text",
                "markers",
                "config",
                "hook",
                "recorder",
                "stdlib",
                "mapping",
                "graphlib",
                "colorsys",
            )
        )
    ),
    "a local calendar": "import calendar\nprint(calendar.DAYS)\n### calendar.py\nDAYS = 12\n",
    "a local queue, with loguru": "import queue\nfrom loguru import logger\nprint(queue.__file__)\n"
    "### queue.py\nraise ImportError('not this one')\n",
    "a local loguru": "import loguru\nprint(loguru.logger)\n### loguru.py\nlogger = 'mine'\n",
    "a local loguru package": "import loguru\nprint(loguru.logger, loguru.__spec__.origin[-18:])\n"
    "### loguru/__init__.py\nfrom .x import logger\n### loguru/x.py\nlogger = 'mine'\n",
    "a loguru that can't be imported": "import loguru\n### loguru.py\nimport no_such_module\n",
    "a loguru that raises": "import loguru\n### loguru/__init__.py\nfrom . import x\n### loguru/x.py\n1/0\n",
    "a loguru with a syntax error": "import loguru\n### loguru.py\ndef f(:\n",
    "no loguru": "import sys\nsys.modules['loguru'] = None\nimport loguru\n",
    "loguru from a zip file": (
        "import sys, zipfile\nwith zipfile.ZipFile('lib.zip', 'w') as z:\n"
        "    z.writestr('loguru/__init__.py', 'from . import x\\nlogger = x.y')\n"
        "    z.writestr('loguru/x.py', 'y = 3')\n    z.writestr('other.py', 'z = 4')\n"
        "sys.path.insert(0, 'lib.zip')\nimport other, loguru\nprint(loguru.logger, other.z, loguru.__file__)\n"
    ),
    "loguru imported again": (
        "import importlib, sys\nimport loguru\nimportlib.reload(loguru)\nloguru.logger.info('x')\n"
        "for name in [n for n in sys.modules if n.split('.')[0] == 'loguru']:\n    del sys.modules[name]\n"
        "import loguru as again\nprint(again is loguru, len(again.logger._core.handlers))\n"
    ).replace("loguru.logger.info('x')\n", ""),
    "loguru looked for": "import importlib.util\nspec = importlib.util.find_spec('loguru')\n"
    "print(spec.name, type(spec.loader), vars(spec.loader).keys() - {'exec_module'})\n",
    "sys.path": "import sys\nprint(sys.path)\n",
    "sys.modules": "import sys\nprint(list(sys.modules))\n",
    "sys.modules, after loguru": "import loguru, sys\nprint(list(sys.modules))\n",
    "sys.meta_path": "import sys, loguru\nprint(sys.meta_path, sys.path_hooks[0])\n",
    "sys.path_importer_cache": "import sys, loguru\nprint(list(sys.path_importer_cache))\n",
    "sys.flags": "import sys\nprint(sys.flags, sys.argv, sys.orig_argv, sys.warnoptions)\n",
    "os.environ": "import os\nprint(sorted(set(os.environ) - {'PYTHONPATH', 'LOGHC_RUN', '_'}))\n",
    "hooks": "import sys, threading, loguru\nprint(sys.excepthook, sys.unraisablehook, threading.excepthook,"
    " sys.displayhook, sys.gettrace(), sys.getprofile())\n",
    "descriptors": "import os\nfrom loguru import logger\nlogger.info('x')\nprint(sorted(os.listdir('/proc/self/fd'), key=int)[:5])\n".replace(
        "logger.info('x')\n", ""
    ),
    "the next descriptor": "import os, loguru\nprint(os.open('/dev/null', 0), os.dup(0))\n",
    "threads": "import threading, os, loguru\nprint(threading.enumerate(), len(os.listdir('/proc/self/task')))\n".replace(
        "threading.enumerate()", "threading.active_count()"
    ),
    "-v of nothing": "$ -c pass",
    # Starting
    "-c": "$ -c import\\ sys,loguru;print(sys.argv,sys.path[0])",
    "-m": "$ -m pack.inner a b\n### pack/inner.py\nimport sys, loguru\nprint(sys.argv[1:], __spec__.name, sys.path[1:])\n",
    "-m of a package": "$ -m pack\n### pack/__init__.py\nimport loguru\n### pack/__main__.py\n1/0\n",
    "-m without a module": "$ -m no_such_module",
    "no such script": "$ no_such.py",
    "a directory": "$ pack x\n### pack/__main__.py\nimport sys, loguru\nprint(sys.argv, sys.path[0][-4:])\nraise SystemExit(4)\n",
    "a zipapp": "import zipapp, subprocess, sys\nzipapp.create_archive('pack', 'pack.pyz')\n"
    "sys.exit(subprocess.call([sys.executable, 'pack.pyz', 'x']))\n### pack/__main__.py\n"
    "import sys, loguru\nprint(sys.argv, sys.path[0][-8:])\nraise KeyError(4)\n",
    "from standard input": "$ -\n< import loguru, sys\\nprint(sys.argv, __name__)\\n1/0\\n",
    "-I": "$ -I program.py\n### program.py\nimport sys\nprint(sys.path, sys.flags)\n",
    "-E": "$ -E program.py\n### program.py\nimport sys\nprint(sys.path, sys.flags)\n",
    "-S": "$ -S program.py\n### program.py\nimport sys\nprint(list(sys.modules))\n",
    "-O": "$ -OO program.py\n### program.py\nimport loguru\nassert False\nprint(__debug__)\n",
    "-W error": "$ -W error program.py\n### program.py\nimport loguru, sys\nprint(sys.warnoptions)\n",
    "-bb": "$ -bb program.py\n### program.py\nfrom loguru import logger\nlogger.debug('x')\n".replace(
        "logger.debug('x')\n", "print(1)\n"
    ),
    "-X dev": "$ -X dev program.py\n### program.py\nimport loguru\nprint('dev')\n",
    "-i": "$ -i program.py\n< print(x)\\nimport sys\\nprint(sys.ps1)\\n1/0\\n\n### program.py\nimport loguru\nx = 5\n1/0\n",
    "its own sitecustomize": "import sys\nprint(sys.modules['sitecustomize'].OWN, sitecustomize_ran)\n"
    "### env/sitecustomize.py\nOWN = 1\nimport builtins\nbuiltins.sitecustomize_ran = __file__[-24:], __name__, __spec__.name\n",
    "its own sitecustomize raises": "print(1)\n### env/sitecustomize.py\n1/0\n",
    "its own sitecustomize lacks a module": "print(1)\n### env/sitecustomize.py\nimport no_such_module\n",
    "its own sitecustomize logs": "from loguru import logger\nprint(len(logger._core.handlers))\n"
    "### env/sitecustomize.py\nfrom loguru import logger\nlogger.remove()\n",
    "its own usercustomize": "import sys\nprint('usercustomize' in sys.modules)\n### env/usercustomize.py\nprint('user')\n",
    "no sitecustomize": "try:\n    import sitecustomize\nexcept ImportError as error:\n    print(repr(error))\n",
    # Tracebacks and ends
    "an exception": _LOG.replace("logger.info('one')\n", "") + "def f():\n    1/0\nf()\n",
    "an exception with a cause": "import loguru\ntry:\n    1/0\nexcept Exception as error:\n    raise KeyError('x') from error\n",
    "an exception group": "import loguru, sys\nif sys.version_info >= (3, 11):\n    raise ExceptionGroup('x', [ValueError(1), KeyError(2)])\n",
    "a recursion": "import loguru\ndef f(n):\n    return f(n + 1)\nf(0)\n",
    "a recursion that logs": "import sys\n"
    + _QUIET
    + "logger.remove()\nlogger.add(lambda m: None, format='{message}', catch=False)\n"
    "def f(n):\n    logger.info('x')\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    print('deep')\n",
    "a syntax error": "import loguru\nprint(\n",
    "a syntax error in a module": "import loguru\nimport other\n### other.py\nprint(1 2)\n",
    "an import error": "import loguru\nfrom loguru import no_such_name\n",
    "SystemExit with a text": "import loguru\nraise SystemExit('so long')\n",
    "SystemExit with a number": "import loguru, sys\nsys.exit(77)\n",
    "KeyboardInterrupt": "import loguru\nraise KeyboardInterrupt\n",
    "an exception whose str raises": "import loguru\nclass E(Exception):\n    def __str__(self):\n        raise KeyError\nraise E\n",
    "an exception whose str exits": "import loguru\nclass E(Exception):\n    def __str__(self):\n        raise SystemExit(9)\nraise E\n",
    "its own excepthook": "import sys, loguru\nsys.excepthook = lambda *a: print('mine', a[0])\n1/0\n",
    "its own excepthook raises": "import sys, loguru\ndef hook(*a):\n    raise KeyError('hook')\nsys.excepthook = hook\n1/0\n",
    "an exception in a thread, without loguru": "import sys, threading\ndef f(): raise OSError('x')\nt = threading.Thread(target=f, name='t')\nt.start()\nt.join()\nprint(threading.excepthook, sys.excepthook, sorted(sys.modules))\n### token.py\nprint('own')\n",
    "exceptions in children, without loguru": "import multiprocessing as m, sys\ndef f(): raise OSError('x')\nif __name__ == '__main__':\n    for how in ('fork', 'spawn'):\n        c = m.get_context(how).Process(target=f, name='c')\n        c.start()\n        c.join()\n        print(c.exitcode, sorted(sys.modules))\n",
    "an exception in a thread": "import threading, loguru\nt = threading.Thread(target=lambda: 1/0, name='t')\nt.start()\nt.join()\nprint('on')\n",
    "an exception in atexit": "import atexit, loguru\natexit.register(lambda: 1/0)\natexit.register(print, 'last')\n",
    "an exception in a finalizer": "import loguru\nclass A:\n    def __del__(self):\n        1/0\n    def __repr__(self):\n        return 'A'\nA.__del__.__qualname__ = 'x'\na = A()\ndel a\n".replace(
        "A.__del__.__qualname__ = 'x'\n", ""
    ),
    "a broken pipe on stdout": "import os, loguru, sys\nr, w = os.pipe()\nos.dup2(w, 1)\nos.close(r)\nos.close(w)\nprint('x')\n",
    "stdout closed": "import os, loguru\nprint('x')\nos.close(1)\n",
    "os._exit": "import os, loguru\nprint('x', flush=True)\nos._exit(3)\n",
    "abort": "import os, loguru\nos.abort()\n",
    "SIGKILL": "import os, signal, loguru\nprint('x', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "SIGTERM": "import os, signal, loguru\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()\n",
    "a SIGTERM handler": "import os, signal, sys, loguru\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(6))\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()\n",
    "signals as they are": "import signal, loguru\nprint([(s.name, signal.getsignal(s)) for s in signal.valid_signals() if isinstance(s, signal.Signals) and callable(signal.getsignal(s)) or s in (13, 25)])\n".replace(
        "signal.getsignal(s)) for", "str(signal.getsignal(s))[:20]) for"
    ),
    "faulthandler": "import faulthandler, loguru\nfaulthandler.enable()\nprint(1, flush=True)\nfaulthandler._sigabrt()\n",
    "faulthandler dumps": "import faulthandler, loguru, sys\ndef f():\n    faulthandler.dump_traceback(all_threads=False)\nf()\n",
    "exec": "import os, sys, loguru\nos.execv(sys.executable, [sys.executable, '-c', 'import sys, loguru; print(sys.path[1:])'])\n",
    # Looking at itself
    "inspect.stack": "import inspect, loguru\nprint([(f.function, f.lineno) for f in inspect.stack()])\n",
    "inspect.stack in a sink": "import inspect\nfrom loguru import logger\nlogger.remove()\n"
    "logger.add(lambda m: print([f.function for f in inspect.stack()]))\nlogger.info('x')\n",
    "the stack in a patcher": "import inspect\nfrom loguru import logger\nlogger.remove()\nlogger.add(lambda m: 0)\n"
    "logger.patch(lambda r: print([f.function for f in inspect.stack()])).info('x')\n",
    "warnings": "import warnings, loguru\nwarnings.warn('x')\ndef f():\n    warnings.warn('y', stacklevel=2)\nf()\nwarnings.warn('z', DeprecationWarning, stacklevel=3)\n",
    "a warning while loguru is imported": "import loguru\n### loguru.py\nimport warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\nwarnings.warn('older', UserWarning, stacklevel=3)\n",
    "gc": "import gc\nprint(gc.collect(), gc.garbage, gc.isenabled(), gc.callbacks)\n",
    "gc, after loguru": "import gc, loguru\ngc.collect()\nprint(gc.collect(), gc.garbage, gc.callbacks)\n",
    "a pdb session": "$ -m pdb program.py\n< n\\nn\\nn\\nw\\nc\\nq\\n\n### program.py\nfrom loguru import logger\nx = 1\ny = 2\nprint(x)\n",
    "pdb post mortem": "import pdb, sys\nfrom loguru import logger\ntry:\n    1/0\nexcept Exception:\n    pdb.post_mortem()\n",
    "doctest": "$ -m doctest program.py\n### program.py\n'''\n>>> import loguru\n>>> 1 + 1\n3\n'''\n",
    "unittest": "import sys, unittest\nfrom loguru import logger\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(1, 2)\n"
    "r = unittest.TextTestRunner(stream=open('/dev/null', 'w')).run(unittest.defaultTestLoader.loadTestsFromTestCase(T))\nprint(r.failures[0][1])\n",
    "pytest": "$ -W error -m pytest -q -p no:cacheprovider -p no:xdist -p no:randomly -W error -o console_output_style=classic --no-header test_x.py --tb=long\n"
    "### pytest.ini\n[pytest]\n### test_x.py\nfrom loguru import logger\ndef test_one(capsys):\n    logger.remove()\n    logger.add(print, format='{message}')\n    logger.info('in')\n    assert capsys.readouterr().out == 'in\\n\\n'\ndef test_two():\n    assert 1 == 2\n",
    "a profile": "import sys, loguru\ncalls = []\nsys.setprofile(lambda f, e, a: calls.append((e, f.f_code.co_name)))\nabs(1)\nsys.setprofile(None)\nprint(calls)\n",
    "a tracer": "import sys, loguru\nsys.settrace(lambda f, e, a: print(e, f.f_code.co_name))\ndef f():\n    pass\nf()\nsys.settrace(None)\n",
    "an audit hook": "import sys\nimport loguru\nsys.addaudithook(lambda e, a: print(e, a[0]) if e == 'import' else None)\nimport calendar\n",
    # loguru
    "loguru's own output": "import sys\n"
    + _QUIET
    + "logger.info('one {}', 1)\nlogger.bind(a=1).warning('two')\nlogger.opt(raw=True).info('three')\nlogger.opt(colors=True).info('<red>four</red>')\n",
    "the logger's repr": "import sys\n"
    + _QUIET
    + "print(str(logger).split('name=')[0], logger._core.handlers.keys(), len(logger._core.handlers))\nprint([type(h).__name__ for h in logger._core.handlers.values()])\n",
    "handlers by number": "import sys\n"
    + _QUIET
    + "n = logger.add(sys.stdout, format='b {message}')\nprint(n)\nlogger.info('x')\nlogger.remove(n)\ntry:\n    logger.remove(n)\nexcept ValueError as error:\n    print(error)\nprint(logger.add(print))\nlogger.remove()\nlogger.info('gone')\n",
    "configure": "import sys\nfrom loguru import logger\nprint(logger.configure(handlers=[dict(sink=sys.stdout, format='{message} {extra}', level='WARNING')], extra={'a': 1}, patcher=lambda r: r['extra'].update(b=2), levels=[dict(name='NEW', no=35)]))\nlogger.info('{}', 1)\nlogger.log('NEW', 'x')\nlogger.log(33, 'y')\n",
    "messages that are off": "import sys\nfrom loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, level='INFO', format='{message}')\nlogger.debug(\"{'a': 1}\", {'a': 1})\nlogger.opt(lazy=True).debug('{}', lambda: 1/0)\nprint(logger._core.min_level)\n",
    "no handlers": "from loguru import logger\nlogger.remove()\nlogger.info('{a}', 1)\nprint(logger, logger._core.min_level)\n",
    "a sink that raises": "import re, sys\nfrom loguru import logger\nlogger.remove()\ndef sink(m):\n    raise KeyError('sink')\nlogger.add(sink, catch=False)\nlogger.info('x')\n",
    "a message that raises": "import sys\n" + _QUIET + "logger.info('{a}', b=1)\n",
    "a patcher that raises": "import sys\n" + _QUIET + "logger.patch(lambda r: 1/0).info('x')\n",
    "records that a patcher broke": "import sys\n"
    + _QUIET
    + "logger.patch(lambda r: r.update(time='x', process=None, name=3)).info('x')\nlogger.patch(lambda r: r.pop('line')).info('y')\nlogger.patch(lambda r: r.update(message=5)).info('z')\n",
    "enqueue": "import sys\nfrom loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, format='{message}', enqueue=True)\nfor n in range(5):\n    logger.info(n)\nlogger.complete()\nprint('done', flush=True)\n",
    "complete": "import asyncio, sys\nfrom loguru import logger\nlogger.remove()\nasync def sink(m):\n    await asyncio.sleep(0)\n    print(m, end='')\nlogger.add(sink, format='{message}')\nasync def main():\n    logger.info('x')\n    await logger.complete()\nasyncio.run(main())\nlogger.complete()\n",
    "copies": "import copy, pickle, sys\nfrom loguru import logger\nlogger.remove()\nother = copy.deepcopy(logger)\nother.add(sys.stdout, format='{message}')\nother.info('x')\nlogger.info('y')\nprint(len(pickle.dumps(logger)), pickle.loads(pickle.dumps(logger)))\nlogger.add(sys.stdout)\ntry:\n    pickle.dumps(logger)\nexcept Exception as error:\n    print(type(error), error)\n",
    "catch": "import sys\nfrom loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, format='{message}', backtrace=True, diagnose=False)\n@logger.catch\ndef f():\n    1/0\nf()\nwith logger.catch(message='m'):\n    [][1]\nlogger.opt(exception=True).info('none')\n".replace(
        "format='{message}'", "format='{exception}'"
    ),
    "disable": "import sys\n"
    + _QUIET
    + "logger.disable('__main__')\nlogger.info('x')\nlogger.enable('__main__')\nlogger.info('y')\n",
    "an intercept handler": "import logging, sys\nfrom loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, format='{level} {name} {function} {message}')\nclass H(logging.Handler):\n    def emit(self, r):\n        logger.opt(depth=6, exception=r.exc_info).log(r.levelname, r.getMessage())\nlogging.basicConfig(handlers=[H()], level=0)\nlogging.info('a %s', 1)\nlogging.getLogger('asyncio').debug('b')\n",
    "markers": "import sys\n"
    + _QUIET
    + "logger.info('sync.error: x')\nlogger.info('sync.log')\nlogger.bind(run_id=object).info('sync.log, y')\n",
    "a core of its own": "import sys\nfrom loguru._logger import Core, Logger\nfrom loguru import logger\nown = Logger(Core(), *logger._options)\nprint(own.add(sys.stdout, format='{message}'), own)\nown.info('x')\n".replace(
        ", own)", ", len(own._core.handlers))"
    ),
    # Several processes
    "a child": "import subprocess, sys, loguru\nprint(subprocess.run([sys.executable, '-c', 'import sys, loguru; print(sys.path[1:]); 1/0'], capture_output=True, text=True))\n",
    "a child without an environment": "import subprocess, sys, loguru\nprint(subprocess.run([sys.executable, '-c', 'print(1)'], env={}, capture_output=True, text=True).stdout)\n",
    "multiprocessing": """
        import multiprocessing, sys
        from loguru import logger
        logger.remove()
        def work(n):
            logger.info('in the child')
            if n == 2:
                sys.exit(7)
            if n == 3:
                raise SystemExit('so long')
            return n
        if __name__ == '__main__':
            for method in ('fork', 'spawn', 'forkserver'):
                context = multiprocessing.get_context(method)
                for n in range(1, 4):
                    child = context.Process(target=work, args=(n,))
                    child.start()
                    child.join()
                    print(method, n, child.exitcode, flush=True)
        """,
    "an exception in a forked child": "import multiprocessing, loguru\nc = multiprocessing.get_context('fork').Process(target=lambda: 1/0, name='c')\nc.start()\nc.join()\nprint(c.exitcode)\n",
    "an exception in a spawned child": "import multiprocessing, loguru\ndef f():\n    loguru.logger.remove()\n    1/0\nif __name__ == '__main__':\n    c = multiprocessing.get_context('spawn').Process(target=f, name='c')\n    c.start()\n    c.join()\n    print(c.exitcode)\n",
    "a logger sent to a child": """
        import multiprocessing, sys
        from loguru import logger
        def work(log):
            log.info('in the child')
            log.complete()
        if __name__ == '__main__':
            multiprocessing.set_start_method('spawn')
            logger.remove()
            logger.add(sys.stdout, format='{message}', enqueue=True)
            child = multiprocessing.Process(target=work, args=(logger,))
            child.start()
            child.join()
            print(child.exitcode)
        """,
    "a pool": "import concurrent.futures, loguru\nif __name__ == '__main__':\n    with concurrent.futures.ProcessPoolExecutor(2) as pool:\n        print(list(pool.map(abs, range(-3, 3))))\n",
    "a daemon": """
        import os, sys, time
        from loguru import logger
        r, w = os.pipe()
        if os.fork():
            os.close(w)
            print(os.read(r, 100))
            sys.exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        for fd in range(256):
            if fd != w:
                try:
                    os.close(fd)
                except OSError:
                    pass
        files = [os.open(f'own-{n}', os.O_CREAT | os.O_RDWR) for n in range(12)]
        for n in range(500):
            logger.info('into nothing {}', n)
        logger.info('sync.error')
        sizes = [os.fstat(fd).st_size for fd in files[3:] if fd != w]
        os.write(w, repr(sizes).encode())
        os._exit(0)
        """.replace(
        "from loguru import logger\n",
        "from loguru import logger\n        logger.remove()\n        logger.add(lambda m: None)\n",
    ),
    "all descriptors closed": "import os\nfrom loguru import logger\nlogger.remove()\nlogger.add(lambda m: None)\nos.closerange(3, 1000)\nf = [open(f'f{n}', 'w+') for n in range(9)]\nfor n in range(99):\n    logger.info('x')\nlogger.error('sync.error')\nprint([os.fstat(x.fileno()).st_size for x in f], f[0].fileno())\n",
    "fork and wait": "import os, sys, loguru\npid = os.fork()\nif not pid:\n    sys.exit(5)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
    "an exception in a bare fork": "import os, loguru\nif not os.fork():\n    raise KeyError('child')\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n",
    "a pty": "import pty, sys, loguru\nsys.exit(pty.spawn([sys.executable, '-c', 'import sys, loguru; print(sys.stdin.isatty(), sys.stdout.isatty()); 1/0']) >> 8)\n",
    "asyncio": "import asyncio, sys\n"
    + _QUIET
    + "async def f(n):\n    logger.info(n)\n    await asyncio.sleep(0)\n    logger.info('sync.log')\n    return n\nasync def main():\n    print(await asyncio.gather(*map(f, range(3))))\n    asyncio.create_task(f(1/0))\nasyncio.run(main())\n",
    "logging": "import logging, loguru\nlogging.basicConfig()\nlogging.warning('x')\nlogging.getLogger('a').error('y', exc_info=ValueError())\n",
    "a limit on files": "import resource, loguru, os\nresource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\nfrom loguru import logger\nlogger.remove()\nlogger.add(lambda m: None)\nfor n in range(9):\n    logger.info('sync.error')\nprint(len(os.listdir('.')))\n".replace(
        "print(len(os.listdir('.')))", "print('on')"
    ),
    "a limit on file sizes": "import resource, signal\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nimport sys\nsys.dont_write_bytecode = True\nfrom loguru import logger\nlogger.remove()\nlogger.add(lambda m: None)\nlogger.info('x')\nprint('on')\n",
    "SIGPIPE by default": "import signal, sys, loguru\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
    + _QUIET
    + "logger.error('sync.error')\n",
}
