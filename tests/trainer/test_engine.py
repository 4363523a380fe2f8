"""One training step: what moves, what is read when, populations, and exact state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import fakes
import pytest
import torch
from oracles import ORACLES, numbers, scenes
from torch import Tensor, nn

from selectrl.protocols import Objective, Optim, Phase
from selectrl.registry import tag
from selectrl.structs import Batch, Losses
from selectrl.trainer.agent import AgentModule, belongs
from selectrl.trainer.engine import Engine

METHODS = pytest.mark.parametrize("name", fakes.METHODS)
ORDER = {
    "select": ("club", "encoder", "critic", "policy"),
    "csro": ("club", "encoder", "critic", "value", "policy"),
    "focal": ("encoder", "critic", "value", "policy"),
    "brac": ("club", "encoder", "critic", "value", "dual", "dual_1", "dual_2", "policy"),
    "offpearl": ("critic", "value", "policy"),
}
MOVES = {
    "club": {"encoder.club"},
    "encoder": {"encoder.net"},
    "critic": {"critic.q_net"},
    "value": {"critic.v_net"},
    "dual": {"actor.dual"},
    "dual_1": {"actor.dual"},
    "dual_2": {"actor.dual"},
    "policy": {"policy"},
}
"""What the objectives of the shipped methods move, as methods.md has it; some add to it below."""


def moves(method: str, objective: str) -> set[str]:
    more = {
        ("select", "critic"): {"critic.v_net"},
        ("brac", "policy"): {"actor.multiplier"},
        ("offpearl", "critic"): {"encoder.net"},
    }
    return MOVES[objective] | more.get((method, objective), set())


def setting(name: str, *settings: str, seed: int = 0, lr: float | None = None) -> tuple[AgentModule, Phase, Any]:
    """A shipped method with scrambled parameters; ``lr`` overrides all learning rates."""
    agent, (phase,), spec = fakes.method(name, *settings, seed=seed)
    fakes.scramble(agent, seed=seed)
    if lr is not None:
        fast = [
            attrs.evolve(one, moves={prefix: attrs.evolve(optim, lr=lr) for prefix, optim in one.moves.items()})
            for one in phase.objectives
        ]
        phase = attrs.evolve(phase, objectives=tuple(fast))
    return agent, phase, spec


def below(agent: nn.Module, prefixes: set[str]) -> set[str]:
    return {name for name, _ in agent.named_parameters() if any(belongs(name, prefix) for prefix in prefixes)}


def watched(phase: Phase, watch: Callable[[str, Any, Batch, Losses], Mapping[str, Tensor]]) -> Phase:
    """The phase with every loss watched; what ``watch`` returns is logged beside its terms."""

    def wrap(objective: Objective) -> Objective:
        def loss(agent: Any, batch: Batch) -> Losses:
            losses = objective.loss(agent, batch)
            return Losses(losses.total, losses.terms | dict(watch(objective.name, agent, batch, losses)))

        return attrs.evolve(objective, loss=loss)

    return attrs.evolve(phase, objectives=tuple(wrap(objective) for objective in phase.objectives))


# --- what moves -------------------------------------------------------------------------------------------------------


@METHODS
def test_objectives_stand_in_the_published_order(name: str) -> None:
    _, phase, _ = setting(name)
    assert tuple(objective.name for objective in phase.objectives) == ORDER[name]


@METHODS
def test_each_objective_changes_exactly_its_own_prefixes(name: str) -> None:
    agent, phase, spec = setting(name)
    batch = fakes.phase_batch(phase, spec=spec)
    for objective in phase.objectives:
        engine = Engine([agent])
        engine.enter(attrs.evolve(phase, objectives=(objective,), tracks=()))
        before = fakes.snapshot(agent)
        engine.step(batch, objective.every - 1)
        assert fakes.changed(before, fakes.snapshot(agent)) == below(agent, moves(name, objective.name)), objective.name


@METHODS
def test_z_is_attached_for_the_encoder_alone_and_all_that_does_not_move_is_frozen(name: str) -> None:
    agent, phase, spec = setting(name)
    seen = {}

    def watch(objective: str, agent: Any, batch: Batch, losses: Losses) -> dict[str, Tensor]:
        free = {n for n, parameter in agent.named_parameters() if parameter.requires_grad}
        attached = [batch.latent.z, batch.latent.z_next, *batch.latent.features.values()]
        seen[objective] = (free, {value.requires_grad for value in attached})
        return {}

    engine = Engine([agent])
    engine.enter(watched(phase, watch))
    engine.step(fakes.phase_batch(phase, spec=spec), 1)
    assert set(seen) == set(ORDER[name])
    for objective, (free, attached) in seen.items():
        assert free == below(agent, moves(name, objective))
        assert attached == {any(belongs(prefix, "encoder") for prefix in moves(name, objective))}, objective


@METHODS
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_moves_what_is_due_and_targets_by_their_rate(name: str, step: int) -> None:
    agent, phase, spec = setting(name)
    engine = Engine([agent])
    engine.enter(phase)
    before = fakes.snapshot(agent)
    metrics = engine.step(fakes.phase_batch(phase, spec=spec), step)
    after = fakes.snapshot(agent)
    due = [one for one in ORDER[name] if name != "select" or one != "policy" or step % 2 == 1]
    moved = set().union(*(moves(name, one) for one in due))
    sources = {"critic.v_net"} if name != "select" else {"critic.q_net", "policy"} if step % 2 == 1 else set()
    copies = {f"targets.{source.replace('.', '_')}": source for source in sources}
    assert fakes.changed(before, after) == below(agent, moved | set(copies))
    assert {metric.partition("/")[0] for metric in metrics} == set(due)
    for target, source in copies.items():
        for parameter in below(agent, {target}):
            own = after[source + parameter.removeprefix(target)]
            torch.testing.assert_close(after[parameter], before[parameter] * 0.995 + 0.005 * own)


def test_targets_move_without_any_objective_and_never_by_one() -> None:
    agent, phase, spec = setting("select")
    engine = Engine([agent])
    engine.enter(attrs.evolve(phase, objectives=()))
    before = fakes.snapshot(agent)
    for step in range(4):
        engine.step(fakes.phase_batch(phase, spec=spec), step)
    assert fakes.changed(before, fakes.snapshot(agent)) == below(agent, {"targets"})
    own, copied = before["policy.net.weights.0"], before["targets.policy.net.weights.0"]
    torch.testing.assert_close(agent.targets["policy"].net.weights[0].detach(), own + 0.995**2 * (copied - own))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_an_objective_is_due_on_every_nth_step_counted_from_one(every: int) -> None:
    agent, phase, spec = setting("focal")
    policy = attrs.evolve(phase.objectives[-1], every=every)
    engine = Engine([agent])
    engine.enter(attrs.evolve(phase, objectives=(policy,)))
    ran = [bool(engine.step(fakes.phase_batch(phase, spec=spec), step)) for step in range(12)]
    assert ran == [(step + 1) % every == 0 for step in range(12)]


# --- what is read when ------------------------------------------------------------------------------------------------

FACTS: dict[str, dict[str, tuple[set[str], set[str]]]] = {  # objective -> prefixes read after, and before their updates
    "select": {
        "club": (set(), {"encoder.net", "encoder.club"}),
        "encoder": ({"encoder.club"}, {"encoder.net"}),
        "critic": (set(), {"encoder.net", "critic.q_net", "critic.v_net", "targets.critic_q_net", "targets.policy"}),
        "policy": ({"critic.q_net"}, {"encoder.net", "critic.v_net", "policy"}),
    },
    "csro": {
        "encoder": ({"encoder.club"}, {"encoder.net"}),
        "critic": (set(), {"encoder.net", "critic.q_net", "targets.critic_v_net"}),
        "value": ({"critic.q_net"}, {"encoder.net", "critic.v_net", "policy"}),
        "policy": ({"critic.q_net"}, {"encoder.net", "policy"}),
    },
    "offpearl": {
        "critic": (set(), {"encoder.net", "critic.q_net", "targets.critic_v_net"}),
        "value": ({"critic.q_net"}, {"encoder.net", "critic.v_net", "policy"}),
        "policy": ({"critic.q_net"}, {"encoder.net", "policy"}),
    },
    "brac": {
        "value": ({"critic.q_net"}, {"encoder.net", "critic.v_net", "policy"}),
        "dual": (set(), {"encoder.net", "actor.dual", "policy"}),
        "policy": ({"critic.q_net", "actor.dual"}, {"encoder.net", "policy", "actor.multiplier"}),
    },
}


def mixed(before: dict[str, Any], after: dict[str, Any], late: set[str]) -> dict[str, Any]:
    """Parameters before the step, but those below some prefixes after it."""
    return {n: after[n] if any(belongs(n, prefix) for prefix in late) else value for n, value in before.items()}


@pytest.mark.parametrize(("name", "objective"), [(name, one) for name, facts in FACTS.items() for one in facts])
def test_each_loss_reads_updated_or_first_parameters_as_published(name: str, objective: str) -> None:
    """L_club uses the new psi; z is that of the first parameters; V's and the actor's Q are new; D̂ uses the new c."""
    # the multiplier is used at its bound, because at its own value the divergence cancels out of the logged total
    bound = ["actors.brac.divergence_max=2.0"] if name == "brac" else []
    experiment = fakes.experiment(name, *bound)
    agent, phase, spec = setting(name, *bound, lr=0.05)
    fakes.double(agent)
    if name != "select":
        phase = attrs.evolve(phase, tracks=tuple(attrs.evolve(track, tau=0.5) for track in phase.tracks))
    engine = Engine([agent])
    engine.enter(watched(phase, lambda name, agent, batch, losses: {"total": losses.total}))
    batch = fakes.double(fakes.phase_batch(phase, spec=spec, seed=5))
    before = numbers(agent)
    make = scenes(agent, batch, experiment.encoder, experiment.critic, experiment.actor)
    logged = engine.step(batch, 1)[f"{objective}/total"].item()
    after = numbers(agent)

    configs = (experiment.encoder, experiment.critic, experiment.actor)
    oracle = next(ORACLES[key] for key in ((str(tag(config)), objective) for config in configs) if key in ORACLES)
    new, first = FACTS[name][objective]

    def expected(late: set[str]) -> float:
        parameters = mixed(before, after, late)
        return oracle(make(parameters, parameters))

    assert logged == pytest.approx(expected(new), rel=1e-9)
    for prefix in new | first:  # each fact can fail: reading one prefix at the other time gives another loss
        other = new ^ {prefix}
        assert logged != pytest.approx(expected(other), rel=1e-9), prefix


@METHODS
def test_each_loss_sees_what_moved_before_it_and_nothing_that_moves_late(name: str) -> None:
    agent, phase, spec = setting(name, lr=0.05)
    seen: dict[str, dict[str, Tensor]] = {}

    def watch(objective: str, agent: Any, batch: Batch, losses: Losses) -> dict[str, Tensor]:
        seen[objective] = {n: parameter.detach().clone() for n, parameter in agent.named_parameters()}
        return {}

    engine = Engine([agent])
    engine.enter(watched(phase, watch))
    state = fakes.snapshot(agent)
    engine.step(fakes.phase_batch(phase, spec=spec), 1)
    seen["end"] = fakes.snapshot(agent)
    for objective, following in zip(ORDER[name], (*ORDER[name][1:], "end"), strict=True):
        assert not fakes.changed(state, seen[objective]), objective
        expected = moves(name, objective) - {"critic.v_net" if name == "select" else ""}
        if following == "end":
            expected |= {"critic.v_net", "targets"} if name == "select" else {"targets"}
        assert fakes.changed(state, seen[following]) == below(agent, expected), objective
        state = seen[following]


def test_the_actors_weight_compares_the_new_q_with_the_old_v() -> None:
    agent, phase, spec = setting("select", lr=0.1)
    engine = Engine([agent])
    engine.enter(phase)
    batch = fakes.phase_batch(phase, spec=spec, sizes={"rl": 50, "context": 5})
    rl, z = batch.draws["rl"], agent.encoder.encode(batch).z.detach()
    old = copy.deepcopy(agent)
    logged = engine.step(batch, 1)["policy/weight"].item()

    def share(q: Any, v: Any) -> float:
        advantage = q.critic.q(rl.obs, rl.action, z)[0] - v.critic.v_net(rl.obs, z)
        return (advantage > 0).float().mean().item()

    assert logged == pytest.approx(share(agent, old))
    assert len({share(agent, old), share(agent, agent), share(old, old)}) == 3


# --- against a plain loop ---------------------------------------------------------------------------------------------


def plain_training(agent: AgentModule, phase: Phase, batches: Sequence[Batch]) -> list[dict[str, float]]:
    """The loop of the protocols' docstring on the modules themselves, with single-tensor Adam written out."""
    moments: dict[str, tuple[Tensor, Tensor, int]] = {}
    parameters = dict(agent.named_parameters())

    def update(prefix: str, optim: Optim, gradients: dict[str, Tensor]) -> None:
        for name, gradient in gradients.items():
            if not belongs(name, prefix):
                continue
            if optim.name == "sgd":
                change = optim.lr * gradient
            else:
                first, second, count = moments.get(name, (0 * gradient, 0 * gradient, 0))
                first, second, count = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2, count + 1
                moments[name] = first, second, count
                change = optim.lr * (first / (1 - 0.9**count)) / ((second / (1 - 0.999**count)).sqrt() + 1e-8)
            with torch.no_grad():
                parameters[name].copy_(parameters[name] - change)

    log = []
    for step, batch in enumerate(batches):
        first = copy.deepcopy(agent.encoder)  # z of the step's first parameters, whatever moves meanwhile
        late, totals = [], {}
        for objective in phase.objectives:
            if (step + 1) % objective.every:
                continue
            names = sorted(below(agent, set(objective.moves)))
            encoding = [name for name in names if belongs(name, "encoder")]
            latent = first.encode(batch) if encoding else first.encode(batch).detach()
            losses = objective.loss(agent, batch._replace(latent=latent))
            own = dict(first.named_parameters())
            inputs = [parameters[n] for n in names] + [own[n.removeprefix("encoder.")] for n in encoding]
            gradients = torch.autograd.grad(losses.total, inputs, allow_unused=True)
            summed: dict[str, Tensor] = {}
            for n, gradient in zip(names + encoding, gradients, strict=True):
                if gradient is not None:
                    summed[n] = summed.get(n, 0) + gradient
            totals[objective.name] = losses.total.item()
            for prefix, optim in objective.moves.items():
                if optim.late:
                    late.append((prefix, optim, summed))
                else:
                    update(prefix, optim, summed)
        for pending in late:
            update(*pending)
        with torch.no_grad():
            for track in phase.tracks:
                if (step + 1) % track.every == 0:
                    copied = dict(agent.targets[track.source.replace(".", "_")].named_parameters())
                    for n, parameter in agent.get_submodule(track.source).named_parameters():
                        copied[n].copy_((1 - track.tau) * copied[n] + track.tau * parameter)
        log.append(totals)
    return log


