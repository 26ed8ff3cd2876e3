"""Found by Python at its start, through PYTHONPATH: brings the recorder in, and gets out of the way.

Any Python may find this, 2.7 too. It imports only what every Python has imported before it.
"""

import os
import sys


def _bring_in(here):
    directory = os.environ.get("LOGHC_RUN")
    if not directory or os.name != "posix" or sys.version_info < (3, 8):
        return
    if sys.implementation.name != "cpython":
        return
    inside = os.path.dirname(here)
    loader = sys.modules["_frozen_importlib_external"].SourceFileLoader("hook", inside + "/hook.py")
    namespace = {"__name__": "hook"}
    exec(loader.get_code("hook"), namespace)
    namespace["install"](inside, directory)


_here = os.path.dirname(os.path.abspath(__file__))
while _here in sys.path:
    sys.path.remove(_here)
sys.path_importer_cache.pop(_here, None)
_self = sys.modules.pop("sitecustomize", None)  # Python 2 would empty this module without a reference
try:
    _bring_in(_here)
except Exception:
    pass
import sitecustomize  # the program's own; none is an ImportError, which is what site expects then
