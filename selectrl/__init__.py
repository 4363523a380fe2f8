"""SELECT-RL: offline meta-reinforcement learning from interchangeable parts.

>>> import selectrl
>>> dataset = selectrl.collect("point_robot", preset="laptop")  # doctest: +SKIP
>>> experiment = selectrl.compose("select", "point_robot", profile="laptop")
>>> run = selectrl.train(experiment, seed=0)  # doctest: +SKIP
>>> run.evaluate().final_return  # doctest: +SKIP
"""

from __future__ import annotations

# Rooms whose name a function has, too. Importing them first leaves the name to the function for good.
import selectrl.compare
import selectrl.evaluate
import selectrl.report  # noqa: F401
from selectrl.after_import import call_after_import, wrap_import
from selectrl.api.comparisons import ablate, compare, tune
from selectrl.api.experiments import compose
from selectrl.api.runs import collect, evaluate, report, train
from selectrl.version import __version__

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from selectrl.citations import citation
    from selectrl.experiment.config import Experiment


def _register_ids() -> None:
    from selectrl.envs.ids import register

    register()


def _import_torch(load: Callable[[], None]) -> None:
    from selectrl.torch_backends import shield_torch_import

    with shield_torch_import():
        load()


call_after_import("gymnasium", _register_ids)  # it knows the ids from then on
wrap_import("torch", _import_torch)  # a broken entry point of any package would end it

__all__ = [
    "Experiment",
    "__version__",
    "ablate",
    "citation",
    "collect",
    "compare",
    "compose",
    "evaluate",
    "report",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that importing a room stays light."""
    if name == "citation":
        from selectrl.citations import citation

        return citation
    if name == "Experiment":
        from selectrl.experiment.config import Experiment

        return Experiment
    raise AttributeError(f"module 'selectrl' has no attribute {name!r}")
