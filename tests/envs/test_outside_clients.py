"""A client that knows nothing of us: Stable-Baselines3 accepts every id and learns on them."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest

import selectrl.envs  # noqa: F401  registers the ids
from selectrl.envs.ids import IDS

sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed (it is in the extra `dev`)")


@pytest.mark.parametrize("env_id", IDS)
def test_its_checker_accepts_every_id(env_id):
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, task=3).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", ["selectrl/PointRobot-v0", "selectrl/HalfCheetahVel-v0"])
def test_its_sac_runs(env_id):
    env = gymnasium.make(env_id, task=3)
    model = sb3.SAC("MlpPolicy", env, learning_starts=50, batch_size=16, policy_kwargs={"net_arch": [16, 16]}, seed=0)
    before = [value.detach().clone() for value in model.policy.parameters()]
    model.learn(150)
    assert model.num_timesteps == 150
    moved = [not value.equal(old) for value, old in zip(model.policy.parameters(), before, strict=True)]
    assert all(moved)
    obs, _ = env.reset(seed=0)
    action, _ = model.predict(obs, deterministic=True)
    assert np.isfinite(env.step(action)[1])
