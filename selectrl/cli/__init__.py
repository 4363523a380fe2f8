"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written).

A signal that stopped the command gives 128 and its number: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

import os
import sys

# What torch reads at its import. Threads that wait must not spin: with other work on the cores that slows it down many
# times. Its profiler writes no log of its own among what the commands say. It looks for no devices of other packages,
# because one broken entry point anywhere on the path would end that search and torch's import with it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script; its imports are inside, because Ctrl-C may come while they are made."""
    os.environ["PYTHONSAFEPATH"] = "1"  # so that processes started here import nothing from the working folder either
    try:
        from selectrl.stopping import at_once

        with at_once():
            from selectrl.cli.screen import open_streams

            open_streams()
            from selectrl.cli.app import run

            code = run(sys.argv[1:])
    except KeyboardInterrupt as stop:
        if sys.stderr is not None:
            sys.stderr.write("selectrl: interrupted; give the same command again to go on\n")
        code = getattr(stop, "exit_code", 130)  # without one before the signals have their handlers
    sys.exit(code)
