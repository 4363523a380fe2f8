"""Rows of a comparison as jobs; rows that differ only at meta-test share one trained policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import label_of
from selectrl.fields import as_tuple, names
from selectrl.launch.job import Job, threads_of


@attrs.frozen(kw_only=True)
class GridConfig:
    """What an ablation varies, for a grid file.

    Attributes:
        vary: axes, each ``NAME=a,b`` as ``selectrl ablate --vary`` takes them.
    """

    vary: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=names())


@attrs.frozen(kw_only=True)
class Row:
    """One line of the comparison's table.

    Attributes:
        experiment: what is trained and tested; its name is the row's.
        gin: the same as bindings, for people to read and change.
        tuning: what was spent on tuning it.
    """

    experiment: Experiment
    gin: str = ""
    tuning: str = "no tuning"


@attrs.frozen(kw_only=True)
class Policy:
    """What one training gives, and the rows that are tests of it.

    Attributes:
        folder: folder of its seeds.
        rows: the first is trained, the others are more tests of what it learnt.
    """

    folder: Path
    rows: tuple[Row, ...]

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return self.rows[0].experiment

    def labels(self, first: Experiment) -> dict[str, str]:
        """Return the evaluation of each row, by the row's name.

        Args:
            first: the experiment that the run directory was begun with, after which evaluations are called.
        """
        return {r.experiment.name: label_of(r.experiment.collector, r.experiment.test, first) for r in self.rows}


@attrs.frozen(kw_only=True)
class Plan:
    """All runs of a comparison.

    Attributes:
        policies: what is trained.
        seeds: how many seeds of each.
        data: folder of the datasets.
        out: folder of the runs.
    """

    policies: tuple[Policy, ...]
    seeds: int
    data: Path
    out: Path

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row, in the order of the policies."""
        return tuple(row for policy in self.policies for row in policy.rows)

    @property
    def envs(self) -> tuple[str, ...]:
        """The environments, each once."""
        return tuple(dict.fromkeys(policy.experiment.env_name for policy in self.policies))

    def of(self, env: str) -> tuple[Row, ...]:
        """Return the rows of one environment."""
        return tuple(row for row in self.rows if row.experiment.env_name == env)

    def datasets(self) -> dict[Path, Experiment]:
        """Return the folder of every dataset, with the first experiment that reads it."""
        users = (row.experiment for row in reversed(self.rows))
        return {self.data / user.env_name / user.data.name: user for user in users}

    def jobs(self, execution: Execution, threads: int | None = None) -> tuple[Job, ...]:
        """Return the jobs, seed by seed, so that a comparison cut short has whole seeds.

        Args:
            execution: how they are carried out, with the threads of a run that has not begun with another number.
            threads: threads of each run, if a number was asked for.
        """
        return tuple(
            Job(
                folder=folder,
                experiment=policy.experiment,
                seed=seed,
                execution=attrs.evolve(
                    execution,
                    threads=threads_of(folder, threads, execution.threads),
                    gin=policy.rows[0].gin,
                ),
                tests=tuple((row.experiment.collector, row.experiment.test) for row in policy.rows[1:]),
            )
            for seed in range(self.seeds)
            for policy in self.policies
            for folder in [policy.folder / f"seed{seed}"]
        )


def make_plan(rows: Sequence[Row], seeds: int, data: Path, out: Path) -> Plan:
    """Group rows by what is trained; a policy that an earlier command has trained below ``out`` is taken up.

    Raises:
        InputError: there is no row, two rows are one experiment, or two rows of one environment share a name.
    """
    if not rows:
        raise InputError("nothing to compare; give two methods or more, for example --methods select,csro")
    groups: dict[tuple[str, str], list[Row]] = {}
    names: set[tuple[str, str]] = set()
    for row in rows:
        one = row.experiment
        if (one.env_name, one.name) in names:
            raise InputError(f"two rows are called {one.name!r} on {one.env_name}; name each method once")
        names.add((one.env_name, one.name))
        group = groups.setdefault((one.env_name, one.key), [])
        twin = next((r for r in group if attrs.evolve(r.experiment, name=one.name) == one), None)
        if twin is not None:
            raise InputError(f"{twin.experiment.name} and {one.name} are one and the same experiment; drop one of them")
        group.append(row)
    policies = [Policy(folder=home(out, group[0].experiment), rows=tuple(group)) for group in groups.values()]
    return Plan(policies=tuple(policies), seeds=seeds, data=data, out=out)


def home(out: Path, experiment: Experiment) -> Path:
    """Return the folder of an experiment's seeds: the one that holds this very training, or a new one."""
    above = out / experiment.env_name
    known = sorted(path for path in above.glob(f"*-{experiment.key[:8]}") if path.is_dir())
    return known[0] if known else above / experiment.folder_name
