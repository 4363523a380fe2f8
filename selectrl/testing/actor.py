"""Conformance of actor losses, and of the policies in their configs."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor

from selectrl.errors import CompositionError
from selectrl.protocols import ActorConfig
from selectrl.registry import WEIGHTS
from selectrl.structs import Sample, Spec
from selectrl.testing.losses import check_objectives, check_record, encode_batch, enter_phase
from selectrl.testing.scene import Scene, make_scene, part_name
from selectrl.testing.verdicts import are_close, are_equal, check_tensor, demand, forbid_global_randomness, guard
from selectrl.testing.weights import check_weight
from selectrl.trainer.agent import belongs


def check_actor(config: ActorConfig, spec: Spec | None = None) -> None:
    """Check that an actor loss, and the policy in its config, conform to their protocols.

    - an objective moves ``policy``, and no objective moves critic, encoder or targets;
    - ``policy.sample`` and ``policy.mode`` give actions in [-1, 1], (task, batch, action), equal in two calls;
      log-probability and size are (task, batch); ``temperature`` is at least 0; ``policy.log_prob`` of a sample is its
      log-probability, and finite on the edge of the box; a deterministic policy refuses it;
    - every objective has scalar finite losses without hidden state, hidden randomness or gradients outside its declared
      prefixes; a population of two equals two single agents; a ``state_dict`` holds the whole state;
    - a weight in its config conforms to the weights' protocol, see :func:`check_weight`;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the actor's config; small widths keep the check fast.
        spec: shapes of the family of the check; default: a small synthetic family.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    kind: Any = type(config)
    for field in attrs.fields(kind) if attrs.has(kind) else ():
        value = getattr(config, field.name)
        if WEIGHTS.find(type(value)):
            check_weight(value)
    with guard(
        part,
        "building it",
        "register its class, which takes config, Spec and latent_dim; its config has a policy",
    ):
        scene = make_scene(actor=config, spec=spec)
        actor: Any = scene.agent().actor
        objectives = actor.objectives()
    prefixes = [prefix for objective in objectives for prefix in objective.moves]
    moves_policy = any(belongs(prefix, "policy") for prefix in prefixes)
    got, remedy = f"its objectives move {prefixes or 'nothing'}", "declare an Objective that moves 'policy'"
    demand(moves_policy, part, got, "an objective that moves the policy", remedy)
    foreign = [prefix for prefix in prefixes if not (belongs(prefix, "policy") or belongs(prefix, "actor"))]
    got, remedy = f"its objectives move {', '.join(foreign)}", "read critics frozen, as the engine passes them"
    demand(not foreign, part, got, "an actor that moves only 'policy' and 'actor'", remedy)
    check_policy(scene, part)
    check_objectives(scene, part, -1, {objective.name for objective in objectives})


@torch.no_grad()
def check_policy(scene: Scene, part: str) -> None:
    """Check ``sample``, ``mode``, ``log_prob`` and ``temperature`` of the policy."""
    agent, phase = enter_phase(scene, -1)
    policy: Any = agent.policy
    batch = encode_batch(scene, agent, phase)
    obs, z = batch.draws["rl"].obs, batch.latent.z
    tasks, rows = obs.shape[:2]
    normal = torch.linspace(-3, 3, tasks * rows * scene.spec.action).reshape(tasks, rows, -1)
    with guard(part, "the policy", "sample takes (obs, z, normal), mode takes (obs, z)"):
        with forbid_global_randomness(part, "the policy"):
            sample, mode = policy.sample(obs, z, normal), policy.mode(obs, z)
        again = policy.sample(obs, z, normal), policy.mode(obs, z)
        is_valid = float(policy.temperature) >= 0
    demand(
        are_equal((sample, mode), again),
        part,
        "the policy differs when called twice",
        "bit-equal actions",
        "keep no state",
    )
    for label, action in (("policy.sample's action", sample.action), ("policy.mode", mode)):
        check_tensor(action, (tasks, rows, scene.spec.action), part, label, "(task, batch, action)")
        is_inside = bool((action.abs() <= 1).all())
        demand(is_inside, part, f"{label} leaves the box [-1, 1]", "actions inside it", "squash by tanh or clip")
    for name in ("log_prob", "size"):
        check_tensor(getattr(sample, name), (tasks, rows), part, f"policy.sample's {name}", "(task, batch)")
    check_density(policy, part, obs, z, sample)
    demand(is_valid, part, "the policy's temperature is negative", "a number >= 0", "0 if it is deterministic")


def check_density(policy: Any, part: str, obs: Tensor, z: Tensor, sample: Sample) -> None:
    """Check that ``log_prob`` agrees with a sample and is finite on the edge of the box, or is refused."""
    with guard(part, "policy.log_prob", "it takes (obs, z, action); stochastic is True if there is a density"):
        if not policy.stochastic:
            try:
                policy.log_prob(obs, z, sample.action)
            except CompositionError:
                return
            got, remedy = "log_prob of a deterministic policy returned a value", "raise the error in log_prob"
            demand(False, part, got, "a CompositionError", remedy)
        own, edge = policy.log_prob(obs, z, sample.action), policy.log_prob(obs, z, sample.action.sign())
    check_tensor(own, tuple(obs.shape[:2]), part, "policy.log_prob", "(task, batch)")
    got, remedy = "log_prob of a sample is not its log-probability", "use one density in sample and log_prob"
    inner = (sample.action.abs() < 0.99).all(-1)  # nearer to the edge float32 does not resolve u
    demand(are_close(own[inner], sample.log_prob[inner], 1e-3), part, got, "equal values, to 1e-3", remedy)
    finite, remedy = bool(edge.isfinite().all()), "clip the action before artanh"
    demand(finite, part, "log_prob of an action of ±1 is not finite", "a finite number", remedy)
