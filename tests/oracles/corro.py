"""CORRO's objectives."""

from __future__ import annotations

import numpy as np

from oracles import Array, Parameters, Scene, latent, mlp, oracle


def row_embeddings(parameters: Parameters, *columns: Array) -> Array:
    """The row network's output scaled to length 1."""
    raw = mlp(parameters, "encoder.net", np.concatenate(columns, -1))
    return raw / np.sqrt((raw**2).sum(-1, keepdims=True))


@latent("encoders.corro")
def attention(scene: Scene, held: bool, draw: str) -> tuple[Array, Array]:
    parameters = scene.held if held else scene.live
    e = row_embeddings(parameters, scene.context_columns())
    score = np.zeros(e.shape[:2])
    if "encoder.pooling.score.weight" in parameters:
        score = e @ parameters["encoder.pooling.score.weight"][0] + parameters["encoder.pooling.score.bias"][0]
    weight = np.exp(score) * (scene.draws["context"].row >= 0)
    z = (weight[..., None] * e).sum(1, keepdims=True) / weight.sum(1)[:, None, None]
    return z, z


def decoded(scene: Scene, parameters: Parameters, obs: Array, action: Array, u: Array) -> Array:
    """The generator's (r, s' or s' - s)."""
    return mlp(parameters, "encoder.negatives.decoder_net", np.concatenate((obs, action, u), -1))


@oracle("encoders.corro", "cvae")
def cvae(scene: Scene) -> float:
    rows, config = scene.draws["rows"], scene.encoder.negatives
    state = rows.next_obs - rows.obs if config.delta else rows.next_obs
    x = np.concatenate((rows.obs, rows.action, rows.reward[..., None], state), -1)
    raw = mlp(scene.live, "encoder.negatives.posterior_net", x)
    mean, variance = raw[..., : config.latent_dim], np.exp(raw[..., config.latent_dim :])
    kl = 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum(-1).mean()
    made = decoded(scene, scene.live, rows.obs, rows.action, mean + np.sqrt(variance) * scene.noise["posterior"])
    return config.beta * kl + ((made[..., 0] - rows.reward) ** 2).mean() + ((made[..., 1:] - state) ** 2).mean()


def outcomes(scene: Scene, task: int, query: int, negative: int) -> tuple[float, Array]:
    """Reward and next observation of one negative."""
    rows, noise, config = scene.draws["query"], scene.noise["negatives"], scene.encoder.negatives
    if hasattr(config, "deviation"):
        shifted = rows.reward[task, query] + config.deviation * noise[task, query, negative]
        return shifted, rows.next_obs[task, query]
    obs = rows.obs[task, query]
    made = decoded(scene, scene.held, obs, rows.action[task, query], noise[task, query, negative])
    if not config.replace_next_obs:
        return made[0], rows.next_obs[task, query]
    return made[0], made[1:] + obs if config.delta else made[1:]


@oracle("encoders.corro", "contrastive")
def contrastive(scene: Scene) -> float:
    query, key = scene.draws["query"], scene.draws["key"]

    def embedded(obs: Array, action: Array, reward: float, next_obs: Array) -> Array:
        return row_embeddings(scene.live, obs, action, np.array([reward]), *([next_obs] if scene.next_obs else []))

    losses = []
    for t, q in np.ndindex(query.reward.shape):
        own, positive = (embedded(*(field[t, q] for field in rows[:4])) for rows in (query, key))
        others = [
            embedded(query.obs[t, q], query.action[t, q], *outcomes(scene, t, q, n))
            for n in range(scene.encoder.negative_count)
        ]
        logits = np.array([own @ other for other in (positive, *others)]) / scene.encoder.temperature
        losses.append(np.log(np.exp(logits).sum()) - logits[0])
    return float(np.mean(losses))
