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
    """Check that an encoder keeps its protocol.

    - ``phases`` ends in rl, with what critic and actor train kept, and its own objectives move ``encoder`` alone;
    - ``prepare`` is pure and returns finite values of registered buffers, the persistent ones in their own shape;
    - ``encode`` gives z and z_next (task, 1 or batch, latent_dim), finite, the same when called twice, and without
      regard to the order of the rows of ``context`` draws, which have none;
    - ``init``, ``step``, ``read`` filter each world on its own, leave worlds that are not live as they were, and, where
      ``encode`` makes one z of one whole draw, come to that z;
    - every objective of every phase: scalar finite losses without hidden state, randomness or gradient outside its
      declared prefixes; a population of two equals two single agents; a ``state_dict`` holds everything;
    - a registered config comes back equal from its JSON record.

    Args:
        config: the encoder's config; small widths keep the check fast.
        spec: shapes of the family to try it on; default: a small made-up one where rewards vary.

    Raises:
        ConformanceError: the sentence names the fault, what was expected and the remedy.
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
    good = isinstance(width, int) and width > 0
    demand(good, part, f"latent_dim is {width!r}", "a positive int", "set it in __init__")
    params = getattr(encoder, "critic_params", None)
    good = isinstance(params, Mapping) and all(
        belongs(prefix, "encoder") and isinstance(optim, Optim) for prefix, optim in params.items()
    )
    remedy = "say critic_params = {} if the TD loss moves nothing here"
    demand(good, part, f"critic_params is {params!r}", "a mapping of encoder prefixes to Optim", remedy)


def check_phases(scene: Scene, part: str) -> None:
    """Check what ``phases`` makes of an rl phase."""
    zero = Objective(name="given", loss=lambda agent, batch: Losses(torch.zeros(()), {}), moves={"critic": Optim()})
    rl = Phase(name="rl", steps=3, objectives=(zero,), tracks=scene.phases(scene.agent())[-1].tracks)
    encoder: Any = scene.agent().encoder
    with guard(part, "phases(rl)", "return the pre-training phases, then rl by attrs.evolve"):
        *before, last = encoder.phases(rl)
    names = [phase.name for phase in (*before, last)]
    demand(len(set(names)) == len(names), part, f"phases are called {names}", "different names", "rename one")
    kept = (last.name, last.steps, last.tracks) == (rl.name, rl.steps, rl.tracks)
    demand(
        kept, part, "phases(rl) changed the rl phase's name, steps or tracks", "them kept", "use attrs.evolve(rl, …)"
    )
    given = [one.name for one in last.objectives]
    remedy = "put the encoder's objectives in front of rl.objectives"
    demand("given" in given, part, f"the rl phase trains {given} only", "rl's own objectives kept", remedy)
    for objective in (one for phase in (*before, last) for one in phase.objectives if one.name != "given"):
        strangers = [prefix for prefix in objective.moves if not belongs(prefix, "encoder")]
        got = f"objective {objective.name!r} moves {', '.join(strangers)}"
        demand(not strangers, part, got, "an encoder to move 'encoder' alone", "leave other parts to their objectives")


def check_prepare(scene: Scene, part: str, phase: Phase) -> None:
    """Check a phase's ``prepare``, where it has one."""
    if phase.prepare is None:
        return
    agent, what = scene.agent(), f"prepare of phase {phase.name!r}"
    prepare = next(one for one in scene.phases(agent) if one.name == phase.name).prepare or phase.prepare
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    with guard(part, what, "it takes (store, generator)"), forbid_global_randomness(part, what):
        buffers, again = (prepare(scene.store, stream(0, "prepare")) for _ in range(2))
    remedy = "register_buffer(name, torch.zeros(0), persistent=False) in __init__"
    strangers = sorted(set(buffers) - {name for name, _ in agent.named_buffers()})
    demand(not strangers, part, f"{what} returned {strangers}", "registered buffers alone", remedy)
    reshaped = sorted(name for name in set(buffers) & set(before) if buffers[name].shape != before[name].shape)
    remedy = "register it in its final shape, or with persistent=False"
    demand(not reshaped, part, f"{what} reshapes {reshaped}", "persistent buffers as they were registered", remedy)
    remedy = "draw from the generator that is handed in, and keep nothing"
    demand(are_equal(buffers, again), part, f"{what} gave two results for one generator", "a pure function", remedy)
    written = sorted(changed_names(before, agent.state_dict()))
    demand(not written, part, f"{what} changed {written}", "no change of parameters", "return buffers instead")
    for name, value in buffers.items():
        finite = bool(value.isfinite().all()) and not value.requires_grad
        demand(finite, part, f"{what} gave {name} that is not finite or carries a graph", "plain values", "detach it")


