"""Small stand-ins for tests: shapes, batches, tiny parts, shipped methods at toy size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from selectrl.actors.configs import (
    BinaryConfig,
    BracConfig,
    ConstantConfig,
    ExpConfig,
    LeakyConfig,
    SacConfig,
    SigmoidConfig,
    TopPConfig,
    WeightedBcConfig,
)
from selectrl.api.rows import setting_layers
from selectrl.critics.configs import (
    DualTargetConfig,
    EnsembleConfig,
    ExpectileConfig,
    MinTargetQConfig,
    MinTargetQPolicyConfig,
    TdTargetConfig,
    TwinQVConfig,
)
from selectrl.data.sampler import merge_draws, merge_noise
from selectrl.encoders.blind.configs import BlindConfig
from selectrl.encoders.borel.configs import BorelConfig
from selectrl.encoders.corro.configs import CorroConfig, CvaeConfig
from selectrl.encoders.sets.configs import (
    ClassifierConfig,
    CsroConfig,
    FocalConfig,
    OffpearlConfig,
    ReconstructionConfig,
    TaskPosteriorConfig,
)
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.config import Experiment
from selectrl.gin_edge import build_experiment, experiment_layers
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.protocols import Draw, Noise, Phase
from selectrl.registry import ACTORS, CRITICS, ENCODERS, FAMILIES, POLICIES
from selectrl.runs.metrics import TestLine
from selectrl.structs import Batch, Latent, Rows, Spec
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig

SPEC = Spec(obs=3, action=2, horizon=5, dynamics_vary=False)
HIDDEN = (7, 6)
LATENT = 4
TASKS = 4
ROWS = 20
SIZES = {"rl": 6, "context": 5}
METHODS = ("select", "csro", "focal", "brac", "offpearl")  # the shipped files, and CSRO's with BRAC switched on


# --- batches ----------------------------------------------------------------------------------------------------------


def rows(rng: np.random.Generator, *lead: int, spec: Spec = SPEC, fields: Iterable[str] | None = None) -> Rows:
    """Random transitions of some leading shape; about one in three is terminal; absent fields have width 0.

    Rows are numbered at random from 0 to ``ROWS`` - 1.
    """
    normal = rng.standard_normal
    full = {
        "obs": normal((*lead, spec.obs)),
        "action": rng.uniform(-1, 1, (*lead, spec.action)),
        "reward": normal(lead),
        "next_obs": normal((*lead, spec.obs)),
        "terminal": (rng.random(lead) < 0.3).astype(float),
    }
    wanted = set(full if fields is None else fields)
    values = {k: v if k in wanted else v[..., :0] for k, v in full.items()}
    row = torch.from_numpy(rng.integers(0, ROWS, lead))
    return Rows(**{k: torch.from_numpy(np.asarray(v)).float() for k, v in values.items()}, row=row)


def batch(
    draws: Sequence[Draw],
    noise: Sequence[Noise],
    *,
    seed: int = 0,
    tasks: Sequence[int] = tuple(range(TASKS)),
    spec: Spec = SPEC,
    sizes: Mapping[str, int] = SIZES,
) -> Batch:
    """A batch with every draw and noise that is asked for, without a latent."""
    rng = np.random.default_rng(seed)
    merged = merge_draws(draws)
    axes = {"task": len(tasks)} | {name: width(draw, sizes, spec) for name, draw in merged.items()}
    drawn = {n: rows(rng, len(tasks), axes[n], spec=spec, fields=d.fields) for n, d in merged.items()}
    for name, draw in merged.items():
        if draw.kind in EPISODES:
            drawn[name] = in_order(drawn[name], spec)
    noises = {}
    for name, one in merge_noise(noise).items():
        shape = [axes[size] if isinstance(size, str) else size for size in one.shape]
        value = rng.standard_normal(shape) if one.law == "normal" else rng.random(shape)
        noises[name] = torch.from_numpy(value).float()
    empty = torch.zeros(len(tasks), 1, 0)
    return Batch(torch.tensor(tasks), drawn, noises, torch.tensor(0.25), Latent(empty, empty, {}))


EPISODES = ("episodes", "relabelled")


def width(draw: Draw, sizes: Mapping[str, int], spec: Spec) -> int:
    """Rows per task of a draw; of whole episodes all their steps."""
    size = draw.size or sizes[draw.kind]
    return size * spec.horizon if draw.kind in EPISODES else size


def in_order(drawn: Rows, spec: Spec) -> Rows:
    """Rows as whole episodes: each state is the one before's successor, and the last episode ends two steps early."""
    tasks, steps = drawn.row.shape
    number = torch.arange(steps).repeat(tasks, 1)
    number[:, -2:] = -1
    live = number >= 0
    obs, next_obs = drawn.obs.clone(), drawn.next_obs
    if obs.numel() and next_obs.numel():
        inside = torch.arange(1, steps) % spec.horizon != 0
        obs[:, 1:][:, inside] = next_obs[:, :-1][:, inside]
    values = [obs, *drawn[1:5]]
    shown = [torch.where(live[..., None] if v.ndim > 2 else live, v, 0) if v.numel() else v for v in values]
    return Rows(*shown, number)


