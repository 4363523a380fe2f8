"""Conformance of critics."""

from __future__ import annotations

from typing import Any

import attrs
import torch

from selectrl.protocols import CriticConfig
from selectrl.structs import Spec
from selectrl.testing.losses import check_objectives, check_record, encode_batch, enter_phase
from selectrl.testing.scene import Scene, make_scene, part_name
from selectrl.testing.verdicts import are_close, are_equal, check_tensor, demand, forbid_global_randomness, guard
from selectrl.trainer.agent import belongs


def check_critic(config: CriticConfig, spec: Spec | None = None) -> None:
    """Check that a critic conforms to its protocol.

    - ``q`` gives (twin, task, batch) and ``v`` (task, batch), finite, equal in two calls, and equal for a z per task
      and the same z per row;
    - the first objective carries the TD loss: it reads z with gradient, so that an encoder may learn from it;
    - objectives move only ``critic``, and targets move only by ``tracks``, with 0 < tau <= 1;
    - every objective has scalar finite losses without hidden state, hidden randomness or gradients outside its declared
      prefixes; a population of two equals two single agents; a ``state_dict`` holds the whole state;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the critic's config; small widths keep the check fast.
        spec: shapes of the family of the check; default: a small synthetic family.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(
        part,
        "building it",
        "register its class, which takes config, Spec and latent_dim; tracks() name modules",
    ):
        scene = make_scene(critic=config, spec=spec)
        critic: Any = scene.agent().critic
        objectives, tracks = critic.objectives(), critic.tracks()
    demand(len(objectives) > 0, part, "objectives() is empty", "the TD loss first", "return its Objective")
    for objective in objectives:
        foreign = [prefix for prefix in objective.moves if not belongs(prefix, "critic")]
        got = f"objective {objective.name!r} moves {', '.join(foreign)}"
        demand(
            not foreign, part, got, "a critic that moves only 'critic'", "move targets by tracks, policies by actors"
        )
    for track in tracks:
        got = f"the track of {track.source!r} has tau {track.tau} and every {track.every}"
        is_valid = 0 < track.tau <= 1 and track.every >= 1
        demand(is_valid, part, got, "0 < tau <= 1 and every >= 1", "check its Track")
    check_values(scene, part)
    check_td(scene, part)
    check_objectives(scene, part, -1, {objective.name for objective in objectives})


@torch.no_grad()
def check_values(scene: Scene, part: str) -> None:
    """Check ``q`` and ``v``."""
    agent, phase = enter_phase(scene, -1)
    critic: Any = agent.critic
    batch = encode_batch(scene, agent, phase)
    rl, z = batch.draws["rl"], batch.latent.z
    tasks, rows = rl.reward.shape

    def values(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (
            critic.q(rl.obs, rl.action, z),
            critic.q(rl.obs, rl.action, z, 1),
            critic.v(rl.obs, z, agent.policy),
        )

    with guard(part, "q or v", "they take (obs, action, z, twins) and (obs, z, policy)"):
        with forbid_global_randomness(part, "q or v"):
            result, again = values(z), values(z)
        per_row = values(z.expand(-1, rows, -1))
    check_tensor(result[0], (2, tasks, rows), part, "q", "(twin, task, batch)")
    check_tensor(result[1], (1, tasks, rows), part, "q with twins=1", "(twin, task, batch)")
    check_tensor(result[2], (tasks, rows), part, "v", "(task, batch)")
    demand(
        are_close(result[0][:1], result[1]), part, "q with twins=1 is not Q₁", "the first of both", "slice the members"
    )
    demand(
        are_equal(result, again), part, "q or v differ when called twice", "bit-equal values", "keep no hidden state"
    )
    got = "values differ between z (task, 1, latent) and the same z for every row"
    demand(are_close(result, per_row), part, got, "equal values", "broadcast z over rows")


def check_td(scene: Scene, part: str) -> None:
    """Check that the first objective reads z with gradient."""
    agent, phase = enter_phase(scene, -1)
    critic: Any = agent.critic
    first = critic.objectives()[0]
    batch = encode_batch(scene, agent, attrs.evolve(phase, objectives=(first,)))
    z = batch.latent.z.detach().requires_grad_()
    with guard(part, f"the loss of objective {first.name!r}", "declare the draws and noise that it reads"):
        total = first.loss(agent, batch._replace(latent=batch.latent.detach()._replace(z=z, z_next=z))).total
    (gradient,) = torch.autograd.grad(total, z, allow_unused=True) if total.requires_grad else (None,)
    got = f"the first objective, {first.name!r}, gives z no gradient"
    remedy = (
        "put the TD loss first and do not detach z in it; the engine detaches z where no objective needs its gradient"
    )
    demand(gradient is not None and bool(gradient.any()), part, got, "the TD loss, which reads z", remedy)
