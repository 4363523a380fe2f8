"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.validators import Number

from selectrl.errors import InputError
from selectrl.fields import is_name


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """Read an int; cyclopts alone would round 1.5 to 2."""
    word = tokens[0].value
    if not word.removeprefix("-").isdecimal():
        raise ValueError(f"expected a whole number, got {word!r}.")
    return int(word)


AT_LEAST_0 = Parameter(converter=whole, validator=Number(gte=0))
AT_LEAST_1 = Parameter(converter=whole, validator=Number(gte=1))


def at_home(word: str) -> str:
    """Put the home folder in place of a leading ``~``, which a shell leaves as it is in ``--out=~/runs``.

    Raises:
        InputError: it is of a user whom this machine does not have.
    """
    try:
        return str(Path(word).expanduser()) if word.startswith("~") else word
    except RuntimeError as error:
        raise InputError(f"{word}: there is no such user's home; write ./{word} for a folder of that name") from error


def paths_at_home(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Apply :func:`at_home` to every path of a command line, in cyclopts' step between splitting and converting."""
    for argument in arguments:
        if Path in (argument.hint, *get_args(argument.hint)):
            argument.tokens = [token.evolve(value=at_home(token.value)) for token in argument.tokens]


def plain_name(kind: Any, value: Any) -> None:
    """Refuse a name that is no plain name of a folder or file."""
    if isinstance(value, str) and not is_name(value):
        raise ValueError("Expected up to 100 letters, digits, '_', '-' and '.'.")


Json: TypeAlias = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON object on stdout.")
]
Sets: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", show_default=False, help="Bind one value, path=value; may be given again."),
]
Folder: TypeAlias = Annotated[Path, Parameter(help="A dataset's folder, for example data/point_robot/laptop.")]
Data: TypeAlias = Annotated[Path, Parameter(name="--data", help="Folder of the datasets.")]
DryRun: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--dry-run", negative="", show_default=False, help="Print what would be run, and stop before reading data."
    ),
]
Method: TypeAlias = Annotated[str | None, Parameter(name="--method", help="A shipped method, see `selectrl list`.")]
Env: TypeAlias = Annotated[str | None, Parameter(name="--env", help="A shipped environment, see `selectrl list`.")]
Profile: TypeAlias = Annotated[str | None, Parameter(name="--profile", help="A shipped profile: laptop or small.")]
Ablation: TypeAlias = Annotated[
    str | None,
    Parameter(name="--ablation", help="A shipped ablation laid over the method, see `selectrl list`."),
]
Device: TypeAlias = Annotated[Literal["cpu", "cuda"], Parameter(help="Where it trains.")]
EngineMode: TypeAlias = Annotated[
    Literal["eager", "compiled"], Parameter(name="--engine", help="How steps run; compiled: on CUDA whole, as graphs.")
]
Population: TypeAlias = Annotated[
    int, AT_LEAST_1, Parameter(help="Seeds trained side by side on CUDA, at most; on the CPU each trains alone.")
]
Threads: TypeAlias = Annotated[
    int | None, AT_LEAST_1, Parameter(name="--threads", help="Threads of torch and simulator.")
]