def phase_batch(phase: Phase, **options: Any) -> Batch:
    """A batch with all that a phase asks for."""
    draws = [*phase.draws, *(draw for objective in phase.objectives for draw in objective.draws)]
    noise = [*phase.noise, *(one for objective in phase.objectives for one in objective.noise)]
    return batch(draws, noise, **options)


def rl_phase(agent: AgentModule, steps: int = 10) -> Phase:
    """The rl phase of an agent."""
    built: Any = SimpleNamespace(train=TrainConfig(steps=steps))
    return build_phases(built, agent)[-1]


def stacked(batches: Sequence[Batch]) -> Batch:
    """Batches of several seeds as one with a leading seed axis."""
    return tree_map(lambda *leaves: torch.stack(leaves), *batches)


def double(value: Any) -> Any:
    """The same records and modules in float64; integers stay."""
    if isinstance(value, nn.Module):
        return value.double()
    return tree_map(
        lambda leaf: leaf.double() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf, value
    )


# --- parts ------------------------------------------------------------------------------------------------------------

GAUSSIAN = TanhGaussianConfig(hidden=HIDDEN, temperature=0.7, log_std_min=-3.0, log_std_max=0.4)
DETERMINISTIC = DeterministicConfig(hidden=HIDDEN)
TINY: dict[str, Any] = {
    "encoders.blind": BlindConfig(latent_dim=LATENT),
    "encoders.focal": FocalConfig(latent_dim=LATENT, hidden=HIDDEN, metric_weight=3.0),
    "encoders.csro": CsroConfig(
        latent_dim=LATENT, hidden=HIDDEN, club_hidden=HIDDEN, metric_weight=3.0, club_weight=7.0, club_fit_weight=2.0
    ),
    "encoders.task_posterior": TaskPosteriorConfig(
        latent_dim=LATENT,
        hidden=HIDDEN,
        club_hidden=HIDDEN,
        metric_weight=3.0,
        club_weight=7.0,
        club_fit_weight=2.0,
        width=3.0,
        decoder_hidden=HIDDEN,
        classes=12,
    ),
    "encoders.offpearl": OffpearlConfig(latent_dim=LATENT, hidden=HIDDEN, kl_weight=0.3),
    "encoders.reconstruction": ReconstructionConfig(
        latent_dim=LATENT, hidden=HIDDEN, metric_weight=3.0, reconstruction_weight=0.4, decoder_hidden=HIDDEN
    ),
    "encoders.classifier": ClassifierConfig(
        latent_dim=LATENT, hidden=HIDDEN, metric_weight=3.0, classifier_weight=0.4, classes=12
    ),
    "encoders.borel": BorelConfig(
        latent_dim=LATENT // 2,
        gru_hidden=5,
        action_embedding=3,
        obs_embedding=4,
        reward_embedding=2,
        decoder_hidden=HIDDEN,
        state_weight=0.7,
        kl_weight=0.3,
        episodes=2,
        sequences=2,
        beliefs=3,
        decodings=4,
        steps=6,
    ),
    "encoders.corro": CorroConfig(
        latent_dim=LATENT,
        hidden=HIDDEN,
        negatives=CvaeConfig(hidden=HIDDEN, latent_dim=2, beta=0.3, steps=3, rows=3, min_kl=0.0, replace_next_obs=True),
        negative_count=3,
        queries=2,
        temperature=0.4,
        contrastive_steps=4,
        min_spread=0.0,
    ),
    "critics.twin_q_v": TwinQVConfig(hidden=HIDDEN, discount=0.8, reward_scale=3.0, tau=0.1),
    "critics.dual_target": DualTargetConfig(
        hidden=HIDDEN, discount=0.8, reward_scale=3.0, tau=0.1, smoothing=0.4, smoothing_clip=0.5
    ),
    "actors.sac": SacConfig(policy=GAUSSIAN, regulariser=0.02),
    "actors.brac": BracConfig(
        policy=GAUSSIAN, regulariser=0.02, dual_hidden=HIDDEN, divergence_init=1.5, divergence_target=0.2
    ),
    "actors.weighted_bc": WeightedBcConfig(policy=DETERMINISTIC, alpha=1.7),
}
"""Small configs of the registered parts, with constants that differ from one another and from 1."""


