"""The entry point."""

import os
import sys

# `-m` puts the current directory first, where a file of the user's may have the name of a standard
# module. This package's own folder takes its place.
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if getattr(sys.flags, "safe_path", False):
    sys.path.insert(0, _HERE)
else:
    sys.path[0] = _HERE

from windlass_worker.program import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv))
