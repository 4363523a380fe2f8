"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on stdout.")]
Sets: TypeAlias = Annotated[
    tuple[str, ...], Parameter(name="--set", negative="", help="Bind one value, path=value; may be given again.")
]
Data: TypeAlias = Annotated[Path, Parameter(name="--data", help="Folder of the datasets.")]
DryRun: TypeAlias = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Print what would be run, and stop before reading data.")
]
Threads: TypeAlias = Annotated[int | None, Parameter(name="--threads", help="Threads that torch may use.")]