def check_encode(scene: Scene, part: str, place: int) -> None:
    """Check the latents of a phase."""
    agent, phase = enter_phase(scene, place)
    encoder: Any = agent.encoder
    batch, what = scene.batch(phase), f"encode in phase {phase.name!r}"
    with (
        guard(part, what, "it takes a Batch, with the draws and noise that its phase declares, and returns a Latent"),
        forbid_global_randomness(part, what),
    ):
        latent, again = encoder.encode(batch), encoder.encode(batch)
    demand(isinstance(latent, Latent), part, f"{what} returned {type(latent).__name__}", "a Latent", "return Latent(…)")
    rl = batch.draws.get("rl")
    rows = latent.z.shape[1] if latent.z.dim() == 3 and rl is not None and latent.z.shape[1] == rl.row.shape[1] else 1
    for name in ("z", "z_next"):
        axes = "(task, 1 or batch, latent_dim)"
        check_tensor(getattr(latent, name), (len(batch.tasks), rows, encoder.latent_dim), part, f"{what}: {name}", axes)
    remedy = "encode is a function of parameters and batch; noise enters through batch.noise"
    demand(are_equal(latent, again), part, f"{what} differs when called twice", "bit-equal latents", remedy)
    rng = stream(0, "order")
    for draw in (one for one in phase.draws if one.kind == "context"):
        order = torch.from_numpy(rng.permutation(batch.draws[draw.name].row.shape[1]))
        shuffled = Rows(*(field[:, order] if field.numel() else field for field in batch.draws[draw.name]))
        other = encoder.encode(batch._replace(draws={**batch.draws, draw.name: shuffled}))
        got = f"{what}: z depends on the order of the rows of {draw.name!r}"
        remedy = "pool rows symmetrically, or ask for a draw of the kind 'episodes', which is in order"
        demand(are_close((latent.z, latent.z_next), (other.z, other.z_next)), part, got, "no order in a set", remedy)


def run_filter(encoder: Any, rows: Rows, live: Tensor) -> Any:
    """Return the state after rows (world, step, …), where live (world, step) is true."""
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
    good = leaves and all(isinstance(leaf, Tensor) and leaf.shape[:1] == (WORLDS,) for leaf in leaves)
    demand(bool(good), part, "the filter's state has no leading world axis", "tensors (world, …)", remedy)
    for what, belief in beliefs.items():
        demand(isinstance(belief, Belief), part, f"{what} gave {type(belief).__name__}", "a Belief", "return Belief(…)")
        for name in ("z", "spread"):
            axes = "(world, latent_dim)"
            check_tensor(getattr(belief, name), (WORLDS, encoder.latent_dim), part, f"{what}: {name}", axes)
        remedy = "it is a standard deviation"
        demand(bool((belief.spread >= 0).all()), part, f"{what}: a spread is negative", "spread >= 0", remedy)
    remedy = "step returns a new state and keeps nothing"
    demand(are_equal(state, again), part, "the filter differs when run twice", "bit-equal states", remedy)
    held = tree_map(lambda leaf: leaf.clone(), state)
    mask = torch.tensor([True, False, True])
    unseen = Rows(*(field.roll(1, 0)[:, 0] for field in rows))  # of the world beside; an encoder may ignore repeats
    after = encoder.step(state, unseen, mask)
    demand(
        are_equal(state, held), part, "step wrote to the state that it was given", "a new state", "no in-place writes"
    )
    still = all(torch.equal(a[1], b[1]) for a, b in zip(tree_leaves(after), tree_leaves(state), strict=True))
    demand(still, part, "step changed a world that is not live", "its state kept", "torch.where(live, new, old)")
    moved = (encoder.read(after).z - encoder.read(state).z)[[0, 2]].abs().amax() > 0
    if phase.draws:
        demand(bool(moved), part, "step changed no live world's belief", "a belief that reads rows", "take the row in")
    else:
        remedy = "declare the rows that encode reads as draws of its phases"
        demand(not moved, part, "rows change the belief, but training reads none", "a belief that stays", remedy)
    for world in range(WORLDS):
        own = run_filter(encoder, Rows(*(field[world : world + 1] for field in rows)), live[world : world + 1])
        one = Belief(*(value[world : world + 1] for value in beliefs["read after steps"]))
        got = "a world's belief depends on the worlds beside it"
        demand(are_close(encoder.read(own), one), part, got, "independent worlds", "reduce over no world axis")


@torch.no_grad()
def check_filter_agrees(scene: Scene, part: str) -> None:
    """Check that the filter comes to the z of ``encode``, where that is one z of one draw and noise is 0."""
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
    got = f"rows taken in one by one give another z than encode (by {float((belief.z - z[:, 0]).abs().max()):.2g})"
    remedy = "init, step and read must do incrementally what encode does at once"
    demand(are_close(belief.z, z[:, 0], 1e-4), part, got, "equal beliefs where noise is 0", remedy)
