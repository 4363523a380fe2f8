"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written).

A signal that stopped the command gives 128 and its number: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

import os
import sys

# Threads that wait must not spin: with other work on the cores that slows torch down many times. Read at its import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from selectrl.errors import Interrupted
from selectrl.stopping import at_once

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    try:
        with at_once():
            from selectrl.cli.app import run  # in here, because Ctrl-C may come while it is imported

            code = run(sys.argv[1:])
    except Interrupted as stop:
        sys.stderr.write("selectrl: interrupted; give the same command again to go on\n")
        code = stop.exit_code
    sys.exit(code)
