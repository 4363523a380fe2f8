"""BOReL's evidence lower bound step by step, and its task variables out of the table of beliefs."""

from __future__ import annotations

from typing import Any

import numpy as np

from oracles import Array, Parameters, Scene, latent, mlp, oracle


def embed(parameters: Parameters, prefix: str, rows: dict[str, Array], fields: tuple[str, ...]) -> Array:
    """Fields of one transition, each through its own ReLU layer, side by side."""
    columns = []
    for field in fields:
        layer = f"{prefix}.embed.layers.{'state' if field in ('obs', 'next_obs') else field}"
        columns.append(np.maximum(parameters[f"{layer}.weight"] @ rows[field] + parameters[f"{layer}.bias"], 0))
    return np.concatenate(columns)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gru(parameters: Parameters, hidden: Array, rows: dict[str, Array]) -> Array:
    """One step of a GRU, gate by gate: h' = (1 - u) n + u h."""
    x, n = embed(parameters, "encoder.filter", rows, ("action", "next_obs", "reward")), len(hidden)
    i = parameters["encoder.filter.of_input.weight"] @ x + parameters["encoder.filter.of_input.bias"]
    h = parameters["encoder.filter.of_hidden.weight"] @ hidden + parameters["encoder.filter.of_hidden.bias"]
    reset, update = sigmoid(i[:n] + h[:n]), sigmoid(i[n : 2 * n] + h[n : 2 * n])
    return (1 - update) * np.tanh(i[2 * n :] + reset * h[2 * n :]) + update * hidden


def belief(parameters: Parameters, hidden: Array) -> tuple[Array, Array]:
    """Mean and log-variance of a hidden state."""
    raw = parameters["encoder.filter.heads.weight"] @ hidden + parameters["encoder.filter.heads.bias"]
    half = len(raw) // 2
    return raw[:half], np.clip(raw[half:], -10, 4)


def kl(q: tuple[Array, Array], p: tuple[Array, Array]) -> float:
    """KL of two diagonal Gaussians."""
    (m, s), (n, t) = q, p
    return float(0.5 * np.sum(t - s + (np.exp(s) + (m - n) ** 2) / np.exp(t) - 1))


def sequence(scene: Scene, task: int, number: int) -> list[dict[str, Array]]:
    """The steps that exist of one sequence, the first episode relabelled if its draw says so."""
    fields = ("obs", "action", "reward", "next_obs")
    own = scene.draws["sequences"]
    width = own.row.shape[1] // scene.encoder.sequences
    steps = [(own, task, number * width + t) for t in range(width)]
    if scene.encoder.relabel and scene.noise["relabel"][task, number] < scene.encoder.relabel:
        donors = scene.draws["donors"]
        time = donors.row.shape[1] // scene.encoder.sequences
        steps[:time] = [(donors, task, number * time + t) for t in range(time)]
    return [
        {field: np.atleast_1d(getattr(rows, field)[i, j]) for field in fields}
        for rows, i, j in steps
        if rows.row[i, j] >= 0
    ]


def ranks(uniform: Array, count: int) -> list[int]:
    """One rank out of each of as many equal strata as there are draws."""
    return [int(np.floor((i + u) * count / len(uniform))) for i, u in enumerate(uniform)]


def decode(scene: Scene, name: str, row: dict[str, Array], z: Array, fields: tuple[str, ...]) -> Array:
    prefix = f"encoder.decoder.{name}"
    return mlp(scene.live, f"{prefix}.net", embed(scene.live, prefix, row, fields)[None], z[None])[0]


@oracle("encoders.borel", "elbo")
def elbo(scene: Scene) -> float:
    config, total, noise = scene.encoder, 0.0, scene.noise
    count = len(scene.tasks) * config.sequences
    reads = ("next_obs", "action", "obs") if config.decode_transition else ("next_obs",)
    for task in range(len(scene.tasks)):
        for number in range(config.sequences):
            rows = sequence(scene, task, number)
            hidden = np.zeros(config.gru_hidden)
            q = [belief(scene.live, hidden)]
            for row in rows:
                hidden = gru(scene.live, hidden, row)
                q.append(belief(scene.live, hidden))
            before = [(np.zeros(config.latent_dim), np.zeros(config.latent_dim)), *q[:-1]]
            total += config.kl_weight * np.mean([kl(a, b) for a, b in zip(q, before, strict=True)]) / count
            at = ranks(noise["beliefs"][task, number], len(q))
            steps = ranks(noise["decodings"][task, number], len(rows))
            for i, place in enumerate(at):
                z = q[place][0] + np.exp(q[place][1] / 2) * noise["latents"][task, number, i]
                for step in steps:
                    error = (decode(scene, "reward", rows[step], z, reads)[0] - rows[step]["reward"][0]) ** 2
                    if "encoder.decoder.state.net.weights.0" in scene.live:
                        gap = decode(scene, "state", rows[step], z, ("obs", "action")) - rows[step]["next_obs"]
                        error += config.state_weight * np.sum(gap**2)
                    total += error / (len(at) * len(steps) * count)
    return total


@latent("encoders.borel")
def looked_up(scene: Scene, held: bool, draw: str) -> tuple[Array, Array]:
    table: Any = scene.held["encoder.table"]  # (task, episode, time + 1, latent)
    place, time = scene.held["encoder.place"].astype(int).tolist(), table.shape[2] - 1

    def beliefs(after: int) -> Array:
        row = scene.draws[draw].row
        return np.array(
            [[table[place[t], r // time, r % time + after] for r in row[i]] for i, t in enumerate(scene.tasks)]
        )

    return beliefs(0), beliefs(1)
