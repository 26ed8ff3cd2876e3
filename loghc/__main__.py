"""``python -m loghc``: the same as the command ``loghc``."""

import sys

from loghc.command.main import main

if __name__ == "__main__":
    sys.exit(main())
