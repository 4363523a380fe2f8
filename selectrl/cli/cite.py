"""``selectrl cite``: print the BibTeX entries of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Parameter

import selectrl
from selectrl.citations import citation, citations
from selectrl.cli.options import Ablation, Env, Json, Method, Profile, Sets
from selectrl.cli.screen import emit, line
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.experiment.stored import read_experiment


def cite(
    file: Annotated[
        Path | None, Parameter(help="Your gin file, applied over method, env and profile; or a run directory.")
    ] = None,
    /,
    *,
    method: Method = None,
    env: Env = None,
    profile: Profile = None,
    ablation: Ablation = None,
    set_: Sets = (),
    json: Json = False,
) -> None:
    """Print BibTeX of exactly what an experiment uses: the papers of its parts, and this library."""
    if file is not None and file.is_dir():
        if method or env or profile or ablation or set_:
            raise InputError(f"{file} is a run directory, and its experiment is complete; leave out the other options")
        experiment = load_experiment(file)
    else:
        layers = {"profile": profile, "ablation": ablation}
        experiment = selectrl.compose(method, env, **layers, file=file, settings=set_, name="experiment")
    if json:
        emit({"citations": [attrs.asdict(entry) for entry in citations(experiment)]})
    else:
        line(citation(experiment))


def load_experiment(folder: Path) -> Experiment:
    """Return the experiment of a run directory.

    Raises:
        InputError: the folder contains no run, or its record is damaged.
    """
    return read_experiment(folder)[0]