@METHODS
def test_the_engine_equals_a_plain_loop(name: str) -> None:
    agent, phase, spec = setting(name, lr=0.01)
    twin, twin_phase, _ = setting(name, lr=0.01)
    batches = [fakes.double(batch) for batch in fakes.method_batches(phase, spec, 7)]
    engine = Engine([fakes.double(agent)])
    engine.enter(watched(phase, lambda name, agent, batch, losses: {"total": losses.total}))
    ours = [engine.step(batch, step) for step, batch in enumerate(batches)]
    for metrics, totals in zip(ours, plain_training(fakes.double(twin), twin_phase, batches), strict=True):
        assert {n: metrics[f"{n}/total"].item() for n in totals} == pytest.approx(totals, rel=1e-8)
    theirs = fakes.snapshot(twin)
    for n, parameter in fakes.snapshot(agent).items():
        torch.testing.assert_close(parameter, theirs[n], rtol=1e-8, atol=1e-10)


# --- populations and state --------------------------------------------------------------------------------------------


@METHODS
def test_a_population_equals_its_members_alone(name: str) -> None:
    steps, seeds = 30, (0, 1, 2)
    members = [setting(name, seed=seed) for seed in seeds]
    _, phase, spec = members[0]
    population = Engine([agent for agent, _, _ in members])
    population.enter(phase)
    batches = [list(fakes.method_batches(phase, spec, steps, seed=seed)) for seed in seeds]
    together = [population.step(fakes.stacked(batch), step) for step, batch in enumerate(zip(*batches, strict=True))]
    population.sync()
    for place, seed in enumerate(seeds):
        agent, phase, _ = setting(name, seed=seed)
        alone = Engine([agent])
        alone.enter(phase)
        for step in range(steps):
            for term, value in alone.step(batches[place][step], step).items():
                got = together[step][term][place].item()
                assert got == pytest.approx(value.item(), rel=1e-4, abs=1e-5), (term, step)
        synced = fakes.snapshot(members[place][0])
        for n, parameter in agent.named_parameters():
            torch.testing.assert_close(synced[n], parameter.detach(), rtol=1e-3, atol=1e-4)


