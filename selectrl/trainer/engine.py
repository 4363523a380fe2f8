"""One training step, for one agent or for a population of agents at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from selectrl.errors import CompositionError
from selectrl.protocols import Objective, Optim, Phase
from selectrl.structs import Batch, Latent, Losses
from selectrl.trainer.agent import Agent, belongs, target_name
from selectrl.trainer.refusals import check_phase


@attrs.frozen
class Plan:
    """An objective with the names of the parameters that it moves, by prefix."""

    objective: Objective
    groups: Mapping[str, tuple[str, ...]]
    encodes: bool  # it moves encoder parameters, so it sees the latent with its graph

    @property
    def moved(self) -> list[str]:
        """All parameters that the objective moves."""
        return [name for group in self.groups.values() for name in group]


def encode(agent: Agent, batch: Batch) -> Latent:
    """Run the agent's encoder on a batch."""
    return cast(Latent, cast(Any, agent.encoder).encode(batch))


def laid_out(gradient: Tensor, leaf: Tensor) -> Tensor:
    """Return a gradient with its leaf's memory layout: fused optimisers go through both as flat memory."""
    return gradient if gradient.stride() == leaf.stride() else torch.empty_like(leaf).copy_(gradient)


class Engine:
    """Holds parameters and optimisers, and steps phases.

    Only the forward is substituted: parts run as plain code on one agent's parameters (``functional_call``), inside
    ``vmap`` for a population. Gradients come from one ``autograd.grad`` per objective; optimisers are ordinary ones on
    (stacked) leaves. Parameters that an objective does not move enter its loss detached.

    Args:
        agents: agents of one composition that differ in their parameters only; more than one is a population, whose
            tensors gain a leading seed axis.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.agent, self.agents = agents[0], tuple(agents)
        self.population = len(agents) > 1
        states = [{**dict(a.named_parameters()), **dict(a.named_buffers())} for a in agents]
        self.parameters = tuple(name for name, _ in self.agent.named_parameters())
        self.leaves: dict[str, Tensor] = states[0]
        if self.population:
            self.leaves = {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
        for name in self.parameters:
            self.leaves[name].requires_grad_(not name.startswith("targets."))
        self.frozen = {name: leaf.detach() for name, leaf in self.leaves.items()}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.optims: dict[str, Optim] = {}
        self.phase = Phase(name="", steps=0)
        self.plans: tuple[Plan, ...] = ()

    def enter(self, phase: Phase, buffers: Mapping[str, Tensor] | None = None) -> None:
        """Make a phase the one that :meth:`step` runs.

        Args:
            phase: the phase.
            buffers: values of non-persistent buffers that its ``prepare`` made, stacked for a population.

        Raises:
            CompositionError: a prefix moves nothing, two prefixes overlap, or two objectives move the encoder alike.
        """
        self.phase = phase
        self.plans = tuple(self._plan(objective) for objective in phase.objectives)
        check_phase(phase, self.leaves)
        for name, value in (buffers or {}).items():
            if name not in self.leaves or name in self.parameters:
                raise CompositionError(f"phase {phase.name}: prepare() returned {name!r}, which is no buffer")
            self.leaves[name] = self.frozen[name] = value

    def _plan(self, objective: Objective) -> Plan:
        groups = {}
        for prefix, optim in objective.moves.items():
            names = tuple(name for name in self.parameters if belongs(name, prefix))
            if not names:
                raise CompositionError(f"objective {objective.name} moves {prefix!r}, which matches no parameter")
            self._add_optimiser(prefix, optim, names)
            groups[prefix] = names
        return Plan(objective, groups, any(belongs(prefix, "encoder") for prefix in groups))

    def _add_optimiser(self, prefix: str, optim: Optim, names: Iterable[str]) -> None:
        for other, settings in self.optims.items():
            if other == prefix and settings != optim:
                raise CompositionError(f"{prefix!r} is moved with two settings, {settings} and {optim}; bind one")
            if other != prefix and (belongs(other, prefix) or belongs(prefix, other)):
                raise CompositionError(f"prefixes {other!r} and {prefix!r} overlap; a parameter has one optimiser")
        if prefix not in self.optims:
            leaves = [self.leaves[name] for name in names]
            make = torch.optim.Adam if optim.name == "adam" else torch.optim.SGD
            self.optimisers[prefix] = make(leaves, lr=optim.lr, fused=True)
            self.optims[prefix] = optim

    def _call(self, function: Callable[..., Any], moved: Iterable[str], *arguments: Any) -> Any:
        """Run a function of (agent, …) with the moved parameters attached and all others frozen."""
        return self._substitute(function, {name: self.leaves[name] for name in moved}, *arguments)

    def _encode(self, moved: Iterable[str], batch: Batch) -> Latent:
        """Encode on copies: a loss differentiates this graph even when an earlier one has moved the parameters."""
        return cast(Latent, self._substitute(encode, {name: self.leaves[name].clone() for name in moved}, batch))

    def _substitute(self, function: Callable[..., Any], attached: Mapping[str, Tensor], *arguments: Any) -> Any:
        values = {**self.frozen, **attached}

        def call(values: dict[str, Tensor], *arguments: Any) -> Any:
            return functional_call(self.agent, values, (function, *arguments), tie_weights=False)

        return vmap(call)(values, *arguments) if self.population else call(values, *arguments)

    def step(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Run one step of the phase.

        Args:
            batch: draws and noise of this step, with a leading seed axis for a population.
            step: 0-based step within the phase.

        Returns:
            Logged terms by ``objective/term``, still tensors, with a seed axis for a population.
        """
        due = [plan for plan in self.plans if (step + 1) % plan.objective.every == 0]
        attached = [plan for plan in due if plan.encodes]
        if self.phase.encodes:
            moved = [name for plan in attached for name in plan.moved if belongs(name, "encoder")]
            batch = batch._replace(latent=self._encode(moved, batch))
        cut = batch._replace(latent=batch.latent.detach())
        metrics: dict[str, Tensor] = {}
        late: list[str] = []
        for plan in due:
            losses: Losses = self._call(plan.objective.loss, plan.moved, batch if plan.encodes else cut)
            leaves = [self.leaves[name] for name in plan.moved]
            more = plan.encodes and plan is not attached[-1]
            gradients = torch.autograd.grad(losses.total.sum(), leaves, retain_graph=more, allow_unused=True)
            for name, leaf, gradient in zip(plan.moved, leaves, gradients, strict=True):
                if gradient is None:
                    raise CompositionError(
                        f"objective {plan.objective.name} moves {name!r}, which its loss never reads; narrow the prefix"
                    )
                leaf.grad = laid_out(gradient, leaf)
            for prefix in plan.groups:
                if self.optims[prefix].late:
                    late.append(prefix)
                else:
                    self.optimisers[prefix].step()
            metrics |= {f"{plan.objective.name}/{term}": value.detach() for term, value in losses.terms.items()}
        for prefix in late:
            self.optimisers[prefix].step()
        self._track(step)
        return metrics

    def _track(self, step: int) -> None:
        with torch.no_grad():
            for track in self.phase.tracks:
                if (step + 1) % track.every == 0:
                    copy = f"targets.{target_name(track.source)}"
                    names = [name for name in self.parameters if belongs(name, track.source)]
                    sources = [self.frozen[name] for name in names]
                    targets = [self.frozen[copy + name.removeprefix(track.source)] for name in names]
                    torch._foreach_lerp_(targets, sources, track.tau)

    def sync(self) -> None:
        """Copy a population's parameters back into its agents; a single agent holds its own already."""
        if self.population:
            with torch.no_grad():
                for i, agent in enumerate(self.agents):
                    for name, value in agent.state_dict().items():  # a phase's own buffers stay here
                        value.copy_(self.leaves[name][i])

    def state(self) -> dict[str, Tensor]:
        """Return all parameters, persistent buffers and optimiser states as flat tensors by name."""
        persistent = self.agent.state_dict().keys()
        state = {f"agent/{name}": self.frozen[name] for name in persistent}
        for prefix, optimiser in self.optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                state |= {f"optimiser/{prefix}/{index}/{k}": v for k, v in values.items() if isinstance(v, Tensor)}
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` returned; phases whose optimisers it holds must have been entered before.

        Raises:
            CompositionError: names or shapes do not match this composition.
        """
        expected = {f"agent/{name}": self.frozen[name].shape for name in self.agent.state_dict()}
        got = {name: value.shape for name, value in state.items() if name.startswith("agent/")}
        odd = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
        if odd:
            first = odd[0].removeprefix("agent/")
            raise CompositionError(f"the checkpoint's parameters differ from this composition's, first at {first!r}")
        with torch.no_grad():
            for name in got:
                self.frozen[name.removeprefix("agent/")].copy_(state[name])
        for prefix, optimiser in self.optimisers.items():
            own = optimiser.state_dict()
            slots: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                if name.startswith(f"optimiser/{prefix}/"):
                    _, _, index, slot = name.split("/")
                    slots.setdefault(int(index), {})[slot] = value.clone()
            optimiser.load_state_dict({"state": slots, "param_groups": own["param_groups"]})
