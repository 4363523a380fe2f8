"""The ``selectrl`` command: its commands, and how every error ends in one sentence."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from selectrl import plugins
from selectrl.cli import ablate, cite, collect, compare, data, doctor, evaluate, overview, render, report, train, tune
from selectrl.cli.screen import say
from selectrl.errors import DriftWarning
from selectrl.launch.job import verdict
from selectrl.version import __version__

app = App(
    name="selectrl",
    help="Offline meta-reinforcement learning from interchangeable parts: SELECT and its baselines, compared fairly.",
    version=__version__,
    version_flags=["--version"],
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(overview.list_parts, name="list")
app.command(collect.collect, name="collect")
app.command(train.train, name="train")
app.command(evaluate.evaluate, name="evaluate")
app.command(compare.compare, name="compare")
app.command(ablate.ablate, name="ablate")
app.command(tune.tune, name="tune")
app.command(report.report, name="report")
app.command(render.render, name="render")
app.command(data.app, name="data")
app.command(cite.cite, name="cite")
app.command(doctor.doctor, name="doctor")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its advice on a home that cannot be written to frightens
    for plugin in plugins.load():
        if plugin.problem:
            say(plugin.problem)
    said: set[str] = set()

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        """Print a warning as a sentence, once for all runs of a command; where in the code it arose tells nothing."""
        if str(message) not in said:
            said.add(str(message))
            say(f"warning: {message}")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", DriftWarning)
            warnings.showwarning = show_warning
            app(list(arguments), exit_on_error=False, print_error=False)
        sys.stdout.flush()  # a closed pipe shows here and not at exit
    except CycloptsError as error:
        text = " ".join(str(error).split())
        say(f"{text} See `selectrl --help`.")
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        sentence, code = verdict(error)
        say(sentence)
        return code
    return 0
