"""How the rows of a set become one z, weight by weight."""

from __future__ import annotations

import numpy as np

from oracles import Array, Parameters, Scene, mlp
from selectrl.registry import tag


def precisions(scene: Scene, parameters: Parameters) -> Array:
    """1 / σ² of each row and dimension, (task, context, latent)."""
    raw = mlp(parameters, "encoder.net", scene.context_columns())[..., scene.encoder.latent_dim :]
    return 1 / np.maximum(np.log(1 + np.exp(raw)), 1e-7)


def posterior(scene: Scene, held: bool) -> tuple[Array, Array]:
    """Mean and deviation of the product of the rows' Gaussian factors, (task, latent), taken in row by row."""
    e, precision = scene.embeddings(held), precisions(scene, scene.held if held else scene.live)
    mean, total = e[:, 0], precision[:, 0]
    for i in range(1, e.shape[1]):
        mean = (total * mean + precision[:, i] * e[:, i]) / (total + precision[:, i])
        total = total + precision[:, i]
    return mean, 1 / np.sqrt(total)


def set_latent(scene: Scene, held: bool) -> tuple[Array, Array]:
    """z and z_next of a set encoder, both (task, 1, latent)."""
    kind, e = str(tag(scene.encoder.aggregation)).removeprefix("aggregations."), scene.embeddings(held)
    if kind == "mean":
        z = e.mean(1)
    elif kind == "attention":
        parameters = scene.held if held else scene.live
        score = e @ parameters["encoder.pooling.score.weight"][0] + parameters["encoder.pooling.score.bias"]
        z = np.einsum("tc,tcl->tl", np.exp(score), e) / np.exp(score).sum(1)[:, None]
    else:
        mean, deviation = posterior(scene, held)
        z = mean + deviation * scene.noise["latent"][:, 0] if kind == "product_of_gaussians" else mean
    return z[:, None], z[:, None]
