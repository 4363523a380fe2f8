"""The objectives of SAC-v1's critic and of SELECT's."""

from __future__ import annotations

import numpy as np

from oracles import Array, Scene, oracle
from selectrl.registry import tag


def td_loss(q: Array, target: Array) -> float:
    return np.mean((q[0] - target) ** 2) + np.mean((q[1] - target) ** 2)


@oracle("critics.twin_q_v", "critic")
def twin_critic(scene: Scene) -> float:
    rl, config = scene.draws["rl"], scene.critic
    bootstrap = scene.v(scene.held, rl.next_obs, scene.z_next(), "targets.critic_v_net")
    y = config.reward_scale * rl.reward + (1 - rl.terminal) * config.discount * bootstrap
    return td_loss(scene.q(scene.live, rl.obs, rl.action, scene.z(held=False)), y)


@oracle("critics.twin_q_v", "value")
def twin_value(scene: Scene) -> float:
    rl, z = scene.draws["rl"], scene.z()
    sample = scene.policy(scene.held, rl.obs, z, scene.noise["policy"])
    q = scene.q(scene.held, rl.obs, sample.action, z)
    target = np.minimum(q[0], q[1]) - sample.temperature * sample.log_prob
    return np.mean((scene.v(scene.live, rl.obs, z) - target) ** 2)


def dual_y(scene: Scene) -> Array:
    """The TD3-style target with target Q and target policy."""
    rl, z, config = scene.draws["rl"], scene.z_next(), scene.critic
    sample = scene.policy(scene.held, rl.next_obs, z, scene.noise["next_policy"], "targets.policy")
    noise = np.clip(config.smoothing * scene.noise["smoothing"], -config.smoothing_clip, config.smoothing_clip)
    action = np.clip(sample.action + noise, -1, 1)
    q = scene.q(scene.held, rl.next_obs, action, z, "targets.critic_q_net")
    bootstrap = np.minimum(q[0], q[1]) - sample.temperature * sample.log_prob
    return config.reward_scale * rl.reward + (1 - rl.terminal) * config.discount * bootstrap


def dual_v_target(scene: Scene) -> Array:
    """What V regresses on."""
    rl, z, kind = scene.draws["rl"], scene.z(), str(tag(scene.critic.value))
    if kind in ("values.td_target", "values.ensemble"):
        return dual_y(scene)
    mode = scene.policy(scene.held, rl.obs, z, np.zeros_like(rl.action)).mode
    actions = {"min_target_q": rl.action, "expectile": rl.action, "min_target_q_policy": mode}
    return scene.q(scene.held, rl.obs, actions[kind.removeprefix("values.")], z, "targets.critic_q_net").min(axis=0)


def regression(scene: Scene, v: Array, target: Array) -> float:
    """The regression of one V network."""
    if not hasattr(scene.critic.value, "expectile"):
        return np.mean((v - target) ** 2)
    tau = scene.critic.value.expectile
    return np.mean(np.where(target > v, tau, 1 - tau) * (v - target) ** 2)


@oracle("critics.dual_target", "critic")
def dual_critic(scene: Scene) -> float:
    rl = scene.draws["rl"]
    q = scene.q(scene.live, rl.obs, rl.action, scene.z(held=False))
    target = dual_v_target(scene)
    losses = [regression(scene, v, target) for v in scene.vs(scene.live, rl.obs, scene.z())]
    return td_loss(q, dual_y(scene)) + sum(losses)
