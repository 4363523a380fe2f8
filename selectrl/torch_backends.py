"""Import of torch on a machine with a damaged package that torch does not need.

At its import torch searches the entry points of all installed packages for device backends; one file that cannot be
read ends the import. Only then is that search left out. Otherwise torch and the backends work as without this package.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions, entry_points
from pathlib import Path

from selectrl.errors import SelectRLWarning

SWITCH = "TORCH_DEVICE_BACKEND_AUTOLOAD"


@contextmanager
def shield_torch_import() -> Iterator[None]:
    """Disable torch's search for backends inside the block if it would fail.

    Warns:
        SelectRLWarning: the search is disabled; the sentence names the package to repair.
    """
    problem = None if os.environ.get(SWITCH) == "0" else _find_problem()
    if problem is None:
        yield
        return
    warnings.warn(f"{problem}; torch is imported without device backends of other packages", SelectRLWarning, 2)
    previous = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(SWITCH) if previous is None else os.environ.update({SWITCH: previous})


def _find_problem() -> str | None:
    """Return a sentence on the package whose entry points cannot be read, or None if all can."""
    try:
        entry_points(group="torch.backends")
    except Exception as error:
        reason = error
    else:
        return None
    for package in distributions():
        try:
            _ = package.entry_points
        except Exception as error:
            title = f"{package.name or 'a package'} in {Path(str(package.locate_file(''))).absolute()}"
            return f"the entry points of {title} cannot be read ({_first_line(error)}); repair or uninstall it"
    return f"the entry points of the installed packages cannot be read ({_first_line(reason)})"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'without a message')}"
