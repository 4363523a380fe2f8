"""Torch's import, kept from failing over a package that has nothing to do with it.

Torch looks for the device backends of other packages when it is imported, and for that reads the entry points of all
installed packages; a file among them that cannot be read ends its import. Only then is that search left out. Where it
can work, torch and the backends are as they are without this package.
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
    """Leave out torch's search for backends inside the block if it cannot succeed.

    Warns:
        SelectRLWarning: it is left out; the sentence names the package to repair.
    """
    problem = None if os.environ.get(SWITCH) == "0" else _problem()
    if problem is None:
        yield
        return
    warnings.warn(f"{problem}; torch is imported without device backends of other packages", SelectRLWarning, 2)
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(SWITCH) if before is None else os.environ.update({SWITCH: before})


def _problem() -> str | None:
    """Say which package keeps the entry points from being read, or None if they can be."""
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
            return f"the entry points of {title} cannot be read ({_first(error)}); repair or uninstall it"
    return f"the entry points of the installed packages cannot be read ({_first(reason)})"


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'without a message')}"
