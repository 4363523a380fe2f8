"""The objectives of the soft actor, of BRAC's and of SELECT's."""

from __future__ import annotations

from functools import partial

import numpy as np

from oracles import Array, Policy, Scene, mlp, oracle
from selectrl.registry import tag


def weight(scene: Scene, advantage: Array) -> Array:
    """The weight of the cloning term."""
    config, kind = scene.actor.weight, str(tag(scene.actor.weight)).removeprefix("weights.")
    if kind in ("binary", "leaky"):
        return np.where(advantage > config.threshold, 1.0, config.beta if kind == "leaky" else 0.0)
    if kind == "top_p":
        order = np.argsort(np.argsort(advantage, axis=None)).reshape(advantage.shape)  # 0 is the smallest
        return np.where(order >= advantage.size - round(config.fraction * advantage.size), 1.0, 0.0)
    if kind == "constant":
        return np.full_like(advantage, config.value)
    scaled = advantage / (config.temperature * (np.mean(np.abs(advantage)) if config.relative else 1.0))
    return np.minimum(np.exp(scaled), config.clip) if kind == "exp" else 1 / (1 + np.exp(-scaled))


@oracle("actors.weighted_bc", "policy")
def weighted_bc(scene: Scene) -> float:
    rl, z = scene.draws["rl"], scene.z()
    live = scene.policy(scene.live, rl.obs, z, scene.noise["policy"]).action
    held = scene.policy(scene.held, rl.obs, z, scene.noise["policy"]).action
    q_data = scene.q(scene.held, rl.obs, rl.action, z)[0]
    w = weight(scene, q_data - scene.v(scene.held, rl.obs, z))
    normaliser = q_data if scene.actor.lambda_on == "dataset" else scene.q(scene.held, rl.obs, held, z)[0]
    scale = scene.actor.alpha / max(np.abs(normaliser).mean(), 1e-6)
    q = scene.q(scene.held, rl.obs, live, z)[0]
    return -scale * q.mean() + np.mean(w[..., None] * (live - rl.action) ** 2)


def soft(scene: Scene) -> tuple[float, Policy]:
    """The soft actor's loss, and the sample that it was made with."""
    rl, z = scene.draws["rl"], scene.z()
    sample = scene.policy(scene.live, rl.obs, z, scene.noise["policy"])
    q = scene.q(scene.held, rl.obs, sample.action, z)
    penalty = np.mean(sample.mean**2) + np.mean(sample.log_std**2)
    loss = np.mean(sample.temperature * sample.log_prob - np.minimum(q[0], q[1]))
    return loss + scene.actor.regulariser * penalty, sample


@oracle("actors.sac", "policy")
def sac(scene: Scene) -> float:
    return soft(scene)[0]


def estimate(scene: Scene, parameters: dict[str, Array], rows: str, action: Array) -> float:
    """BRAC's dual estimate of the divergence, mean over rows."""
    rl = scene.draws[rows]

    def g(a: Array) -> Array:
        x = np.concatenate((rl.obs, a), -1)
        return np.log1p(np.exp(mlp(parameters, "actor.dual", x, scene.z(draw=rows), 0)[..., 0]))

    return np.mean(1 + np.log(g(action) + 1e-8) - g(rl.action))


def brac_dual(scene: Scene, suffix: str) -> float:
    rows = f"rl{suffix}"
    rl, z = scene.draws[rows], scene.z(draw=rows)
    action = scene.policy(scene.held, rl.obs, z, scene.noise[f"policy{suffix}"]).action
    mixed = action + scene.noise[f"mix{suffix}"][..., None] * (rl.action - action)
    c = mlp(scene.live, "actor.dual", np.concatenate((rl.obs, mixed), -1), z, 0)[..., 0]
    penalty = np.mean(np.maximum(np.sqrt(c**2 + 1e-8) - 1, 0) ** 2)
    return -estimate(scene, scene.live, rows, action) + scene.actor.dual_penalty * penalty


for name, suffix in (("dual", ""), ("dual_1", "_1"), ("dual_2", "_2")):
    oracle("actors.brac", name)(partial(brac_dual, suffix=suffix))


@oracle("actors.brac", "policy")
def brac_policy(scene: Scene) -> float:
    """The policy's loss; the multiplier's own loss has a gradient of minus (divergence - target)."""
    loss, sample = soft(scene)
    held = scene.policy(scene.held, scene.draws["rl"].obs, scene.z(), scene.noise["policy"]).action
    used = np.clip(scene.held["actor.multiplier"], 0, scene.actor.divergence_max)
    excess = estimate(scene, scene.held, "rl", held) - scene.actor.divergence_target
    own = -scene.live["actor.multiplier"] * excess
    return float(loss + used * estimate(scene, scene.held, "rl", sample.action) + own)
