"""Checks of every objective, for all kinds of parts."""

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
from selectrl.trainer.agent import AgentModule, belongs
from selectrl.trainer.engine import stacked

POPULATION = (0, 1)


def check_objectives(scene: Scene, part: str, phase: int, names: set[str] | None = None) -> None:
    """Check the objectives of a phase, or those of some names, separately and then together.

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


def encode_batch(scene: Scene, agent: AgentModule, phase: Phase) -> Batch:
    """Return a batch of a phase with its latent, encoded by an agent that has the phase's buffers."""
    batch = scene.batch(phase)
    if not phase.encodes:
        return batch
    return batch._replace(latent=agent.encoder.encode(batch))


def enter_phase(scene: Scene, phase: int) -> tuple[AgentModule, Phase]:
    """Return an agent that has a phase's buffers, and the phase."""
    agent = scene.agent()
    declared = scene.phases(agent)[phase]
    for name, value in scene.prepare_buffers(declared).items():
        owner, _, buffer = name.rpartition(".")
        setattr(agent.get_submodule(owner), buffer, value)  # it stays a buffer, persistent or not
    return agent, declared


def check_loss(scene: Scene, part: str, phase: int, name: str) -> None:
    """Check that a loss is scalar and finite, equal in two calls, and draws no hidden noise."""
    agent, declared = enter_phase(scene, phase)
    objective = next(objective for objective in declared.objectives if objective.name == name)
    batch, label = encode_batch(scene, agent, declared), f"the loss of objective {name!r}"
    remedy = "declare the draws and noise that it reads"
    with guard(part, label, remedy), forbid_global_randomness(part, label):
        losses = objective.loss(agent, batch)
        again = objective.loss(agent, batch)
    demand(isinstance(losses, Losses), part, f"{label} returned {type(losses).__name__}", "Losses", "return Losses(…)")
    for term, value in {"total": losses.total, **losses.terms}.items():
        got = f"{tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        remedy = "reduce it over tasks and rows, and keep it a tensor"
        demand(isinstance(value, Tensor) and value.dim() == 0, part, f"{term} of {label} is {got}", "a scalar", remedy)
        finite = bool(value.isfinite().all())
        demand(
            finite, part, f"{term} of {label} is {value.item()}", "a finite value", "guard its logarithms and ratios"
        )
    remedy = "a loss has no hidden state; noise enters through batch.noise"
    demand(are_equal(losses, again), part, f"{label} differs when computed twice", "bit-equal values", remedy)


def check_routing(scene: Scene, part: str, phase: int, name: str) -> None:
    """Check that a step of an objective changes exactly what it declares, including buffers and targets."""

    def select(declared: Phase) -> Phase:
        objectives = (objective for objective in declared.objectives if objective.name == name)
        selected = tuple(attrs.evolve(objective, every=1) for objective in objectives)
        return attrs.evolve(declared, objectives=selected, tracks=())

    remedy = "narrow the prefix in its moves to parameters that the loss reads with gradient"
    with guard(part, f"a step of objective {name!r}", remedy):
        engine = scene.engine(phase, change=select)
        before = {key: value.clone() for key, value in engine.frozen.items()}
        engine.step(scene.batch(engine.phase), 0)
    moved, prefixes = changed_names(before, engine.frozen), engine.phase.objectives[0].moves
    for prefix in prefixes:
        got = f"objective {name!r} declares that it moves {prefix!r}, which gets no gradient"
        expected, remedy = "a gradient for every prefix", "do not detach it in the loss, or take it out of moves"
        demand(any(belongs(tensor, prefix) for tensor in moved), part, got, expected, remedy)
    foreign = sorted(tensor for tensor in moved if not any(belongs(tensor, prefix) for prefix in prefixes))
    got, expected = (
        f"a step of objective {name!r} changed {', '.join(foreign)}",
        f"changes only of {', '.join(prefixes)}",
    )
    demand(
        not foreign, part, got, expected, "declare all prefixes that it moves, and do not write to tensors in a loss"
    )