def tiny(part: str, **changes: Any) -> Any:
    """A small config of a part, with changes."""
    return attrs.evolve(TINY[part], **changes)


def agent(
    encoder: Any = TINY["encoders.focal"],
    critic: Any = TINY["critics.twin_q_v"],
    actor: Any = TINY["actors.sac"],
    *,
    spec: Spec = SPEC,
    seed: int = 1,
    scale: float = 0.6,
) -> AgentModule:
    """An agent of the given configs with all parameters, targets included, redrawn from N(0, scale²).

    Target and source differ, and no layer is near 0, so that a term left out of a loss shows.
    """
    built = ENCODERS.build(encoder, spec)
    parts = built, CRITICS.build(critic, spec, built.latent_dim), ACTORS.build(actor, spec, built.latent_dim)
    together = AgentModule(*parts, POLICIES.build(actor.policy, spec, built.latent_dim), tracks=parts[1].tracks())
    return scramble(together, seed=seed, scale=scale)


def scramble(module: Any, *, seed: int = 0, scale: float = 0.6) -> Any:
    """Redraw all parameters but scalars from N(0, scale²), each from a stream of its own name; biases are smaller."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim():
                rng, size = np.random.default_rng([seed, *name.encode()]), scale * (0.2 if ".biases." in name else 1.0)
                parameter.copy_(torch.from_numpy(size * rng.standard_normal(parameter.shape)))
    return module


def constant(net: nn.Module, *values: float) -> None:
    """Make a network's output constant: all weights 0, the last bias as given (one value per member, or per output)."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        last = list(net.biases)[-1]
        last.copy_(torch.tensor(values, dtype=last.dtype).reshape(last.shape))


def weights() -> tuple[Any, ...]:
    """One config of each weight of the cloning term, and the smooth ones under both units of temperature."""
    return (
        BinaryConfig(threshold=0.1),
        ConstantConfig(value=0.6),
        ExpConfig(temperature=0.7, clip=1.5),
        ExpConfig(temperature=1.3, clip=3.0, relative=False),
        LeakyConfig(threshold=0.1, beta=0.3),
        SigmoidConfig(temperature=0.7),
        SigmoidConfig(temperature=1.3, relative=False),
        TopPConfig(fraction=0.4),
    )


def values() -> tuple[Any, ...]:
    """One config of each estimator of V, and the ensemble under both readings."""
    return (
        TdTargetConfig(),
        MinTargetQConfig(),
        MinTargetQPolicyConfig(),
        ExpectileConfig(expectile=0.8),
        EnsembleConfig(members=3),
        EnsembleConfig(members=2, reduce="min"),
    )


# --- shipped methods --------------------------------------------------------------------------------------------------


def experiment(method: str, *settings: str) -> Experiment:
    """A shipped method on Point-Robot at toy size."""
    sizes = [
        "LATENT_DIM=3",
        "ENCODER_HIDDEN=(9, 8)",
        "HIDDEN=(9, 8)",
        "STEPS=40",
        "META_BATCH=4",
        "BATCH=6",
        "CONTEXT=5",
    ]
    name, more = ("csro", ["CONSTRAINED_ACTOR=@actors.brac()"]) if method == "brac" else (method, [])
    bound = {setting.partition("=")[0]: setting for setting in (*sizes, *more, *settings)}  # a name may be set once
    layers = [*experiment_layers(method=name, env="point_robot"), *setting_layers(list(bound.values()))]
    return build_experiment(layers, method)


def method(name: str, *settings: str, seed: int = 0) -> tuple[AgentModule, tuple[Phase, ...], Spec]:
    """Agent, phases and shapes of a shipped method at toy size."""
    built = experiment(name, *settings)
    spec = FAMILIES.build(built.env).spec
    together = build_agent(built, spec, seed)
    return together, build_phases(built, together), spec


def method_batches(phase: Phase, spec: Spec, count: int, *, seed: int = 0) -> Iterator[Batch]:
    """So many different batches for a phase."""
    for step in range(count):
        yield phase_batch(phase, seed=1000 * seed + step, spec=spec)


def return_line(step: int) -> TestLine:
    """A meta-test in training as a Member's ``test`` returns it."""
    return TestLine(step=step, collector="fake", final_return=0.0, context_free=0.0, context_steps=(0,), curve=(0.0,))


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Names of the parameters that differ."""
    return {name for name, value in before.items() if not torch.equal(value, after[name])}
