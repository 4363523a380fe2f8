"""One training step, for one agent or for a population of agents at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import attrs
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.profiler import record_function
from torch.utils._pytree import tree_map

from selectrl.errors import CompositionError
from selectrl.protocols import Objective, Optim, Phase, Track
from selectrl.structs import Batch, Latent, Losses
from selectrl.trainer.agent import AgentModule, belongs, target_name
from selectrl.trainer.graphs import Graphs
from selectrl.trainer.refusals import check_phase

T = TypeVar("T")
Forward = Callable[..., Any]  # (values by parameter name, …) -> what the function gives for an agent with these values


@attrs.frozen(eq=False)
class Plan:
    """An objective with the names of the parameters that it moves, by prefix."""

    objective: Objective
    forward: Forward
    groups: Mapping[str, tuple[str, ...]]
    encodes: bool  # it moves encoder parameters, so it sees the latent with its graph

    @property
    def moved(self) -> list[str]:
        """All parameters that the objective moves."""
        return [name for group in self.groups.values() for name in group]


@attrs.frozen
class Due:
    """The work of one step."""

    plans: tuple[Plan, ...]
    tracks: tuple[Track, ...]


def encode(agent: AgentModule, batch: Batch) -> Latent:
    """Run the agent's encoder on a batch."""
    return agent.encoder.encode(batch)


def laid_out(gradient: Tensor, leaf: Tensor) -> Tensor:
    """Return a gradient with its leaf's memory layout: fused optimisers go through both as flat memory."""
    return gradient if gradient.stride() == leaf.stride() else torch.empty_like(leaf).copy_(gradient)


def stacked(members: Sequence[T]) -> T:
    """Return nests of tensors as one with a leading seed axis; a single member has none."""
    return cast(T, tree_map(lambda *values: torch.stack(values), *members)) if len(members) > 1 else members[0]


def fetched(values: Mapping[str, Tensor], members: int) -> list[dict[str, float]]:
    """Return logged terms as numbers, for each member; tensors of a device come to the host in one transfer."""
    table = torch.stack([value.float() for value in values.values()]).reshape(-1, members).T.tolist()
    return [dict(zip(values, row, strict=True)) for row in table]


