"""Conformance of context encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from selectrl.protocols import ROW_FIELDS, EncoderConfig, Objective, Optim, Phase
from selectrl.streams import stream
from selectrl.structs import Belief, Latent, Losses, Rows, Spec
from selectrl.testing.losses import check_objectives, check_record, enter_phase
from selectrl.testing.scene import Scene, make_scene, part_name
from selectrl.testing.verdicts import (
    are_close,
    are_equal,
    changed_names,
    check_tensor,
    demand,
    forbid_global_randomness,
    guard,
)
from selectrl.trainer.agent import belongs

WORLDS = 3


def check_encoder(config: EncoderConfig, spec: Spec | None = None) -> None:
    """Check that an encoder conforms to its protocol.

    - ``phases`` ends with rl and keeps the objectives of critic and actor; its own objectives move only ``encoder``;
    - ``prepare`` is pure and returns finite values of registered buffers, persistent buffers in their registered shape;
    - ``encode`` gives z and z_next (task, 1 or batch, latent_dim), finite, equal in two calls, and independent of the
      order of rows in ``context`` draws;
    - ``init``, ``step``, ``read`` filter each world independently and do not change worlds that are not live; where
      ``encode`` reduces a whole draw to a z, they give the same z;
    - every objective of every phase has scalar finite losses without hidden state, hidden randomness or gradients
      outside its declared prefixes; a population of two equals two single agents; a ``state_dict`` holds the whole
      state;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the encoder's config; small widths keep the check fast.
        spec: shapes of the family of the check; default: a small synthetic family where rewards vary.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(part, "building it", "register its class, which takes config and Spec"):
        scene = make_scene(encoder=config, spec=spec)
        agent = scene.agent()
    check_declared(part, agent.encoder)
    check_phases(scene, part)
    for place, phase in enumerate(scene.phases(agent)):
        check_prepare(scene, part, phase)
        if phase.encodes:
            check_encode(scene, part, place)
    check_filter(scene, part)
    check_filter_agrees(scene, part)
    for place in range(len(scene.phases(agent))):
        check_objectives(scene, part, place)


def check_declared(part: str, encoder: Any) -> None:
    """Check ``latent_dim`` and ``critic_params``."""
    width = getattr(encoder, "latent_dim", None)
    is_width = isinstance(width, int) and width > 0
    demand(is_width, part, f"latent_dim is {width!r}", "a positive int", "set it in __init__")
    params = getattr(encoder, "critic_params", None)
    is_mapping = isinstance(params, Mapping) and all(
        belongs(prefix, "encoder") and isinstance(optim, Optim) for prefix, optim in params.items()
    )
    remedy = "set critic_params = {} if the TD loss moves nothing here"
    demand(is_mapping, part, f"critic_params is {params!r}", "a mapping of encoder prefixes to Optim", remedy)


def check_phases(scene: Scene, part: str) -> None:
    """Check the phases that ``phases`` returns for an rl phase."""
    zero = Objective(name="given", loss=lambda agent, batch: Losses(torch.zeros(()), {}), moves={"critic": Optim()})
    rl = Phase(name="rl", steps=3, objectives=(zero,), tracks=scene.phases(scene.agent())[-1].tracks)
    encoder: Any = scene.agent().encoder
    with guard(part, "phases(rl)", "return the pre-training phases, then rl by attrs.evolve"):
        *before, last = encoder.phases(rl)
    names = [phase.name for phase in (*before, last)]
    demand(len(set(names)) == len(names), part, f"phases have the names {names}", "different names", "rename a phase")
    is_kept = (last.name, last.steps, last.tracks) == (rl.name, rl.steps, rl.tracks)
    demand(
        is_kept, part, "phases(rl) changed the rl phase's name, steps or tracks", "no change", "use attrs.evolve(rl, …)"
    )
    names = [objective.name for objective in last.objectives]
    remedy = "put the encoder's objectives before rl.objectives"
    demand(zero.name in names, part, f"the rl phase trains only {names}", "the objectives of rl too", remedy)
    objectives = [objective for phase in (*before, last) for objective in phase.objectives]
    for objective in objectives:
        if objective.name == zero.name:
            continue
        foreign = [prefix for prefix in objective.moves if not belongs(prefix, "encoder")]
        got, remedy = (
            f"objective {objective.name!r} moves {', '.join(foreign)}",
            "leave other parts to their objectives",
        )
        demand(not foreign, part, got, "an encoder that moves only 'encoder'", remedy)


