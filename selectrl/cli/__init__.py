"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written).

A signal that stopped the command gives 128 and its number: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

import os
import sys

# What torch reads at its import. Threads that wait must not spin: with other work on the cores that slows it down many
# times. Its profiler writes no log of its own among what the commands say.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

from selectrl.errors import Interrupted
from selectrl.stopping import at_once

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script."""
    os.environ["PYTHONSAFEPATH"] = "1"  # so that processes started here import nothing from the working folder either
    try:
        with at_once():
            from selectrl.cli.app import run  # in here, because Ctrl-C may come while it is imported

            code = run(sys.argv[1:])
    except Interrupted as stop:
        sys.stderr.write("selectrl: interrupted; give the same command again to go on\n")
        code = stop.exit_code
    sys.exit(code)
