"""Environments in Minari's metadata: ``recover_environment()`` creates that of a dataset, with the dataset's task."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from selectrl.arrays import FloatArray
from selectrl.data.manifest import SIMULATORS, UNKNOWN, Manifest
from selectrl.errors import InputError
from selectrl.registry import FAMILIES

CLOSE = 1e-6  # relative difference between equal parameters that are rounded differently


class Recovery:
    """The environment of a dataset's manifest, if it is registered in this process.

    The manifest's strings only look up a registered family and an entry of Gymnasium's table of ids: a manifest may
    come from anywhere, and Gymnasium would import the module that an id names.

    Args:
        manifest: of the dataset.

    Attributes:
        problem: the reason for which the environment cannot be recovered; empty if it can.
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
            raise InputError(f"its settings do not fit the registered {manifest.env} ({error})") from error
        if (family.env_id, family.spec) != (manifest.env_id, manifest.spec):
            raise InputError(f"the registered {manifest.env} is {family.env_id}, with {family.spec}")
        for entry in manifest.tasks:
            parameter = family.parameters[entry.task] if entry.task < len(family.parameters) else ()
            if len(parameter) != len(entry.parameter) or not np.allclose(parameter, entry.parameter, CLOSE, CLOSE):
                raise InputError(f"task {entry.task} differs from that of the registered {manifest.env}")
        spec = gymnasium.registry.get(family.env_id)
        if spec is None:
            raise InputError(f"{family.env_id} is not registered in Gymnasium")
        spec = copy.deepcopy(spec)
        settings = {name: value for name, value in manifest.env_config.items() if name != "horizon"}
        spec.kwargs, spec.max_episode_steps = {**spec.kwargs, **settings}, manifest.spec.horizon
        try:
            env: Any = gymnasium.make(spec, task=manifest.tasks[0].task)
            env.close()
        except Exception as error:  # the environment's own code, which may be a plugin's
            raise InputError(f"{family.env_id} cannot be created ({error})") from error
        return spec, env.observation_space

    def spec(self, task: int) -> EnvSpec | None:
        """Return the Gymnasium spec of the environment with a task, None if it cannot be recovered."""
        spec = copy.deepcopy(self._spec)
        if spec is not None:
            spec.kwargs["task"] = task
        return spec

    def observation_space(self, obs: FloatArray) -> spaces.Box:
        """Return the environment's space if it contains these observations, (row, obs), else a space without bounds."""
        space = self._space
        if space is not None and space.dtype == np.float32 and (obs >= space.low).all() and (obs <= space.high).all():
            return space
        return spaces.Box(-np.inf, np.inf, (self._manifest.spec.obs,), np.float32)

    def requirements(self) -> list[str]:
        """Return the packages that the environment needs, in the versions that produced the data."""
        versions = self._manifest.versions
        pinned = [name for name in SIMULATORS if versions.get(name, UNKNOWN) != UNKNOWN]
        return [] if self.problem else ["selectrl", *(f"{name}=={versions[name]}" for name in pinned)]
