"""More programs for test_equivalence: other users, replaced environments, and what is around them.

They have the form of equivalence_programs.
"""

from __future__ import annotations

_RUN = "import subprocess, sys\n"
_LOGS = "from loguru import logger\nlogger.remove()\nlogger.add(sys.stdout, format='{message}')\n"
_CHILD = "import sys; from loguru import logger; print(sys.flags.isolated, __name__)"


def _child(*options: str, env: str = "None") -> str:
    """A program that runs a Python with options, or an environment of its own."""
    words = [*options, "-c", _CHILD]
    return f"{_RUN}print(subprocess.run([sys.executable, *{words!r}], env={env}).returncode)\n"


def _as_root(change: str) -> str:
    """A program that becomes less than root, where it is that, and logs."""
    return (
        f"import os, sys\n{_LOGS}if not os.geteuid():\n    {change}\nlogger.error('sync.error')\n"
    )


def _printed(expression: str, setup: str = "import loguru") -> str:
    return f"import sys, os\n{setup}\nprint({expression})\n"


SURROUNDINGS = {
    # Pythons that the recorder doesn't get into
    "an isolated child": _child("-I"),
    "a child that looks at no variable": _child("-E"),
    "a child without site": _child("-S", "-E"),
    "a safe path": _child("-P") if __import__("sys").version_info >= (3, 11) else _child("-s"),
    "a child with no variables": _child(env="{}"),
    "a child with another path": _child(env="{'PYTHONPATH': '/opt/app'}"),
    "a child that executes itself anew": (
        "import os, sys\nif '-x' not in sys.argv:\n"
        "    os.execv(sys.executable, [sys.executable, '-sE', __file__, '-x'])\n"
        "print(sys.argv[1:])\n"
    ),
    "a version": _RUN + "subprocess.run([sys.executable, '-V'])\n",
    "isolated itself": "$ -I program.py\nimport sys\nprint(sys.path[0][-3:], sys.flags.isolated)\n",
    "without an environment": "$ -E program.py\nimport sys\nprint(sys.flags.ignore_environment)\n",
    # sitecustomize and usercustomize
    "a usercustomize of its own": (
        "print('main')\n### env/usercustomize.py\nimport sys\nprint('user', file=sys.stderr)\n"
    ),
    "both": (
        "print('main')\n### env/usercustomize.py\nimport sys\nprint('user', file=sys.stderr)\n"
        "### env/sitecustomize.py\nimport site, sys\nsite.ENABLE_USER_SITE = True\n"
        "print('site', file=sys.stderr)\n"
    ),
    "a sitecustomize that logs": (
        "import loguru\n### env/sitecustomize.py\nimport sys\nfrom loguru import logger\n"
        "logger.remove()\nlogger.add(sys.stderr, format='{message}')\nlogger.info('early')\n"
    ),
    "a usercustomize that is imported": _printed(
        "'usercustomize' in sys.modules",
        "try:\n    import usercustomize\nexcept ImportError as error:\n    print(error)",
    ),
    "a module called bootstrap": "import bootstrap\n### bootstrap.py\nprint('own')\n",
    "a module called posix": "import posix\nprint(posix.getpid() > 0)\n### posix.py\n1/0\n",
    # Users, roots
    "another user": _as_root("os.setgid(65534); os.setuid(65534)"),
    "another effective user": _as_root("os.seteuid(65534)"),
    "another root": _as_root("os.chroot(os.getcwd())"),
    "another user in a child": _as_root(
        "pid = os.fork(); pid and (os.waitpid(pid, 0), os._exit(0)); os.setuid(65534)"
    ),
    "another user from the beginning": _RUN
    + (
        "import os\nroot = not os.geteuid()\nwords = ['/bin/echo', 'on']\n"
        "print(subprocess.run(words, user=65534 if root else None).returncode)\n"
    ),
    # What is seen of the process
    "free descriptors": _printed("sorted(os.listdir('/proc/self/fd'))[:3]") + "print(os.dup(1))\n",
    "descriptors without loguru": _printed("os.dup(1), os.dup(2)", "pass"),
    "threads of its own": _printed("threading.active_count()", "import threading, loguru"),
    "threads of the system": _printed("len(os.listdir('/proc/self/task'))"),
    "children": _printed("open('/proc/self/task/%d/children' % os.getpid()).read()"),
    "nobody to wait for": (
        "import os, loguru\ntry:\n    os.wait()\nexcept ChildProcessError as e:\n    print(e)\n"
    ),
    "finders": _printed("len(sys.meta_path), len(sys.path_hooks)"),
    "the path": _printed("[p for p in sys.path if 'loghc' in p and 'inside' in p]"),
    "modules": _printed("[m for m in sys.modules if 'hook' in m or 'loghc' in m.split('.')[0]]"),
    "audit": (
        "import sys\nseen = []\nsys.addaudithook(lambda e, a: seen.append(e))\n"
        "import this_is_not_there as x\n"
    ),
    "signals": _printed("[signal.getsignal(n) for n in (1, 2, 13, 15)]", "import signal, loguru"),
    "a blocked signal": _printed("signal.pthread_sigmask(0, [])", "import signal, loguru"),
    "a time limit": (
        "import signal, time, loguru\nsignal.signal(14, lambda *_: print('rang'))\n"
        "signal.setitimer(0, 0.1)\ntime.sleep(0.3)\n"
    ),
    "the session": _printed("os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()"),
    "the mask for files": _printed("oct(os.umask(0))"),
    "the name": _printed("open('/proc/self/comm').read()[:6]"),
    # The run directory is no one's business
    "a lost directory": (
        "import os, shutil, sys\n" + _LOGS + "logger.info('one')\n"
        "shutil.rmtree(os.environ.get('LOGHC_RUN', '/nowhere'), ignore_errors=True)\n"
        "logger.error('sync.error')\nlogger.info('two')\n"
    ),
    "a lost directory and a child": (
        "import os, shutil\nshutil.rmtree(os.environ.get('LOGHC_RUN', '/none'), True)\n" + _child()
    ),
    "a full channel": (
        "import os, sys\n" + _LOGS + "for n in range(3000):\n    logger.info('sync.log')\n"
    ),
    "an environment that is emptied": (
        "import os, sys\nos.environ.clear()\n" + _LOGS + "logger.error('sync.error')\n"
    ),
    "a title": (
        "import ctypes, loguru\nctypes.CDLL(None).prctl(15, b'renamed', 0, 0, 0)\n"
        "print(open('/proc/self/comm').read())\n"
    ),
    "an early end": "$ -c 'import os; os._exit(4)'\n",
    "an unfinished line": "print('on'\n",
    "a script that is not there": "$ nowhere.py\n",
}
