"""OffPEARL's one objective: the critic's TD loss and the divergence to the prior."""

from __future__ import annotations

import numpy as np

from oracles import ORACLES, Array, Scene, latent, oracle
from oracles.aggregations import posterior, set_latent
from selectrl.registry import tag


def divergence(mean: Array, deviation: Array) -> float:
    """KL of diagonal Gaussians to N(0, I), the sum over all entries, one by one."""
    pairs = zip(mean.ravel(), deviation.ravel(), strict=True)
    return sum((s**2 + m**2 - 1 - np.log(s**2)) / 2 for m, s in pairs)


@latent("encoders.offpearl")
def sampled(scene: Scene, held: bool, draw: str) -> tuple[Array, Array]:
    return set_latent(scene, held)


@oracle("encoders.offpearl", "critic")
def offpearl(scene: Scene) -> float:
    td = ORACLES[str(tag(scene.critic)), "critic"](scene)
    return td + scene.encoder.kl_weight * divergence(*posterior(scene, held=False))
