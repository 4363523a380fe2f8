"""Rows of a comparison as jobs; rows that differ only at meta-test share one trained policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import make_label
from selectrl.fields import as_tuple, names
from selectrl.launch.job import Job, choose_threads


@attrs.frozen(kw_only=True)
class GridConfig:
    """The axes of an ablation, for a grid file.

    Attributes:
        vary: axes, each ``NAME=a,b`` as ``selectrl ablate --vary`` takes them.
    """

    vary: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=names())


@attrs.frozen(kw_only=True)
class ComparisonRow:
    """One line of the comparison's table.

    Attributes:
        experiment: the experiment that is trained and tested; its name is the row's.
        gin: the experiment as gin bindings, for people to read and change.
        tuning: the tuning budget that was spent on it.
    """

    experiment: Experiment
    gin: str = ""
    tuning: str = "no tuning"


@attrs.frozen(kw_only=True)
class TrainedPolicy:
    """A trained policy, and the rows that test it.

    Attributes:
        folder: folder of its seeds.
        rows: the first is trained, the others are more tests of the same policy.
    """

    folder: Path
    rows: tuple[ComparisonRow, ...]

    @property
    def experiment(self) -> Experiment:
        """The experiment that is trained."""
        return self.rows[0].experiment

    def labels(self, first: Experiment) -> dict[str, str]:
        """Return the label of each row's evaluation, by the row's name.

        Args:
            first: the experiment that the run directory was started with; labels are relative to it.
        """
        return {r.experiment.name: make_label(r.experiment.collector, r.experiment.test, first) for r in self.rows}


@attrs.frozen(kw_only=True)
class ComparisonPlan:
    """All runs of a comparison.

    Attributes:
        policies: the policies that are trained.
        seeds: number of seeds of each.
        data: folder of the datasets.
        out: folder of the runs.
    """

    policies: tuple[TrainedPolicy, ...]
    seeds: int
    data: Path
    out: Path

    @property
    def rows(self) -> tuple[ComparisonRow, ...]:
        """Every row, in the order of the policies."""
        return tuple(row for policy in self.policies for row in policy.rows)

    @property
    def envs(self) -> tuple[str, ...]:
        """The environments, without repetition."""
        return tuple(dict.fromkeys(policy.experiment.env_name for policy in self.policies))

    def rows_of(self, env: str) -> tuple[ComparisonRow, ...]:
        """Return the rows of one environment."""
        return tuple(row for row in self.rows if row.experiment.env_name == env)

    def datasets(self) -> dict[Path, Experiment]:
        """Return the folder of every dataset, with the first experiment that reads it."""
        readers = (row.experiment for row in reversed(self.rows))
        return {self.data / reader.env_name / reader.data.name: reader for reader in readers}

    def jobs(self, execution: Execution, threads: int | None = None) -> tuple[Job, ...]:
        """Return the jobs, seed by seed, so that an interrupted comparison has complete seeds.

        Args:
            execution: their execution, with the threads of a run that did not start with another number.
            threads: threads of each run, if a number was given.
        """
        return tuple(
            Job(
                folder=folder,
                experiment=policy.experiment,
                seed=seed,
                execution=attrs.evolve(
                    execution,
                    threads=choose_threads(folder, threads, execution.threads),
                    gin=policy.rows[0].gin,
                ),
                tests=tuple((row.experiment.collector, row.experiment.test) for row in policy.rows[1:]),
            )
            for seed in range(self.seeds)
            for policy in self.policies
            for folder in [policy.folder / f"seed{seed}"]
        )


def make_plan(rows: Sequence[ComparisonRow], seeds: int, data: Path, out: Path) -> ComparisonPlan:
    """Group rows by trained policy; a policy that an earlier command has trained below ``out`` is used again.

    Raises:
        InputError: there is no row, two rows are the same experiment, or two rows of one environment share a name.
    """
    if not rows:
        raise InputError("nothing to compare; give two methods or more, for example --methods select,csro")
    groups: dict[tuple[str, str], list[ComparisonRow]] = {}
    names: set[tuple[str, str]] = set()
    for row in rows:
        experiment = row.experiment
        if (experiment.env_name, experiment.name) in names:
            raise InputError(
                f"two rows have the name {experiment.name!r} on {experiment.env_name}; name each method once"
            )
        names.add((experiment.env_name, experiment.name))
        group = groups.setdefault((experiment.env_name, experiment.key), [])
        twin = next((r for r in group if attrs.evolve(r.experiment, name=experiment.name) == experiment), None)
        if twin is not None:
            raise InputError(
                f"{twin.experiment.name} and {experiment.name} are the same experiment; remove one of them"
            )
        group.append(row)
    policies = [
        TrainedPolicy(folder=policy_folder(out, group[0].experiment), rows=tuple(group)) for group in groups.values()
    ]
    return ComparisonPlan(policies=tuple(policies), seeds=seeds, data=data, out=out)


def policy_folder(out: Path, experiment: Experiment) -> Path:
    """Return the folder of an experiment's seeds: the existing folder of this training, or a new one."""
    above = out / experiment.env_name
    existing = sorted(path for path in above.glob(f"*-{experiment.key[:8]}") if path.is_dir())
    return existing[0] if existing else above / experiment.folder_name
