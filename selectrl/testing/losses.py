"""What must hold of every objective, whichever part declares it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from selectrl.experiment.config import from_record, to_record
from selectrl.protocols import Objective, Phase
from selectrl.registry import tag
from selectrl.structs import Batch, Losses
from selectrl.testing.scene import Scene
from selectrl.testing.verdicts import are_close, are_equal, changed_names, demand, forbid_global_randomness, guard
from selectrl.trainer.agent import Agent, belongs
from selectrl.trainer.engine import stacked

POPULATION = (0, 1)


def check_objectives(scene: Scene, part: str, phase: int, names: set[str] | None = None) -> None:
    """Check the objectives of one phase, or those of some names, alone and then all together.

    Raises:
        ConformanceError: see the functions below.
    """
    objectives = scene.phases(scene.agent())[phase].objectives
    for objective in objectives:
        if names is None or objective.name in names:
            check_loss(scene, part, phase, objective.name)
            check_routing(scene, part, phase, objective.name)
    check_device(scene, part, phase)
    check_tracks(scene, part, phase)
    check_state(scene, part, phase)
    check_population(scene, part, phase)


def encode_batch(scene: Scene, agent: Agent, phase: Phase) -> Batch:
    """Return a batch of a phase with its latent, encoded by an agent that holds the phase's buffers."""
    batch = scene.batch(phase)
    if not phase.encodes:
        return batch
    return batch._replace(latent=agent.encoder.encode(batch))


def enter_phase(scene: Scene, phase: int) -> tuple[Agent, Phase]:
    """Return an agent that holds a phase's buffers, and the phase."""
    agent = scene.agent()
    found = scene.phases(agent)[phase]
    for name, value in scene.prepare_buffers(found).items():
        owner, _, buffer = name.rpartition(".")
        setattr(agent.get_submodule(owner), buffer, value)  # a buffer stays one, persistent or not
    return agent, found


def check_loss(scene: Scene, part: str, phase: int, name: str) -> None:
    """Check that a loss is scalar and finite, equal when computed twice, and draws no noise of its own."""
    agent, found = enter_phase(scene, phase)
    objective = next(one for one in found.objectives if one.name == name)
    batch, what = encode_batch(scene, agent, found), f"the loss of objective {name!r}"
    declared = "declare the draws and noise that it reads"
    with guard(part, what, declared), forbid_global_randomness(part, what):
        losses = objective.loss(agent, batch)
        again = objective.loss(agent, batch)
    demand(isinstance(losses, Losses), part, f"{what} returned {type(losses).__name__}", "Losses", "return Losses(…)")
    for term, value in {"total": losses.total, **losses.terms}.items():
        got = f"{tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        remedy = "reduce it over tasks and rows, and keep it a tensor"
        demand(isinstance(value, Tensor) and value.dim() == 0, part, f"{term} of {what} is {got}", "a scalar", remedy)
        finite = bool(value.isfinite().all())
        demand(finite, part, f"{term} of {what} is {value.item()}", "a finite value", "guard its logarithms and ratios")
    remedy = "a loss has no hidden state; noise enters through batch.noise"
    demand(are_equal(losses, again), part, f"{what} differs when computed twice", "bit-equal values", remedy)


def check_routing(scene: Scene, part: str, phase: int, name: str) -> None:
    """Check that a step of one objective moves all that it declares and nothing else, buffers and targets included."""

    def alone(found: Phase) -> Phase:
        chosen = tuple(attrs.evolve(one, every=1) for one in found.objectives if one.name == name)
        return attrs.evolve(found, objectives=chosen, tracks=())

    remedy = "narrow the prefix in its moves to what the loss reads with gradient"
    with guard(part, f"a step of objective {name!r}", remedy):
        engine = scene.engine(phase, change=alone)
        before = {key: value.clone() for key, value in engine.frozen.items()}
        engine.step(scene.batch(engine.phase), 0)
    moved, prefixes = changed_names(before, engine.frozen), engine.phase.objectives[0].moves
    for prefix in prefixes:
        got = f"objective {name!r} declares that it moves {prefix!r}, which gets no gradient"
        expected, remedy = "a gradient for every prefix", "do not detach it in the loss, or take it out of moves"
        demand(any(belongs(one, prefix) for one in moved), part, got, expected, remedy)
    strangers = sorted(one for one in moved if not any(belongs(one, prefix) for prefix in prefixes))
    got, expected = f"a step of objective {name!r} changed {', '.join(strangers)}", f"changes of {', '.join(prefixes)}"
    demand(not strangers, part, got, f"{expected} alone", "a loss writes to nothing; declare what it moves")


