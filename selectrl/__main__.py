"""``python -m selectrl`` is the ``selectrl`` command.

Python puts the working folder in front of the path here, so that a ``numpy.py`` in it would be imported. The command
does without it, unless it is the source tree from which it runs.
"""

import os
import sys

SOURCE = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  pathlib is not imported yet

if __name__ == "__main__":
    if not sys.flags.safe_path and sys.path[0] != SOURCE:
        del sys.path[0]
    from selectrl.cli import main

    main()