class Engine:
    """Holds parameters and optimisers, and steps phases.

    Only the forward is substituted: parts run as plain code on one agent's parameters (``functional_call``), inside
    ``vmap`` for a population, under autocast in half precision, through a compiler if one is named. Gradients come from
    one ``autograd.grad`` per objective; optimisers are ordinary ones on (stacked) leaves. Parameters that an objective
    does not move enter its loss detached. A compiled step on CUDA is captured, too: one graph for each set of
    objectives and tracks that are due together.

    Args:
        agents: agents of one composition that differ in their parameters only; more than one is a population, whose
            tensors gain a leading seed axis. They stay on the CPU: on another device, or in a population, they hold
            the trained parameters only after :meth:`sync`.
        precision: ``bf16`` multiplies in half precision inside networks; parameters, losses and moments stay float32.
            Others change nothing here: ``tf32`` is a setting of torch's that holds while it trains.
        device: where parameters, moments and batches live.
        compiler: backend of ``torch.compile`` for every loss; none runs them as they are.
    """

    def __init__(
        self,
        agents: Sequence[AgentModule],
        *,
        precision: str = "fp32",
        device: torch.device | str = "cpu",
        compiler: str | None = None,
    ) -> None:
        self.agent, self.agents = agents[0], tuple(agents)
        self.device, self.half, self.compiler = torch.device(device), precision == "bf16", compiler
        self.population = len(agents) > 1
        self.apart = self.population or self.device.type != "cpu"  # the leaves are not the agents' own
        states = [{**dict(a.named_parameters()), **dict(a.named_buffers())} for a in agents]
        self.parameters = tuple(name for name, _ in self.agent.named_parameters())
        self.persistent = tuple(self.agent.state_dict())
        self.leaves: dict[str, Tensor] = states[0]
        if self.apart:
            detached = [{name: value.detach() for name, value in state.items()} for state in states]
            self.leaves = {name: value.to(self.device) for name, value in stacked(detached).items()}
        for name in self.parameters:
            self.leaves[name].requires_grad_(not name.startswith("targets."))
        self.frozen = {name: leaf.detach() for name, leaf in self.leaves.items()}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.optims: dict[str, Optim] = {}
        self.phase = Phase(name="", steps=0)
        self.plans: tuple[Plan, ...] = ()
        self._encode = self._forward(encode)
        self._run: Callable[[Due, Batch], dict[str, Tensor]] = self._eager

    def enter(self, phase: Phase, buffers: Mapping[str, Tensor] | None = None) -> None:
        """Make a phase the one that :meth:`step` runs.

        Args:
            phase: the phase.
            buffers: values of buffers that its ``prepare`` made, stacked for a population.

        Raises:
            CompositionError: a prefix moves nothing, two prefixes overlap, or two objectives move the encoder alike.
        """
        self.phase = phase
        self.plans = tuple(self._plan(objective) for objective in phase.objectives)
        self._run = Graphs(self._eager) if self.compiler and self.device.type == "cuda" else self._eager
        check_phase(phase, self.leaves)
        for name, value in (buffers or {}).items():
            if name not in self.leaves or name in self.parameters:
                raise CompositionError(f"phase {phase.name}: prepare() returned {name!r}, which is no buffer")
            if name in self.persistent:
                self.frozen[name].copy_(value)  # in place, so that an agent on the CPU holds what its checkpoint will
            else:
                self.leaves[name] = self.frozen[name] = value.to(self.device)

    def _plan(self, objective: Objective) -> Plan:
        groups = {}
        for prefix, optim in objective.moves.items():
            names = tuple(name for name in self.parameters if belongs(name, prefix))
            if not names:
                raise CompositionError(f"objective {objective.name} moves {prefix!r}, which matches no parameter")
            self._add_optimiser(prefix, optim, names)
            groups[prefix] = names
        encodes = any(belongs(prefix, "encoder") for prefix in groups)
        return Plan(objective, self._forward(objective.loss), groups, encodes)

    def _add_optimiser(self, prefix: str, optim: Optim, names: Iterable[str]) -> None:
        for other, settings in self.optims.items():
            if other == prefix and settings != optim:
                raise CompositionError(f"{prefix!r} is moved with two settings, {settings} and {optim}; bind one")
            if other != prefix and (belongs(other, prefix) or belongs(prefix, other)):
                raise CompositionError(f"prefixes {other!r} and {prefix!r} overlap; a parameter has one optimiser")
        if prefix not in self.optims:
            leaves, on_cuda = [self.leaves[name] for name in names], self.device.type == "cuda"
            self.optimisers[prefix] = (
                torch.optim.Adam(leaves, lr=optim.lr, fused=True, capturable=on_cuda)
                if optim.name == "adam"
                else torch.optim.SGD(leaves, lr=optim.lr, fused=True)
            )
            self.optims[prefix] = optim

    def _forward(self, function: Callable[..., Any]) -> Forward:
        """Return a function of (agent, …) as one of (values, …), for one agent or stacked ones."""

        def call(values: dict[str, Tensor], *arguments: Any) -> Any:
            return functional_call(self.agent, values, (function, *arguments), tie_weights=False)

        run: Forward = vmap(call) if self.population else call
        if self.compiler:
            settings = {"fullgraph": True, "dynamic": False, "backend": self.compiler, "isolate_recompiles": True}
            run = cast(Any, torch.compile)(run, **settings)  # whose type stubs lack the last argument
        return run

    def _products(self) -> AbstractContextManager[Any]:
        """Within it, matrices are multiplied in the engine's precision."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    def step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Run one step of the phase.

        Args:
            batch: draws and noise of this step, with a leading seed axis for a population.
            step: 0-based step within the phase.

        Returns:
            Logged terms by ``objective/term``, still tensors, with a seed axis for a population.
        """
        plans = tuple(plan for plan in self.plans if (step + 1) % plan.objective.every == 0)
        tracks = tuple(track for track in self.phase.tracks if (step + 1) % track.every == 0)
        return self._run(Due(plans, tracks), batch)

    def _eager(self, due: Due, batch: Batch) -> dict[str, Tensor]:
        """Run all that touches tensors in a step."""
        attached = [plan for plan in due.plans if plan.encodes]
        with record_function("encode"), self._products():
            if self.phase.encodes:
                moved = [name for plan in attached for name in plan.moved if belongs(name, "encoder")]
                # copies, because a loss differentiates this graph even when an earlier one has moved the parameters
                copies = {name: self.leaves[name].clone() for name in moved}
                batch = batch._replace(latent=self._encode({**self.frozen, **copies}, batch))
            cut = batch._replace(latent=batch.latent.detach())
        metrics: dict[str, Tensor] = {}
        late: list[str] = []
        for plan in due.plans:
            leaves = {name: self.leaves[name] for name in plan.moved}
            with record_function(f"objective {plan.objective.name}"):
                with self._products():
                    losses: Losses = plan.forward({**self.frozen, **leaves}, batch if plan.encodes else cut)
                self._differentiate(plan, leaves, losses, keep=plan.encodes and plan is not attached[-1])
            for prefix in plan.groups:
                if self.optims[prefix].late:
                    late.append(prefix)
                else:
                    self._move(prefix)
            metrics |= {f"{plan.objective.name}/{term}": value.detach() for term, value in losses.terms.items()}
        for prefix in late:
            self._move(prefix)
        self._track(due.tracks)
        return metrics

    def _differentiate(self, plan: Plan, leaves: Mapping[str, Tensor], losses: Losses, *, keep: bool) -> None:
        """Put an objective's gradients on its leaves; ``keep`` the graph that a later one shares."""
        gradients = torch.autograd.grad(losses.total.sum(), list(leaves.values()), retain_graph=keep, allow_unused=True)
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            if gradient is None:
                raise CompositionError(
                    f"objective {plan.objective.name} moves {name!r}, which its loss never reads; narrow the prefix"
                )
            leaf.grad = laid_out(gradient, leaf)

    def _move(self, prefix: str) -> None:
        with record_function(f"optimiser {prefix}"):
            self.optimisers[prefix].step()

    def _track(self, tracks: Iterable[Track]) -> None:
        for track in tracks:
            with record_function(f"track {track.source}"), torch.no_grad():
                copy = f"targets.{target_name(track.source)}"
                names = [name for name in self.parameters if belongs(name, track.source)]
                sources = [self.frozen[name] for name in names]
                targets = [self.frozen[copy + name.removeprefix(track.source)] for name in names]
                torch._foreach_lerp_(targets, sources, track.tau)

    def member(self, index: int, value: Tensor) -> Tensor:
        """Return an agent's share of a tensor that may have a seed axis."""
        return value[index] if self.population else value

    def sync(self) -> None:
        """Copy trained parameters back into the agents; a single agent on the CPU holds its own already."""
        if self.apart:
            with torch.no_grad():
                for i, agent in enumerate(self.agents):
                    for name, value in agent.state_dict().items():  # a phase's own buffers stay here
                        value.copy_(self.member(i, self.leaves[name]))

    def state(self, index: int = 0) -> dict[str, Tensor]:
        """Return one agent's parameters, persistent buffers and optimiser states as flat tensors by name.

        They are those of the same agent trained alone, so it can continue alone, in this population or in another.
        """
        state = {f"agent/{name}": self.member(index, self.frozen[name]) for name in self.persistent}
        for prefix, optimiser in self.optimisers.items():
            for place, values in optimiser.state_dict()["state"].items():
                for slot, value in values.items():
                    if isinstance(value, Tensor):  # the count of steps is one for all
                        own = self.member(index, value) if value.dim() else value
                        state[f"optimiser/{prefix}/{place}/{slot}"] = own
        return {name: value.cpu() for name, value in state.items()}

    def load(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Load the states that :meth:`state` returned; phases whose optimisers they hold have been entered.

        Raises:
            CompositionError: names or shapes do not match this composition.
        """
        expected = {f"agent/{name}": value.shape for name, value in self.agent.state_dict().items()}
        for state in states:
            got = {name: value.shape for name, value in state.items() if name.startswith("agent/")}
            unequal = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
            if unequal:
                first = unequal[0].removeprefix("agent/")
                raise CompositionError(
                    f"the checkpoint's parameters differ from this composition's, first at {first!r}"
                )
        together = {name: [state[name] for state in states] for name in states[0]}
        with torch.no_grad():
            for name in expected:
                self.frozen[name.removeprefix("agent/")].copy_(stacked(together[name]))
        for prefix, optimiser in self.optimisers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for name, values in together.items():
                if name.startswith(f"optimiser/{prefix}/"):
                    _, _, place, slot = name.split("/")
                    value = stacked(values) if values[0].dim() else values[0]
                    slots.setdefault(int(place), {})[slot] = value.clone()
            optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
