"""The losses of a decoder and of a classifier beside FOCAL's."""

from __future__ import annotations

import numpy as np

from oracles import Array, Scene, latent, mlp, oracle
from oracles.aggregations import set_latent
from oracles.encoders import focal


@latent("encoders.reconstruction", "encoders.classifier")
def pooled(scene: Scene, held: bool, draw: str) -> tuple[Array, Array]:
    return set_latent(scene, held)


def missed(scene: Scene, z: Array) -> float:
    """What the decoder misses of its own rows under z."""
    rows = scene.draws["decode"]
    out = mlp(scene.live, "encoder.decoder", np.concatenate((rows.obs, rows.action), -1), z)
    total = np.mean((out[..., 0] - rows.reward) ** 2)
    if scene.next_obs:
        total += np.mean((rows.obs + out[..., 1:] - rows.next_obs) ** 2)
    return float(total)


@oracle("encoders.reconstruction", "encoder")
def reconstruction(scene: Scene) -> float:
    return focal(scene) + scene.encoder.reconstruction_weight * missed(scene, scene.z(held=False))


@oracle("encoders.task_posterior", "decoder")
def decoder(scene: Scene) -> float:
    return missed(scene, scene.z(held=True))


@oracle("encoders.classifier", "encoder")
def classifier(scene: Scene) -> float:
    z = scene.z(held=False)[:, 0]
    odds = np.exp(z @ scene.live["encoder.head.weight"].T + scene.live["encoder.head.bias"])
    right = [odds[place, task] / odds[place].sum() for place, task in enumerate(scene.tasks)]
    return focal(scene) - scene.encoder.classifier_weight * np.mean(np.log(right))
