"""Stops a training whose numbers are no longer finite, and names the step and the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from selectrl.errors import RunError
from selectrl.runs import checkpoint
from selectrl.structs import Batch

FIELDS = ("obs", "action", "reward", "next_obs")


@attrs.define(kw_only=True)
class Guard:
    """Keeps the losses of each step as tensors and looks at all of them at once, so that no step waits for a device.

    Attributes:
        phase: name of the phase.
        batch: (member's place, step) -> the batch of that step, drawn again.
        folders: run directory of each member, whose last checkpoint is named.
    """

    phase: str
    batch: Callable[[int, int], Batch]
    folders: Sequence[Path]
    _kept: list[tuple[int, Mapping[str, Tensor]]] = attrs.field(factory=list, init=False)

    def watch(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Keep the losses of a step, 0-based, by name; in a population each has a seed axis."""
        self._kept.append((step, values))

    def check_losses(self) -> None:
        """Look at the losses that were kept, and forget them.

        Raises:
            RunError: one is not finite; the sentence names the first.
        """
        named = [(step, name, value) for step, values in self._kept for name, value in values.items()]
        self._kept.clear()
        if not named:  # nothing was due
            return
        table = torch.stack([value.float() for *_, value in named]).reshape(len(named), -1)
        for at, place in (~table.isfinite()).nonzero().tolist()[:1]:
            step, name, _ = named[at]
            raise RunError(self._sentence(f"{name} is {table[at, place].item()}", step, place))

    def check_state(self, step: int, place: int, state: Mapping[str, Tensor]) -> None:
        """Look at a member's parameters, buffers and optimiser states after a step, 0-based.

        Raises:
            RunError: one is not finite; the sentence names it.
        """
        bad = next((name for name, value in state.items() if not value.isfinite().all()), None)
        if bad is not None:
            value = state[bad][~state[bad].isfinite()][0].item()
            raise RunError(self._sentence(f"{bad} holds {value}", step, place))

    def _sentence(self, what: str, step: int, place: int) -> str:
        steps = checkpoint.read_step(self.folders[place])
        last = f"the last checkpoint, of step {steps}, is sound" if steps else "there is no checkpoint yet"
        return (
            f"{what} after {step + 1} steps of phase {self.phase}, {suspects(self.batch(place, step))}; {last}, lower "
            "the learning rate or look at the data before it"
        )


def suspects(batch: Batch) -> str:
    """Name the tasks of a batch, and the row with the first value that is not finite, or else the largest value."""
    worst, where = -1.0, "no rows"
    for draw, rows in batch.draws.items():
        for field in FIELDS:
            value = getattr(rows, field)
            if value.numel():
                size = value.abs().nan_to_num(nan=torch.inf, posinf=torch.inf).reshape(*rows.row.shape, -1).amax(-1)
                task, at = divmod(int(size.argmax()), size.shape[1])
                if size[task, at] > worst:
                    worst = float(size[task, at])
                    number = float(value[task, at].abs().max())
                    where = f"|{field}| {number:.4g} in row {int(rows.row[task, at])} of task {int(batch.tasks[task])}"
                    where += f" (draw {draw})"
    tasks = ", ".join(map(str, sorted(set(batch.tasks.tolist()))))
    return f"on a batch of tasks {tasks}, where the largest input is {where}"
