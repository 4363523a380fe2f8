"""The command line. Exit codes: 0 done, 1 the work failed, 2 the input was wrong (one sentence, nothing written)."""

from selectrl.cli.app import main

__all__ = ["main"]
