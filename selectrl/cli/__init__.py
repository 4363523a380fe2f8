"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written)."""

from __future__ import annotations

import os
import sys

# Threads that wait must not spin: with other work on the cores that slows torch down many times. Read at its import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    try:
        from selectrl.cli.app import run  # in here, because Ctrl-C may come while it is imported

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("selectrl: interrupted; give the same command again to go on\n")
        code = 130
    sys.exit(code)
