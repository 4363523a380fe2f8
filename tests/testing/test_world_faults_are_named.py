"""The kit catches each fault that is planted in a collector or a task family, and its sentence names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from selectrl.collectors.configs import OnlineConfig
from selectrl.collectors.online import OnlineCollector
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.point_robot import PointRobot, PointRobotWorlds
from selectrl.registry import Registry
from selectrl.testing import ConformanceError, check_collector, check_env


@attrs.frozen
class Fake:
    """A config that builds a faulty part."""

    make: Callable[..., Any]


@pytest.fixture(autouse=True)
def _build_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every registry build a fake by its own function."""
    build = Registry.build

    def built(registry: Any, config: Any, *arguments: Any) -> Any:
        return config.make(*arguments) if isinstance(config, Fake) else build(registry, config, *arguments)

    monkeypatch.setattr(Registry, "build", built)


# --- collectors -------------------------------------------------------------------------------------------------------


class Overshooting(OnlineCollector):
    def act(self, policy, obs, z, moment):
        return policy.mode(obs, z) + moment.normal


class Dicing(OnlineCollector):
    def act(self, policy, obs, z, moment):
        return policy.mode(obs, z) * torch.rand(())


class Averaging(OnlineCollector):
    def latent(self, belief, normal):
        return belief.z.mean(0).expand_as(belief.z)


class Vague(OnlineCollector):
    def updates(self, progress, block_end):
        return progress


class Weighing(OnlineCollector):
    def keeps(self, returns):
        return returns[:, -1]


class Ranking(OnlineCollector):
    def keeps(self, returns):
        return returns[:, -1] >= returns[:, -1].median()


class Elsewhere(OnlineCollector):
    offline = "disk"


def collector(cls: type) -> None:
    check_collector(Fake(lambda: cls(OnlineConfig())))


COLLECTORS = {
    Overshooting: r"act gives an action of [\d.]+ at progress 0.0; expected the box",
    Dicing: r"latent or act drew from torch's global generator",
    Averaging: r"a world's z or action depends on other worlds",
    Vague: r"updates\(0.0, False\) is 0.0; expected a bool",
    Weighing: r"keeps is \(4,\) torch.float32; expected bool",
    Ranking: r"keeps of a world depends on other worlds",
    Elsewhere: r"offline is 'disk'",
}

# --- environments -----------------------------------------------------------------------------------------------------


class Leaking(PointRobot):
    def __init__(self, config):
        super().__init__(config)
        self.test_tasks = (*self.test_tasks, 0)


class Lying(PointRobot):
    def reward(self, parameters, obs, action, next_obs):
        return super().reward(parameters, obs, action, obs)


class Narrow(PointRobot):
    def __init__(self, config):
        super().__init__(config)
        self.spec = self.spec._replace(obs=3)


class Late(PointRobot):
    def __init__(self, config):
        super().__init__(config)
        self.spec = self.spec._replace(horizon=25)


class Own(PointRobot):
    worlds_class: type = PointRobotWorlds

    def worlds(self, tasks, render_mode=None, *, threads=1):
        return self.worlds_class(self, tasks, render_mode)


class RestartingAll(PointRobotWorlds):
    def _start(self, mask, seeds):
        self.position[:] = 0


class Entropic(PointRobotWorlds):
    def _start(self, mask, seeds):
        self.position[mask] = np.random.default_rng().normal(size=(int(mask.sum()), 2)) / 10


class Crowding(PointRobotWorlds):
    def _advance(self, actions):
        return super()._advance(actions - actions.mean(0))


class ResetsOthers(Own):
    worlds_class = RestartingAll


class Unseeded(Own):
    worlds_class = Entropic


class Crowded(Own):
    worlds_class = Crowding


class Backwards(PointRobot):
    def reference_returns(self, tasks):
        returns = super().reference_returns(tasks)
        return returns._replace(optimum=returns.random - 1)


class Goalless(PointRobot):
    @property
    def arena(self):
        return super().arena._replace(goals=np.zeros((3, 2)))


def env(cls: type) -> None:
    check_env(Fake(lambda: cls(PointRobotConfig())))


ENVS = {
    Backwards: r"reference_returns are .*; expected finite numbers, the optimum above random",
    Goalless: r"arena's goals, .* have shapes \[\(3, 2\), ",
    Leaking: r"tasks \[0\] are training and test tasks; expected disjoint sets",
    Lying: r"reward\(\) differs from the rewards of step",
    Narrow: r"observations are \(3, 2\) float32; expected float32 of shape \(3, 3\)",
    Late: r"a world is truncated after 20 steps; expected truncation after spec.horizon = 25 steps",
    ResetsOthers: r"a reset by mask moved a world outside the mask",
    Unseeded: r"equal seeds and actions gave two different episodes",
    Crowded: r"an episode of task 0 depends on the other worlds",
}

CHECKS = [(collector, COLLECTORS), (env, ENVS)]
FAULTS = [pytest.param(check, *fault, id=fault[0].__name__) for check, faults in CHECKS for fault in faults.items()]


@pytest.mark.parametrize(("check", "part", "sentence"), FAULTS)
def test_a_planted_fault_is_named(check: Callable[[type], None], part: type, sentence: str) -> None:
    with pytest.raises(ConformanceError, match=sentence) as caught:
        check(part)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("check", "part"),
    [(collector, OnlineCollector), (env, Own)],
)
def test_the_same_parts_without_a_fault_pass(check: Callable[[type], None], part: type) -> None:
    check(part)