@METHODS
@pytest.mark.parametrize("count", [1, 2])
def test_training_goes_on_bit_for_bit_after_state_and_load(name: str, count: int) -> None:
    def engine(seed: int) -> Engine:
        members = [setting(name, seed=seed + place) for place in range(count)]
        made = Engine([agent for agent, _, _ in members])
        made.enter(members[0][1])
        return made

    _, phase, spec = setting(name)
    drawn = zip(*(fakes.method_batches(phase, spec, 12, seed=seed) for seed in range(count)), strict=True)
    batches = [fakes.stacked(batch) if count > 1 else batch[0] for batch in drawn]
    straight, resumed = engine(0), engine(50)
    for step in range(7):
        straight.step(batches[step], step)
    saved = [{n: value.clone() for n, value in straight.state(place).items()} for place in range(count)]
    assert not torch.equal(resumed.state()["agent/policy.net.weights.0"], saved[0]["agent/policy.net.weights.0"])
    resumed.load(saved)
    for place, state in enumerate(saved):
        assert resumed.state(place).keys() == state.keys()
        assert not fakes.changed(state, resumed.state(place))
    for step in range(7, 12):
        ours, theirs = (one.step(batches[step], step) for one in (straight, resumed))
        assert ours.keys() == theirs.keys()
        assert not fakes.changed(ours, theirs)
    for place, state in enumerate(saved):
        assert not fakes.changed(straight.state(place), resumed.state(place))
        assert fakes.changed(state, resumed.state(place))  # what was saved is not what trains on


