"""``python -m loghc``: the same as the command ``loghc``."""

import os
import sys

# Python puts the working directory first on sys.path, and loghc must not import a file there, such
# as http.py. (With -P or PYTHONSAFEPATH it doesn't, nor if the directory was deleted.)
try:
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - pathlib may be one
        del sys.path[0]
except FileNotFoundError:
    pass

from loghc.command.main import main

if __name__ == "__main__":
    sys.exit(main())
