"""Train every encoder × critic × actor briefly on Point-Robot, test every collector, and write the outcomes.

``make grid`` runs it on the laptop dataset; the documentation's composition matrix is drawn from what it writes.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import attrs

from selectrl.collectors.configs import OnlineConfig
from selectrl.data.config import DataConfig
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import CompositionError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import train
from selectrl.registry import ACTORS, COLLECTORS, CRITICS, ENCODERS, REGISTRIES, Registry, tag
from selectrl.trainer.config import TrainConfig

STEPS = 50
#: Fields that are cut short wherever a part has them: pre-training lasts as long as the rest, and a generator that has
#: learnt nothing in so few steps is no reason to stop.
SHORT = {"steps": STEPS, "contrastive_steps": STEPS, "min_kl": 0.0, "min_spread": 0.0}
RESULT = Path(__file__).parents[1] / "results" / "grid" / "point_robot.json"

Row = dict[str, Any]


def defaults(registry: Registry[..., Any]) -> dict[str, Any]:
    """Return each part of a kind with its default settings, by name."""
    return {entry.name: entry.config() for entry in registry}


def variants(registry: Registry[..., Any]) -> dict[str, Any]:
    """Return each part with one of its inner parts (aggregation, weight, policy, …) swapped, by ``name+inner``."""
    kinds = {kind.kind: kind for kind in REGISTRIES}
    configs = {}
    for name, config in defaults(registry).items():
        for field in attrs.fields(type(config)):
            own = tag(getattr(config, field.name))
            if own is None:
                continue
            kind, _, present = own.partition(".")
            for entry in kinds[kind]:
                if entry.name != present:
                    configs[f"{name}+{entry.name}"] = attrs.evolve(config, **{field.name: entry.config()})
    return configs


def pairs(*axes: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Choose rows, greedily and always the same, such that each pair of values of two axes occurs in one of them."""
    names = [list(axis) for axis in axes]
    wanted = {
        ((i, a), (j, b)) for i, j in product(range(len(names)), repeat=2) if i < j for a in names[i] for b in names[j]
    }

    def covered(row: tuple[str, ...]) -> set[Any]:
        placed = list(enumerate(row))
        return {(first, second) for first in placed for second in placed if first[0] < second[0]}

    while wanted:
        best = max(product(*names), key=lambda row: len(covered(row) & wanted))
        wanted -= covered(best)
        yield best


def cut(config: Any, limits: Mapping[str, Any]) -> Any:
    """Return a config, inner parts included, whose fields of the limits' names are at most (or just) these values."""
    changes = {}
    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        if attrs.has(type(value)):
            changes[field.name] = cut(value, limits)
        elif field.name in limits:
            limit = limits[field.name]
            changes[field.name] = min(value, limit) if isinstance(limit, int) else limit
    return attrs.evolve(config, **changes)


def experiment(encoder: Any, critic: Any, actor: Any, collector: Any = None, **settings: Any) -> Experiment:
    """Return parts on Point-Robot, with a training of a moment and a test of two blocks."""
    return Experiment(
        name="grid",
        encoder=encoder,
        critic=critic,
        actor=actor,
        collector=collector or OnlineConfig(),
        env=settings.get("env", PointRobotConfig()),
        data=DataConfig(name=settings.get("data", "laptop")),
        train=settings.get("train", TrainConfig(steps=STEPS, batch=64, context=128, test_every=STEPS)),
        test=TestConfig(budget=40, repeats=1),
    )


def attempt(composition: Experiment, data: Path, out: Path) -> tuple[str, str, Any]:
    """Train a composition; return ``trained`` or ``refused``, the reason of a refusal, and the run."""
    losses: list[float] = []
    run = Run(out / composition.folder_name / "seed0", composition, 0, Execution(data=data))
    try:
        train([run], lambda _, record: losses.extend(record.get("values", {}).values()))
    except CompositionError as error:
        return "refused", str(error), None
    assert losses
    assert all(math.isfinite(loss) for loss in losses)
    return "trained", "", run


def main(data: Path) -> int:
    """Run the grid and write it."""
    axes = defaults(ENCODERS), defaults(CRITICS), defaults(ACTORS)
    compositions: list[Row] = []
    collectors: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for names in product(*axes):
            parts = [cut(axis[name], SHORT) for axis, name in zip(axes, names, strict=True)]
            outcome, reason, run = attempt(experiment(*parts), data, Path(scratch))
            row = dict(zip(("encoder", "critic", "actor"), names, strict=True))
            compositions.append({**row, "outcome": outcome, "reason": reason})
            sys.stderr.write(f"{' '.join(names)}: {outcome} {reason}\n")
            if run is None or names[1:] != ("dual_target", "weighted_bc"):
                continue
            for entry in COLLECTORS:  # all on this one trained policy
                result = run.evaluate(label=entry.name, collector=entry.config()).final_return
                collectors.append(
                    {"encoder": names[0], "collector": entry.name, "outcome": "tested", "return": round(result, 3)}
                )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    outcomes = {"env": "point_robot", "steps": STEPS, "compositions": compositions, "collectors": collectors}
    RESULT.write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
