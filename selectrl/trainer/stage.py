"""One phase of a training: entering it, and its steps."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from torch import Tensor
from torch.profiler import record_function

from selectrl.data.rows import RowStore
from selectrl.data.sampler import PhaseSampler, Sampler
from selectrl.protocols import Phase
from selectrl.streams import stream
from selectrl.structs import Batch
from selectrl.trainer.engine import Engine, stacked


@attrs.frozen(kw_only=True, eq=False)
class Stage:
    """Enters one phase, for all agents of an engine, and takes its steps.

    It is used as follows::

        stage = Stage(engine=engine, phases=phases, store=store, samplers=samplers)
        stage.enter()
        for step in range(stage.phase.steps):
            losses = stage.step(step)

    Attributes:
        engine: parameters and optimisers of all agents.
        phases: the phase as each agent declares it, in the engine's order: an agent prepares with its own parts,
            while the losses are those of the first, on every agent's parameters.
        store: rows of the training tasks, which the phase may prepare from.
        samplers: each agent's.
    """

    engine: Engine
    phases: Sequence[Phase]
    store: RowStore
    samplers: Sequence[Sampler]
    _draws: tuple[PhaseSampler, ...] = attrs.field(init=False, repr=False)

    @_draws.default
    def _of_each_agent(self) -> tuple[PhaseSampler, ...]:
        return tuple(sampler.phase(self.phase) for sampler in self.samplers)

    @property
    def phase(self) -> Phase:
        """The phase of the first agent, whose losses the engine runs."""
        return self.phases[0]

    def enter(self) -> None:
        """Prepare the phase, each agent with its own parts and stream, and let the engine enter it.

        Raises:
            CompositionError: the engine cannot run the phase, see :meth:`Engine.enter`.
            RunError: a part refuses the parameters that earlier phases trained.
        """
        if self.phase.prepare is None:
            self.engine.enter(self.phase)
            return
        self.engine.sync()
        streams = [stream(sampler.seed, self.phase.name, "prepare") for sampler in self.samplers]
        buffers = [
            phase.prepare(self.store, generator)
            for phase, generator in zip(self.phases, streams, strict=True)
            if phase.prepare
        ]
        self.engine.enter(self.phase, stacked(buffers))

    def batch(self, place: int, step: int) -> Batch:
        """Return the batch of the agent at a place of the engine, of a 0-based step."""
        return self._draws[place].batch(step)

    def step(self, step: int) -> dict[str, Tensor]:
        """Draw the batches of a 0-based step and take it; return its losses, see :meth:`Engine.step`."""
        with record_function("draw"):
            batch = stacked([self.batch(place, step) for place in range(len(self._draws))])
        return self.engine.step(batch, step)
