"""Builds agents and phases from an Experiment and a seed."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch

from selectrl.errors import CompositionError, suggest
from selectrl.experiment.config import Experiment
from selectrl.protocols import Objective, Phase
from selectrl.registry import ACTORS, CRITICS, ENCODERS, POLICIES, tag
from selectrl.streams import key
from selectrl.structs import Spec
from selectrl.trainer.agent import AgentModule


def build_agent(experiment: Experiment, spec: Spec, seed: int) -> AgentModule:
    """Build the agent of a seed.

    Every part draws its initial parameters from a stream of its own, so swapping one part does not change the others'.

    Args:
        experiment: the composition.
        spec: shapes of the family.
        seed: seed of the initial parameters.
    """
    with torch.random.fork_rng(devices=[]):

        def set_seed(name: str) -> None:
            torch.manual_seed(key(seed, "init", name) % 2**63)

        set_seed("encoder")
        encoder = ENCODERS.build(experiment.encoder, spec)
        set_seed("critic")
        critic = CRITICS.build(experiment.critic, spec, encoder.latent_dim)
        set_seed("actor")
        actor = ACTORS.build(experiment.actor, spec, encoder.latent_dim)
        set_seed("policy")
        policy = POLICIES.build(experiment.actor.policy, spec, encoder.latent_dim)
        return AgentModule(encoder, critic, actor, policy, critic.tracks())


def build_phases(experiment: Experiment, agent: AgentModule) -> tuple[Phase, ...]:
    """Return the phases of a run: the encoder's own, and rl with encoder, critic and actor.

    Raises:
        CompositionError: the ``order`` of the experiment does not name each objective of the rl phase once, or one of
            them reads the density of a policy that has none.
    """
    first, *others = agent.critic.objectives()
    td = attrs.evolve(first, moves={**first.moves, **agent.encoder.critic_params})
    rl = Phase(
        name="rl",
        steps=experiment.train.steps,
        objectives=(td, *others, *agent.actor.objectives()),
        tracks=agent.critic.tracks(),
    )
    *before, rl = agent.encoder.phases(rl)
    for objective in rl.objectives:
        if objective.density and not agent.policy.stochastic:
            raise CompositionError(
                f"objective {objective.name} reads the policy's log-probability, which {tag(experiment.actor.policy)} "
                "does not have; bind a stochastic policy, for example @policies.tanh_gaussian()"
            )
    return (*before, attrs.evolve(rl, objectives=sort_objectives(rl.objectives, experiment.train.order)))


def sort_objectives(objectives: Sequence[Objective], order: Sequence[str]) -> tuple[Objective, ...]:
    """Return the objectives in the given order; an empty order keeps theirs.

    Raises:
        CompositionError: two objectives share a name, or the order does not name each of them once.
    """
    names = [objective.name for objective in objectives]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise CompositionError(f"two objectives have the name {repeated.pop()!r}; names must differ within a phase")
    if not order:
        return tuple(objectives)
    unknown = [name for name in order if name not in names]
    wrong = unknown or [name for name in names if list(order).count(name) != 1]
    if wrong:
        raise CompositionError(
            f"train.order must name each objective once; it fails at {wrong[0]!r}: {suggest(wrong[0], names)}"
        )
    return tuple(objectives[names.index(name)] for name in order)
