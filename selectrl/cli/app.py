"""The ``selectrl`` command: its commands, and how every error ends in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import selectrl
from selectrl.cli import collect, data, evaluate, inspect, report, train
from selectrl.cli.screen import say
from selectrl.errors import SelectRLError

app = App(
    name="selectrl",
    help="Offline meta-reinforcement learning from interchangeable parts: SELECT and its baselines, compared fairly.",
    version=selectrl.__version__,
    version_flags=["--version"],
    help_format="plaintext",
)
app.command(inspect.list_parts, name="list")
app.command(collect.collect, name="collect")
app.command(train.train, name="train")
app.command(evaluate.evaluate, name="evaluate")
app.command(report.report, name="report")
app.command(data.app, name="data")
app.command(inspect.doctor, name="doctor")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        app(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        text = " ".join(str(error).split())
        say(f"{text} See `selectrl --help`.")
        return 2
    except SelectRLError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted; give the same command again to go on")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last line of defence: a bug of ours is still one sentence
        if os.environ.get("SELECTRL_TRACEBACK"):
            raise
        say(
            f"internal error, {type(error).__name__}: {error}; set SELECTRL_TRACEBACK=1 to see where, and please report it"
        )
        return 1
    return 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
