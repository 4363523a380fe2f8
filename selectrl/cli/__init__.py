"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written).

A signal that stopped the command gives 128 and its number: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

import os
import sys

# Torch reads these at its import. Threads that wait must not spin, which is many times slower when other work uses the
# cores. Its profiler writes no log between the lines of the commands. It searches for no devices of other packages,
# because the commands use none of them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
os.environ["MPLBACKEND"] = "agg"  # figures are files; a notebook's backend may not be installed here

__all__ = ["main"]


def main() -> None:
    """Run the console script; it imports its modules inside, because Ctrl-C may come during an import."""
    os.environ["PYTHONSAFEPATH"] = "1"  # so that processes started here import nothing from the working folder either
    code = 130
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # before and after the work Ctrl-C ends it without a traceback
        from selectrl.stopping import raise_on_signal

        with raise_on_signal():
            from selectrl.cli.stdio import open_streams

            open_streams()
            from selectrl.cli.app import run
            from selectrl.cli.screen import say
            from selectrl.launch.background import report_background_errors

            report_background_errors(say)
            code = run(sys.argv[1:])
    except KeyboardInterrupt as stop:
        if sys.stderr is not None:
            sys.stderr.write("selectrl: interrupted; give the same command again to continue\n")
        code = getattr(stop, "exit_code", code)  # it has none before the signals have their handlers
    sys.exit(code)