def test_the_state_holds_every_parameter_and_every_optimisers_moments() -> None:
    agent, phase, spec = setting("brac")
    engine = Engine([agent])
    engine.enter(phase)
    engine.step(fakes.phase_batch(phase, spec=spec), 1)
    state = engine.state()
    assert {n for n in state if n.startswith("agent/")} == {f"agent/{n}" for n in agent.state_dict()}
    for prefix in ("encoder.net", "encoder.club", "critic.q_net", "critic.v_net", "policy", "actor.dual"):
        for index in range(len(below(agent, {prefix}))):
            assert {f"optimiser/{prefix}/{index}/{slot}" for slot in ("step", "exp_avg", "exp_avg_sq")} <= state.keys()
    assert state["optimiser/actor.dual/0/step"] == 3


def test_a_gradient_laid_out_otherwise_than_its_leaf_moves_it_rightly() -> None:
    """Fused optimisers walk both as flat memory, and the gradient of a transposed weight comes in the other order."""
    agent, phase, spec = setting("focal")
    weight: Any = agent.encoder.net.weights[0]
    slope = torch.arange(weight.numel(), dtype=torch.float32).reshape(weight.T.shape)

    def loss(agent: Any, batch: Batch) -> Losses:
        total = (agent.encoder.net.weights[0].T * slope).sum()
        return Losses(total, {"loss": total})

    one = Objective(name="one", loss=loss, moves={"encoder.net.weights.0": Optim(name="sgd", lr=1.0)})
    engine = Engine([agent])
    engine.enter(attrs.evolve(phase, objectives=(one,), tracks=()))
    before = weight.detach().clone()
    engine.step(next(fakes.method_batches(phase, spec, 1)), 0)
    torch.testing.assert_close(weight.detach(), before - slope.T)
