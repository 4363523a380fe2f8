"""The ``selectrl`` command: its subcommands, and one sentence for every error."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError

from selectrl import plugins
from selectrl.cli.options import expand_paths
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
    config=expand_paths,
)
#: Module and function of each command. The module is imported only when its command runs.
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
for name, target in COMMANDS.items():
    app.command(f"selectrl.cli.{target}", name=name)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    code = _exit_code(lambda: _run_command(list(arguments)))
    flushed = _exit_code(flush)  # a full disk or a closed pipe shows here and not at the exit
    return code or flushed


def _exit_code(work: Callable[[], object]) -> int:
    """Do some work, print the error that ends it, and return the exit code."""
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
        from selectrl.launch.verdict import describe_failure

        sentence, code = describe_failure(error)
        say(sentence)
        return code
    return 0


def _prints_about_itself(arguments: list[str]) -> bool:
    """Return whether a command line asks for help or version; a command with subcommands prints its help by itself."""
    has_no_command = not arguments or COMMANDS.get(" ".join(arguments), "").endswith(":app")
    return has_no_command or not {*app.help_flags, *app.version_flags}.isdisjoint(arguments)


def _run_command(arguments: list[str]) -> None:
    """Run one command line."""
    if not arguments or arguments[0] in app.help_flags:
        app.resolved_commands()  # their help names each command with the first sentence of its docstring
    if _prints_about_itself(arguments):
        app.console = console()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its advice on a read-only home directory alarms readers
    printed: set[str] = set()

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        """Print a warning as a sentence, once for all runs of a command, without the line of code that raised it."""
        if str(message) not in printed:
            printed.add(str(message))
            say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", SelectRLWarning)
        warnings.showwarning = show_warning
        for plugin in plugins.load_plugins():
            if plugin.problem:
                say(plugin.problem)
        app(arguments, exit_on_error=False, print_error=False)
