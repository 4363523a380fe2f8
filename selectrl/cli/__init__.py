"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written)."""

from __future__ import annotations

import os
import sys

# What torch reads at its import. Threads that wait must not spin: with other work on the cores that slows it down many
# times. Its profiler writes no log of its own among what the commands say.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

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
