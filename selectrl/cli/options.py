"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.validators import Number

from selectrl.evaluate.config import MOST_CONTEXT, MOST_REPEATS
from selectrl.experiment.execution import MOST_THREADS
from selectrl.fields import LARGEST, MOST, is_name
from selectrl.files import expand_home


def read_integer(kind: Any, tokens: Sequence[Token]) -> int:
    """Read an int; cyclopts alone would round 1.5 to 2."""
    word = tokens[0].value
    if not re.fullmatch("-?[0-9]+", word):
        raise ValueError(f"expected a whole number, got {word!r}.")
    if len(word) > LONGEST:
        raise ValueError(f"expected a whole number of up to {LONGEST} digits, got {len(word)}.")
    return int(word)


def integer_between(low: int, high: int) -> Parameter:
    """Return a parameter that reads a whole number from low to high, both included."""
    return Parameter(converter=read_integer, validator=Number(gte=low, lte=high))


LONGEST = len(str(LARGEST))
SEED = integer_between(0, LARGEST)
COUNT = integer_between(1, MOST)
STEPS = integer_between(0, MOST_CONTEXT)
REPEATS = integer_between(1, MOST_REPEATS)
SEEDS = integer_between(1, 10_000)
JOBS = integer_between(1, 1024)


def expand_paths(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Apply :func:`expand_home` to each path of a command line, after cyclopts splits it and before it converts it."""
    for argument in arguments:
        if Path in (argument.hint, *get_args(argument.hint)):
            argument.tokens = [token.evolve(value=expand_home(token.value)) for token in argument.tokens]


def check_plain_name(kind: Any, value: Any) -> None:
    """Refuse a name that is not a plain name of a folder or file."""
    if isinstance(value, str) and not is_name(value):
        raise ValueError("Expected up to 100 letters, digits, '_', '-' and '.'.")


Json: TypeAlias = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON object on stdout.")
]
Sets: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", show_default=False, help="Bind one value, path=value; may be repeated."),
]
Folder: TypeAlias = Annotated[Path, Parameter(help="A dataset's folder, for example data/point_robot/laptop.")]
Data: TypeAlias = Annotated[Path, Parameter(name="--data", help="Folder of the datasets.")]
Force: TypeAlias = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Use the weights even where the source code of a part has changed since the training.",
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    integer_between(1, MOST_THREADS),
    Parameter(name="--threads", help="Threads of torch and simulator; default: 1."),
]
TrainThreads: TypeAlias = Annotated[
    Threads,
    Parameter(
        help="Threads of each run; default: OMP_NUM_THREADS, or its share of the cores; a started run keeps its number."
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    Parameter(name="--dry-run", negative="", show_default=False, help="Print the plan, and stop before reading data."),
]
Method: TypeAlias = Annotated[str | None, Parameter(name="--method", help="A shipped method, see `selectrl list`.")]
Env: TypeAlias = Annotated[str | None, Parameter(name="--env", help="A shipped environment, see `selectrl list`.")]
Profile: TypeAlias = Annotated[str | None, Parameter(name="--profile", help="A shipped profile: laptop or small.")]
Ablation: TypeAlias = Annotated[
    str | None,
    Parameter(name="--ablation", help="A shipped ablation of the method, see `selectrl list`."),
]
Device: TypeAlias = Annotated[Literal["cpu", "cuda"], Parameter(help="Device of the training.")]
EngineMode: TypeAlias = Annotated[
    Literal["eager", "compiled"],
    Parameter(name="--engine", help="Execution of steps; compiled: on CUDA as whole graphs."),
]
Population: TypeAlias = Annotated[
    int, COUNT, Parameter(help="Seeds trained in parallel on CUDA, at most; on the CPU each trains alone.")
]
