"""Environments in Minari's metadata: ``recover_environment()`` makes that of a dataset, with the dataset's task."""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from selectrl.data.manifest import SIMULATORS, UNKNOWN, Manifest
from selectrl.errors import InputError
from selectrl.registry import FAMILIES

Floats: TypeAlias = NDArray[np.float32]

SAME = 1e-6  # relative difference of parameters that are rounded differently


class Recovery:
    """The environment of a dataset's manifest, as far as it is known here.

    Nothing is looked up by the manifest's words but the registered family and Gymnasium's table of ids: a manifest may
    come from anywhere, and Gymnasium would import what an id names.

    Args:
        manifest: of the dataset.

    Attributes:
        problem: why the environment cannot be recovered; empty if it can.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest, self.problem = manifest, ""
        self._spec, self._space = None, None
        try:
            self._spec, self._space = self._find()
        except InputError as error:
            self.problem = str(error)

    def _find(self) -> tuple[EnvSpec, spaces.Box]:
        manifest = self._manifest
        try:
            family = FAMILIES.build(FAMILIES[manifest.env].config(**manifest.env_config))
        except (TypeError, ValueError) as error:  # fields that the config does not have
            raise InputError(f"its settings are not those of {manifest.env} here ({error})") from error
        if (family.env_id, family.spec) != (manifest.env_id, manifest.spec):
            raise InputError(f"{manifest.env} is {family.env_id} here, with {family.spec}")
        for entry in manifest.tasks:
            parameter = family.parameters[entry.task] if entry.task < len(family.parameters) else ()
            if len(parameter) != len(entry.parameter) or not np.allclose(parameter, entry.parameter, SAME, SAME):
                raise InputError(f"task {entry.task} is not that of {manifest.env} here")
        spec = gymnasium.registry.get(family.env_id)
        if spec is None:
            raise InputError(f"Gymnasium knows no {family.env_id}")
        spec = copy.deepcopy(spec)
        settings = {name: value for name, value in manifest.env_config.items() if name != "horizon"}
        spec.kwargs, spec.max_episode_steps = {**spec.kwargs, **settings}, manifest.spec.horizon
        try:
            env: Any = gymnasium.make(spec, task=manifest.tasks[0].task)
            env.close()
        except Exception as error:  # the environment's own code, which a plugin may have brought
            raise InputError(f"{family.env_id} cannot be made ({error})") from error
        return spec, env.observation_space

    def spec(self, task: int) -> EnvSpec | None:
        """Return what makes the environment with a task."""
        spec = copy.deepcopy(self._spec)
        if spec is not None:
            spec.kwargs["task"] = task
        return spec

    def observation_space(self, obs: Floats) -> spaces.Box:
        """Return the environment's space if it holds these observations, (row, obs), else one without bounds."""
        space = self._space
        if space is not None and space.dtype == np.float32 and (obs >= space.low).all() and (obs <= space.high).all():
            return space
        return spaces.Box(-np.inf, np.inf, (self._manifest.spec.obs,), np.float32)

    def requirements(self) -> list[str]:
        """Return the packages that it takes, in the versions that made the data."""
        versions = self._manifest.versions
        fixed = [name for name in SIMULATORS if versions.get(name, UNKNOWN) != UNKNOWN]
        return [] if self.problem else ["selectrl", *(f"{name}=={versions[name]}" for name in fixed)]