def check_prepare(scene: Scene, part: str, phase: Phase) -> None:
    """Check the ``prepare`` of a phase, if any."""
    if phase.prepare is None:
        return
    agent, label = scene.agent(), f"prepare of phase {phase.name!r}"
    phases = {declared.name: declared for declared in scene.phases(agent)}
    prepare = phases[phase.name].prepare or phase.prepare
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    with guard(part, label, "it takes (store, generator)"), forbid_global_randomness(part, label):
        buffers, again = (prepare(scene.store, stream(0, "prepare")) for _ in range(2))
    remedy = "register_buffer(name, torch.zeros(0), persistent=False) in __init__"
    unregistered = sorted(set(buffers) - {name for name, _ in agent.named_buffers()})
    demand(not unregistered, part, f"{label} returned {unregistered}", "only registered buffers", remedy)
    reshaped = sorted(name for name in set(buffers) & set(before) if buffers[name].shape != before[name].shape)
    remedy = "register it in its final shape, or with persistent=False"
    demand(not reshaped, part, f"{label} reshapes {reshaped}", "persistent buffers in their registered shape", remedy)
    remedy = "draw only from the generator argument, and keep no state"
    demand(are_equal(buffers, again), part, f"{label} gave two results for one generator", "a pure function", remedy)
    written = sorted(changed_names(before, agent.state_dict()))
    demand(not written, part, f"{label} changed {written}", "no change of parameters", "return buffers instead")
    for name, value in buffers.items():
        is_plain = bool(value.isfinite().all()) and not value.requires_grad
        demand(is_plain, part, f"{label} gave {name} that is not finite or has a graph", "plain values", "detach it")


def check_encode(scene: Scene, part: str, place: int) -> None:
    """Check the latents of a phase."""
    agent, phase = enter_phase(scene, place)
    encoder: Any = agent.encoder
    batch, label = scene.batch(phase), f"encode in phase {phase.name!r}"
    with (
        guard(part, label, "it takes a Batch, with the draws and noise that its phase declares, and returns a Latent"),
        forbid_global_randomness(part, label),
    ):
        latent, again = encoder.encode(batch), encoder.encode(batch)
    demand(
        isinstance(latent, Latent), part, f"{label} returned {type(latent).__name__}", "a Latent", "return Latent(…)"
    )
    rl = batch.draws.get("rl")
    rows = latent.z.shape[1] if latent.z.dim() == 3 and rl is not None and latent.z.shape[1] == rl.row.shape[1] else 1
    for name in ("z", "z_next"):
        axes = "(task, 1 or batch, latent_dim)"
        check_tensor(
            getattr(latent, name), (len(batch.tasks), rows, encoder.latent_dim), part, f"{label}: {name}", axes
        )
    remedy = "encode is a function of parameters and batch; noise enters through batch.noise"
    demand(are_equal(latent, again), part, f"{label} differs when called twice", "bit-equal latents", remedy)
    rng = stream(0, "order")
    for draw in (draw for draw in phase.draws if draw.kind == "context"):
        order = torch.from_numpy(rng.permutation(batch.draws[draw.name].row.shape[1]))
        shuffled = Rows(*(field[:, order] if field.numel() else field for field in batch.draws[draw.name]))
        other = encoder.encode(batch._replace(draws={**batch.draws, draw.name: shuffled}))
        got = f"{label}: z depends on the order of the rows of {draw.name!r}"
        remedy = "pool rows symmetrically, or declare a draw of the kind 'episodes', which has an order"
        demand(
            are_close((latent.z, latent.z_next), (other.z, other.z_next)),
            part,
            got,
            "a z that does not depend on the order of a set",
            remedy,
        )


def run_filter(encoder: Any, rows: Rows, live: Tensor) -> Any:
    """Return the state after the live rows (world, step, …)."""
    state = encoder.init(len(live))
    for t in range(live.shape[1]):
        state = encoder.step(state, Rows(*(field[:, t] for field in rows)), live[:, t])
    return state