def check_device(scene: Scene, part: str, phase: int) -> None:
    """Check that encoding and losses work wherever their inputs lie, and never wait for a value.

    They run on torch's ``meta`` device, whose tensors have shapes and no values: one that is made on the CPU in between
    does not fit, and none can be looked at.
    """
    agent, found = enter_phase(scene, phase)
    agent.to("meta")
    batch = tree_map(lambda value: value.to("meta"), scene.batch(found))
    remedy = "make tensors with device=… of an input, and use torch.where in place of a look at a value"
    with guard(part, f"the encoding of phase {found.name!r} away from the CPU", remedy):
        if found.encodes:
            batch = batch._replace(latent=agent.encoder.encode(batch))
    for objective in found.objectives:
        with guard(part, f"the loss of objective {objective.name!r} away from the CPU", remedy):
            objective.loss(agent, batch)


def check_tracks(scene: Scene, part: str, phase: int) -> None:
    """Check that a phase's tracks move every target that they name, and nothing else."""
    engine = scene.engine(phase, change=lambda found: attrs.evolve(found, objectives=()))
    if not engine.phase.tracks:
        return
    with torch.no_grad():
        for name in engine.parameters:
            if not name.startswith("targets."):
                engine.frozen[name].add_(1.0)
    before = {key: value.clone() for key, value in engine.frozen.items()}
    for step in range(max(track.every for track in engine.phase.tracks)):
        engine.step(scene.batch(engine.phase, step), step)
    moved, targets = changed_names(before, engine.frozen), {name for name in before if name.startswith("targets.")}
    got, expected = f"its tracks treat {sorted(moved ^ targets)} wrongly", "all targets and nothing else to move"
    demand(moved == targets, part, got, expected, "declare each target once, in Critic.tracks()")


def check_population(scene: Scene, part: str, phase: int) -> None:
    """Check that two seeds side by side take the step that each takes alone, up to 1e-5.

    Steps are plain gradient descent, which does not blow rounding up as Adam does.
    """
    what, remedy = "a population of two", "use batched primitives: no .item(), no branch on values, no in-place writes"
    engines = [scene.engine(phase, seeds=(seed,), change=use_gradient_descent) for seed in POPULATION]
    batches = [scene.batch(engine.phase, seed=seed) for engine, seed in zip(engines, POPULATION, strict=True)]
    alone = stacked([engine.step(batch, 0) for engine, batch in zip(engines, batches, strict=True)])
    with guard(part, f"a step of {what}", remedy):
        together = scene.engine(phase, seeds=POPULATION, change=use_gradient_descent)
        metrics = together.step(stacked(batches), 0)
    wrong = [name for name, value in alone.items() if not are_close(value, metrics[name])]
    demand(not wrong, part, f"in {what}, {wrong} differ from each seed's own", "equal losses, to 1e-5", remedy)
    singles = stacked([{name: engine.frozen[name] for name in engine.parameters} for engine in engines])
    wrong = [name for name, value in singles.items() if not are_close(value, together.frozen[name])]
    demand(not wrong, part, f"{what} moves {wrong} otherwise than each seed alone", "equal steps, to 1e-5", remedy)


def use_gradient_descent(phase: Phase) -> Phase:
    """Return a phase whose objectives are due on every step and move by plain gradient descent."""

    def plain(one: Objective) -> Objective:
        moves = {prefix: attrs.evolve(optim, name="sgd") for prefix, optim in one.moves.items()}
        return attrs.evolve(one, every=1, moves=moves)

    return attrs.evolve(phase, objectives=tuple(map(plain, phase.objectives)))


def check_state(scene: Scene, part: str, phase: int) -> None:
    """Check that an agent is all in its ``state_dict``: loaded into another one, it takes the same step."""
    first, entered_before = scene.engine(phase), scene.stage(phase, seeds=(7,))
    second = entered_before.engine
    steps = range(max(one.every for one in first.phase.objectives))
    remedy = "register what a loss reads as parameter or buffer"
    with guard(part, "loading its state_dict into another agent", remedy):
        second.agent.load_state_dict(first.agent.state_dict())
        entered_before.enter()
    metrics = [[engine.step(scene.batch(engine.phase, step), step) for step in steps] for engine in (first, second)]
    got = "losses differ after state_dict was loaded into another agent"
    demand(are_equal(*metrics), part, got, "bit-equal losses", remedy)


def check_record(config: Any, part: str) -> None:
    """Check that a registered config comes back equal from its JSON record, as every run's does."""
    if tag(config) is None:
        return
    with guard(part, "its config's record", "hold numbers, strings, tuples and registered configs alone"):
        again = from_record(json.loads(json.dumps(to_record(config), allow_nan=False)))
    got, expected = f"its config comes back from its record as {again}", f"{config}"
    demand(again == config, part, got, expected, "give tuples a converter, and keep nothing live in a config")
