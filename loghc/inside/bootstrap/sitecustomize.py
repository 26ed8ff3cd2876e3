"""Loads the recorder when Python starts and finds this through PYTHONPATH; then removes itself.

Any Python may find this, even 2.7. It imports only what every Python has imported already, and
defines no function, so that nothing of it is left for the garbage collector.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
while _here in sys.path:
    sys.path.remove(_here)
sys.path_importer_cache.pop(_here, None)
_self = sys.modules.pop(__name__, None)  # Python 2 would empty this module without a reference
try:
    _run = os.environ.get("LOGHC_RUN")
    if (
        _run
        and os.name == "posix"
        and sys.version_info >= (3, 8)
        and sys.implementation.name == "cpython"
    ):
        _inside = os.path.dirname(_here)
        _loader = sys.modules["_frozen_importlib_external"].SourceFileLoader(
            "hook", _inside + "/hook.py"
        )
        _hook = {"__name__": "hook"}
        exec(_loader.get_code("hook"), _hook)
        _hook["install"](os.path.dirname(_inside), _run)  # type: ignore[operator]
except Exception:
    pass
_self = None
# The program's own. If there is none, this raises the ImportError that site expects.
if __name__ == "usercustomize":
    import usercustomize  # type: ignore[import-not-found]
else:
    import sitecustomize  # type: ignore[import-not-found]
