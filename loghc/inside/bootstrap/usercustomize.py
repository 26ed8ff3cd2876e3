"""Does what sitecustomize does, if another sitecustomize comes before it on the path.

Python looks for this afterwards, but not in a virtual environment. Where ours was found, this
directory is no longer on the path.
"""

import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sitecustomize.py")
with open(_path) as _file:
    _code = compile(_file.read(), _path, "exec")
exec(_code)
