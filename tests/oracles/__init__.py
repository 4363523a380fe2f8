"""The loss of every objective again, in NumPy float64, straight from the formulas and sharing no code with the library.

A module here holds the oracles of one part and adds them with ``@oracle("kind.name", "objective")``. An oracle gets a
:class:`Scene` and returns the loss. Where the formula stops a gradient it reads ``scene.held`` instead of
``scene.live``, so finite differences in ``live`` give the gradient that training must follow.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from torch import nn

from selectrl.registry import tag

Array = NDArray[np.float64]
Parameters = Mapping[str, Array]


def numbers(module: nn.Module) -> dict[str, Array]:
    """All parameters and buffers of a module as float64 arrays by name."""
    values = (*module.named_parameters(), *module.named_buffers())
    return {name: value.detach().double().numpy().copy() for name, value in values}


def mlp(parameters: Parameters, prefix: str, x: Array, z: Array | None = None, member: int | None = None) -> Array:
    """A ReLU network on x and z side by side, with weights read by name: (…, out)."""
    if z is not None:
        x = np.concatenate((x, np.broadcast_to(z, (*x.shape[:-1], z.shape[-1]))), -1)
    layers = sum(name.startswith(f"{prefix}.weights.") for name in parameters)
    assert layers > 1, prefix
    for layer in range(layers):
        weight, bias = parameters[f"{prefix}.weights.{layer}"], parameters[f"{prefix}.biases.{layer}"]
        if member is not None:
            weight, bias = weight[member], bias[member]
        x = np.einsum("...i,io->...o", x, weight) + bias[0]
        if layer < layers - 1:
            x = np.where(x > 0, x, 0.0)
    return x


@attrs.frozen(kw_only=True)
class Scene:
    """What a loss may read.

    Attributes:
        live: parameters that carry the gradient.
        held: their present values, for stopped gradients.
        draws: rows by draw name, each with fields obs, action, reward, next_obs, terminal.
        noise: noise by name.
        tasks: ids of the tasks.
        encoder: the encoder's config; critic, actor: likewise.
        next_obs: whether context rows hold s'.
        name: registered name of the encoder, ``encoders.focal``.
    """

    live: Parameters
    held: Parameters
    draws: Mapping[str, Any]
    noise: Mapping[str, Array]
    tasks: NDArray[np.int64]
    encoder: Any
    critic: Any
    actor: Any
    next_obs: bool
    name: str

    def z(self, held: bool = True, draw: str = "rl") -> Array:
        """z at the rows of a draw, (task, 1 or batch, latent)."""
        return LATENTS[self.name](self, held, draw)[0]

    def z_next(self, held: bool = True) -> Array:
        """z at the successors of the RL rows."""
        return LATENTS[self.name](self, held, "rl")[1]

    def context_columns(self) -> Array:
        """The context rows as the network reads them, (task, context, s a r (s'))."""
        rows = self.draws["context"]
        columns = [rows.obs, rows.action, rows.reward[..., None]] + [rows.next_obs] * self.next_obs
        return np.concatenate(columns, -1)

    def embeddings(self, held: bool = True) -> Array:
        """The row embeddings e of set encoders, (task, context, latent): the network's first outputs, squashed."""
        out = mlp(self.held if held else self.live, "encoder.net", self.context_columns())
        e = out[..., : self.encoder.latent_dim]
        length = np.sqrt((e**2).sum(-1, keepdims=True))
        return {"tanh": np.tanh(e), "sphere": e / length, "none": e}[self.encoder.squash]

    def q(self, parameters: Parameters, obs: Array, action: Array, z: Array, prefix: str = "critic.q_net") -> Array:
        """Both values of (s, a), (2, task, batch)."""
        x = np.concatenate((obs, action), -1)
        return np.stack([mlp(parameters, prefix, x, z, member)[..., 0] for member in (0, 1)])

    def v(self, parameters: Parameters, obs: Array, z: Array, prefix: str = "critic.v_net") -> Array:
        """V(s), (task, batch); of several networks as the critic reads them."""
        if parameters[f"{prefix}.weights.0"].ndim == 2:
            return mlp(parameters, prefix, obs, z)[..., 0]
        values = self.vs(parameters, obs, z, prefix)
        return values.min(0) if getattr(self.critic.value, "reduce", "mean") == "min" else values.mean(0)

    def vs(self, parameters: Parameters, obs: Array, z: Array, prefix: str = "critic.v_net") -> Array:
        """The value of s by each of the V networks side by side, (member, task, batch)."""
        members = range(len(parameters[f"{prefix}.weights.0"]))
        return np.stack([mlp(parameters, prefix, obs, z, member)[..., 0] for member in members])

    def policy(self, parameters: Parameters, obs: Array, z: Array, normal: Array, prefix: str = "policy") -> Policy:
        """A sample of the policy, from the definition of its density."""
        raw = mlp(parameters, f"{prefix}.net", obs, z)
        config = self.actor.policy
        if not hasattr(config, "temperature"):
            return Policy(np.tanh(raw), np.zeros(raw.shape[:-1]), raw, np.zeros_like(raw), np.tanh(raw), 0.0)
        half = raw.shape[-1] // 2
        mean, log_std = raw[..., :half], np.clip(raw[..., half:], config.log_std_min, config.log_std_max)
        before = mean + np.exp(log_std) * normal
        action = np.tanh(before)
        density = np.exp(-((before - mean) ** 2) / (2 * np.exp(log_std) ** 2)) / (np.sqrt(2 * np.pi) * np.exp(log_std))
        log_prob = (np.log(density) - np.log(1 - action**2 + 1e-6)).sum(-1)
        return Policy(action, log_prob, mean, log_std, np.tanh(mean), config.temperature)


@attrs.frozen
class Policy:
    """A sample: action, log-probability, the heads, the mode and the entropy coefficient."""

    action: Array
    log_prob: Array
    mean: Array
    log_std: Array
    mode: Array
    temperature: float


#: (z, z_next) of an encoder, each (task, 1 or batch, latent), by the encoder's name.
LatentOracle = Callable[[Scene, bool, str], tuple[Array, Array]]
LATENTS: dict[str, LatentOracle] = {}


def latent(*parts: str) -> Callable[[LatentOracle], LatentOracle]:
    """Add the task variables of encoders: (scene, held, draw) -> (z, z_next)."""

    def add(function: LatentOracle) -> LatentOracle:
        LATENTS.update(dict.fromkeys(parts, function))
        return function

    return add


Oracle = Callable[[Scene], float]
ORACLES: dict[tuple[str, str], Oracle] = {}


def oracle(part: str, *objectives: str) -> Callable[[Oracle], Oracle]:
    """Add an oracle for objectives of a part; one for several is told which by nothing but its own closure."""

    def add(function: Oracle) -> Oracle:
        for objective in objectives:
            assert (part, objective) not in ORACLES, (part, objective)
            ORACLES[part, objective] = function
        return function

    return add


def scenes(agent: Any, batch: Any, encoder: Any, critic: Any, actor: Any) -> Callable[..., Scene]:
    """Return a maker of scenes of one agent and batch, (live, held) -> Scene; both default to the agent's own."""
    now = numbers(agent)
    draws = {
        name: type(rows)(*(field.double().numpy() if field.is_floating_point() else field.numpy() for field in rows))
        for name, rows in batch.draws.items()
    }
    noise = {name: value.double().numpy() for name, value in batch.noise.items()}

    def make(live: Parameters = now, held: Parameters = now) -> Scene:
        return Scene(
            live=live,
            held=held,
            draws=draws,
            noise=noise,
            tasks=batch.tasks.numpy(),
            encoder=encoder,
            critic=critic,
            actor=actor,
            next_obs="next_obs" in getattr(agent.encoder, "fields", ()),
            name=str(tag(encoder)),
        )

    return make


def moved(parameters: Parameters, direction: Parameters, by: float) -> dict[str, Array]:
    """Parameters a step along a direction."""
    return {name: value + by * direction[name] if name in direction else value for name, value in parameters.items()}


def slopes(loss: Callable[[Parameters], float], at: Parameters, directions: Iterator[Parameters]) -> Iterator[float]:
    """Central differences of a loss along directions."""
    step = 1e-6
    for direction in directions:
        yield (loss(moved(at, direction, step)) - loss(moved(at, direction, -step))) / (2 * step)


for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
