"""``python -m loghc``: the same as the command ``loghc``."""

import os
import sys

# Python puts the working directory first among the places of modules: what lies there, http.py for
# instance, is not loghc's. (With -P or PYTHONSAFEPATH it doesn't, nor if that was deleted.)
try:
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - pathlib may be one
        del sys.path[0]
except FileNotFoundError:
    pass

from loghc.command.main import main

if __name__ == "__main__":
    sys.exit(main())