@torch.no_grad()
def check_filter(scene: Scene, part: str) -> None:
    """Check ``init``, ``step`` and ``read``."""
    agent, phase = enter_phase(scene, -1)
    encoder: Any = agent.encoder
    tasks = torch.arange(WORLDS)[:, None]
    rows = scene.store.whole(tasks, tasks, ROW_FIELDS)
    live = torch.ones_like(rows.row, dtype=torch.bool)
    remedy = "states are tuples of tensors with a leading world axis"
    with guard(part, "init, step and read", remedy), forbid_global_randomness(part, "the filter"):
        start, state = encoder.init(WORLDS), run_filter(encoder, rows, live)
        again = run_filter(encoder, rows, live)
        beliefs = {"read after init": encoder.read(start), "read after steps": encoder.read(state)}
    leaves = tree_leaves(state)
    demand(isinstance(state, tuple), part, f"the filter's state is a {type(state).__name__}", "a tuple", remedy)
    has_worlds = leaves and all(isinstance(leaf, Tensor) and leaf.shape[:1] == (WORLDS,) for leaf in leaves)
    demand(bool(has_worlds), part, "the filter's state has no leading world axis", "tensors (world, …)", remedy)
    for label, belief in beliefs.items():
        demand(
            isinstance(belief, Belief), part, f"{label} gave {type(belief).__name__}", "a Belief", "return Belief(…)"
        )
        for name in ("z", "spread"):
            axes = "(world, latent_dim)"
            check_tensor(getattr(belief, name), (WORLDS, encoder.latent_dim), part, f"{label}: {name}", axes)
        remedy = "it is a standard deviation"
        demand(bool((belief.spread >= 0).all()), part, f"{label}: a spread is negative", "spread >= 0", remedy)
    remedy = "step returns a new state and keeps no state"
    demand(are_equal(state, again), part, "the filter differs when run twice", "bit-equal states", remedy)
    copy = tree_map(lambda leaf: leaf.clone(), state)
    mask = torch.tensor([True, False, True])
    unseen = Rows(*(field.roll(1, 0)[:, 0] for field in rows))  # of another world; an encoder may ignore repeated rows
    after = encoder.step(state, unseen, mask)
    demand(are_equal(state, copy), part, "step wrote to its state argument", "a new state", "no in-place writes")
    is_unchanged = all(torch.equal(a[1], b[1]) for a, b in zip(tree_leaves(after), tree_leaves(state), strict=True))
    demand(is_unchanged, part, "step changed a world that is not live", "no change", "torch.where(live, new, old)")
    moved = (encoder.read(after).z - encoder.read(state).z)[[0, 2]].abs().amax() > 0
    if phase.draws:
        demand(bool(moved), part, "step changed no live world's belief", "a belief that reads rows", "read the row")
    else:
        remedy = "declare the rows that encode reads as draws of its phases"
        demand(not moved, part, "rows change the belief, but training reads no rows", "a constant belief", remedy)
    for world in range(WORLDS):
        own = run_filter(encoder, Rows(*(field[world : world + 1] for field in rows)), live[world : world + 1])
        expected = Belief(*(value[world : world + 1] for value in beliefs["read after steps"]))
        got = "a world's belief depends on other worlds"
        demand(
            are_close(encoder.read(own), expected), part, got, "independent worlds", "do not reduce over the world axis"
        )


@torch.no_grad()
def check_filter_agrees(scene: Scene, part: str) -> None:
    """Check that the filter gives the z of ``encode``, if that is a single z of a single draw, with noise 0."""
    agent, phase = enter_phase(scene, -1)
    encoder: Any = agent.encoder
    context = [draw for draw in phase.draws if draw.kind in ("context", "episodes")]
    batch = scene.batch(phase)
    batch = batch._replace(noise={name: torch.zeros_like(value) for name, value in batch.noise.items()})
    z = encoder.encode(batch).z
    if len(context) != 1 or z.shape[1] != 1:
        return
    wide = attrs.evolve(phase, draws=tuple(attrs.evolve(draw, fields=ROW_FIELDS) for draw in context), objectives=())
    rows = scene.batch(wide).draws[context[0].name]
    belief = encoder.read(run_filter(encoder, rows, rows.row >= 0))
    got = f"filtered rows give another z than encode (by {float((belief.z - z[:, 0]).abs().max()):.2g})"
    remedy = "make init, step and read the incremental form of encode"
    demand(are_close(belief.z, z[:, 0], 1e-4), part, got, "equal beliefs where noise is 0", remedy)
