"""The ``selectrl`` command: its commands, and how every error ends in one sentence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError

from selectrl import plugins
from selectrl.cli.options import paths_at_home
from selectrl.cli.screen import console, say
from selectrl.cli.stdio import OutputError, flush
from selectrl.errors import InputError, SelectRLWarning
from selectrl.version import __version__

app = App(
    name="selectrl",
    help="Offline meta-reinforcement learning from interchangeable parts: SELECT and its baselines, compared fairly.",
    version=__version__,
    version_flags=["--version"],
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    config=paths_at_home,
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
    code = _ended(lambda: _carry_out(list(arguments)))
    flushed = _ended(flush)  # what a full disk or a closed pipe did not take shows here and not at the exit
    return code or flushed


def _ended(work: Callable[[], object]) -> int:
    """Do some work, say the error that it ends with, and return the exit code."""
    try:
        work()
    except CycloptsError as error:
        say(f"{' '.join(str(error).split())} See `selectrl --help`.")
        return InputError.exit_code
    except OutputError as error:
        if error.sentence:
            say(error.sentence)
        return error.exit_code
    except Exception as error:
        from selectrl.launch.verdict import verdict

        sentence, code = verdict(error)
        say(sentence)
        return code
    return 0


def _prints_about_itself(arguments: list[str]) -> bool:
    """Say whether a command line asks for help or version; this command and those that hold others give help alone."""
    alone = not arguments or COMMANDS.get(" ".join(arguments), "").endswith(":app")
    return alone or not {*app.help_flags, *app.version_flags}.isdisjoint(arguments)


def _carry_out(arguments: list[str]) -> None:
    """Run one command line."""
    if not arguments or arguments[0] in app.help_flags:
        app.resolved_commands()  # their help names each command with the first sentence of its docstring
    if _prints_about_itself(arguments):
        app.console = console()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its advice on a home that cannot be written to frightens
    said: set[str] = set()

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        """Print a warning as a sentence, once for all runs of a command; where in the code it arose tells nothing."""
        if str(message) not in said:
            said.add(str(message))
            say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", SelectRLWarning)
        warnings.showwarning = show_warning
        for plugin in plugins.load_plugins():
            if plugin.problem:
                say(plugin.problem)
        app(arguments, exit_on_error=False, print_error=False)
