"""SELECT-RL: offline meta-reinforcement learning from interchangeable parts.

>>> import selectrl
>>> experiment = selectrl.compose("select", "point_robot", profile="laptop")
>>> run = selectrl.train(experiment, seed=0)  # doctest: +SKIP
>>> run.evaluate().final_return  # doctest: +SKIP
"""

from __future__ import annotations

from selectrl.after_import import after_import, around_import
from selectrl.version import __version__

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from selectrl.api import compose, train
    from selectrl.citations import citation
    from selectrl.experiment.config import Experiment


def _register_ids() -> None:
    from selectrl.envs.ids import register

    register()


def _import_torch(load: Callable[[], None]) -> None:
    from selectrl.torch_backends import shielded

    with shielded():
        load()


after_import("gymnasium", _register_ids)  # it knows the ids from then on
around_import("torch", _import_torch)  # a broken entry point of any package would end it

__all__ = ["Experiment", "__version__", "citation", "compose", "train"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that importing a room stays light."""
    if name in ("compose", "train"):
        import selectrl.api

        return getattr(selectrl.api, name)
    if name == "citation":
        from selectrl.citations import citation

        return citation
    if name == "Experiment":
        from selectrl.experiment.config import Experiment

        return Experiment
    raise AttributeError(f"module 'selectrl' has no attribute {name!r}")
