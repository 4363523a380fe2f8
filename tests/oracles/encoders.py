"""FOCAL's and CSRO's objectives."""

from __future__ import annotations

import numpy as np

from oracles import Array, Scene, latent, mlp, oracle
from oracles.aggregations import set_latent


def metric(z: Array, tasks: Array, eps: float = 1e-3) -> float:
    """The distance metric, pair by pair."""
    pull = push = 0.0
    positives = negatives = 0
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            delta = sum((z[i, d] - z[j, d]) ** 2 for d in range(z.shape[1])) / z.shape[1]
            if tasks[i] == tasks[j]:
                pull, positives = pull + np.sqrt(delta + eps), positives + 1
            else:
                push, negatives = push + 1 / (delta + 100 * eps), negatives + 1
    return pull / (positives + eps) + push / (negatives + eps)


def club_grid(e: Array, m: Array, v: Array) -> float:
    """CLUB's bound over all pairs (i, k) of rows of a task, one by one."""
    tasks, rows, dims = e.shape
    positive = negative = 0.0
    for t in range(tasks):
        for i in range(rows):
            for d in range(dims):
                positive += (e[t, i, d] - m[t, i, d]) ** 2 / v[t, i, d] / (tasks * rows * dims)
                for k in range(rows):
                    negative += (e[t, k, d] - m[t, i, d]) ** 2 / v[t, i, d] / (tasks * rows * rows * dims)
    return negative - positive


def club_network(scene: Scene) -> tuple[Array, Array]:
    """Mean and variance of q(z | s, a)."""
    rows = scene.draws["context"]
    raw = mlp(scene.live, "encoder.club", np.concatenate((rows.obs, rows.action), -1))
    raw = np.tanh(raw) if scene.encoder.club_squash else raw
    half = scene.encoder.latent_dim
    return raw[..., :half], np.log(1 + np.exp(raw[..., half:]))


@latent("encoders.focal", "encoders.csro", "encoders.task_posterior")
def pooled(scene: Scene, held: bool, draw: str) -> tuple[Array, Array]:
    return set_latent(scene, held)


@oracle("encoders.focal", "encoder")
def focal(scene: Scene) -> float:
    return scene.encoder.metric_weight * metric(scene.z(held=False)[:, 0], scene.tasks)


@oracle("encoders.csro", "club")
@oracle("encoders.task_posterior", "club")
def csro_club(scene: Scene) -> float:
    e, (m, v) = scene.embeddings(held=True), club_network(scene)
    return scene.encoder.club_fit_weight * np.mean((e - m) ** 2 / (2 * v) + np.log(v) / 2)


@oracle("encoders.csro", "encoder")
@oracle("encoders.task_posterior", "encoder")
def csro_encoder(scene: Scene) -> float:
    grid = club_grid(scene.embeddings(held=False), *club_network(scene))
    return focal(scene) + scene.encoder.club_weight * grid


@oracle("encoders.task_posterior", "anchors")
def anchors(scene: Scene) -> float:
    loss, z = 0.0, scene.z(held=True)[:, 0]
    for place, task in enumerate(scene.tasks):
        total, mass = scene.live["encoder.anchors.total"][task], scene.live["encoder.anchors.mass"][task]
        loss += (np.sum((total - z[place]) ** 2) + (mass - 1) ** 2) / 2
    return float(loss)