def check_device(scene: Scene, part: str, phase: int) -> None:
    """Check that encoding and losses work on the device of their inputs, and never wait for a value.

    They run on torch's ``meta`` device, whose tensors have shapes and no values: tensors created on the CPU do not fit,
    and no value can be read.
    """
    agent, declared = enter_phase(scene, phase)
    agent.to("meta")
    batch = tree_map(lambda value: value.to("meta"), scene.batch(declared))
    remedy = "create tensors with the device of an input, and use torch.where instead of a branch on a value"
    with guard(part, f"the encoding of phase {declared.name!r} away from the CPU", remedy):
        if declared.encodes:
            batch = batch._replace(latent=agent.encoder.encode(batch))
    for objective in declared.objectives:
        with guard(part, f"the loss of objective {objective.name!r} away from the CPU", remedy):
            objective.loss(agent, batch)


def check_tracks(scene: Scene, part: str, phase: int) -> None:
    """Check that a phase's tracks move all targets, and nothing else."""
    engine = scene.engine(phase, change=lambda declared: attrs.evolve(declared, objectives=()))
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
    got, expected = (
        f"its tracks treat {sorted(moved ^ targets)} wrongly",
        "tracks that move all targets and nothing else",
    )
    demand(moved == targets, part, got, expected, "declare each target once, in Critic.tracks()")


def check_population(scene: Scene, part: str, phase: int) -> None:
    """Check that two seeds in parallel take the same step as each seed separately, up to 1e-5.

    Steps are gradient descent, which does not amplify rounding errors as Adam does.
    """
    label, remedy = "a population of two", "use batched primitives: no .item(), no branch on values, no in-place writes"
    engines = [scene.engine(phase, seeds=(seed,), change=use_gradient_descent) for seed in POPULATION]
    batches = [scene.batch(engine.phase, seed=seed) for engine, seed in zip(engines, POPULATION, strict=True)]
    separate = stacked([engine.step(batch, 0) for engine, batch in zip(engines, batches, strict=True)])
    with guard(part, f"a step of {label}", remedy):
        population = scene.engine(phase, seeds=POPULATION, change=use_gradient_descent)
        metrics = population.step(stacked(batches), 0)
    wrong = [name for name, value in separate.items() if not are_close(value, metrics[name])]
    demand(not wrong, part, f"in {label}, {wrong} differ from those of each seed", "equal losses, to 1e-5", remedy)
    singles = stacked([{name: engine.frozen[name] for name in engine.parameters} for engine in engines])
    wrong = [name for name, value in singles.items() if not are_close(value, population.frozen[name])]
    demand(not wrong, part, f"{label} moves {wrong} differently from each seed", "equal steps, to 1e-5", remedy)


def use_gradient_descent(phase: Phase) -> Phase:
    """Return a phase whose objectives are due on every step and move by gradient descent."""

    def change(objective: Objective) -> Objective:
        moves = {prefix: attrs.evolve(optim, name="sgd") for prefix, optim in objective.moves.items()}
        return attrs.evolve(objective, every=1, moves=moves)

    return attrs.evolve(phase, objectives=tuple(map(change, phase.objectives)))


def check_state(scene: Scene, part: str, phase: int) -> None:
    """Check that ``state_dict`` holds an agent's whole state: another agent that loads it takes the same step."""
    first, other_stage = scene.engine(phase), scene.stage(phase, seeds=(7,))
    second = other_stage.engine
    steps = range(max(objective.every for objective in first.phase.objectives))
    remedy = "register what a loss reads as parameter or buffer"
    with guard(part, "loading its state_dict into another agent", remedy):
        second.agent.load_state_dict(first.agent.state_dict())
        other_stage.enter()
    metrics = [[engine.step(scene.batch(engine.phase, step), step) for step in steps] for engine in (first, second)]
    got = "losses differ after state_dict was loaded into another agent"
    demand(are_equal(*metrics), part, got, "bit-equal losses", remedy)


def check_record(config: Any, part: str) -> None:
    """Check that a registered config equals the config read from its JSON record, as runs need."""
    if tag(config) is None:
        return
    with guard(part, "its config's record", "use only numbers, strings, tuples and registered configs as fields"):
        again = from_record(json.loads(json.dumps(to_record(config), allow_nan=False)))
    got, expected = f"the config read from its record is {again}", f"{config}"
    demand(again == config, part, got, expected, "give tuples a converter, and keep only data in a config")
