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
from selectrl.cli.screen import say
from selectrl.errors import SelectRLWarning
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
#: Where each command is. Its module is imported when the command is given, so that none waits for another's imports.
COMMANDS = {
    "list": "overview:list_parts",
    "collect": "collect:collect",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "compare": "compare:compare",
    "ablate": "ablate:ablate",
    "tune": "tune:tune",
    "report": "report:report",
    "render": "render:render",
    "data": "data:app",
    "cite": "cite:cite",
    "doctor": "doctor:doctor",
}
for name, place in COMMANDS.items():
    app.command(f"selectrl.cli.{place}", name=name)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if not arguments or arguments[0] in app.help_flags:
        app.resolved_commands()  # their help names each command with the first sentence of its docstring
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its advice on a home that cannot be written to frightens
    said: set[str] = set()

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        """Print a warning as a sentence, once for all runs of a command; where in the code it arose tells nothing."""
        if str(message) not in said:
            said.add(str(message))
            say(f"warning: {message}")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", SelectRLWarning)
            warnings.showwarning = show_warning
            for plugin in plugins.load():
                if plugin.problem:
                    say(plugin.problem)
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
        from selectrl.launch.job import verdict

        sentence, code = verdict(error)
        say(sentence)
        return code
    return 0
