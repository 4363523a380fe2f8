"""Stops a training whose numbers are no longer finite, and says where that began and on which data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor

from selectrl.errors import RunError
from selectrl.structs import Batch
from selectrl.trainer import checkpoint

FIELDS = ("obs", "action", "reward", "next_obs")


@attrs.define(kw_only=True)
class Guard:
    """Keeps the losses of each step as tensors and looks at all of them at once, so that no step waits for a device.

    Attributes:
        phase: name of the phase.
        batch: (step) -> the batch of that step, drawn again.
        folder: the run's folder, whose last checkpoint is named.
    """

    phase: str
    batch: Callable[[int], Batch]
    folder: Path
    _seen: list[tuple[int, Mapping[str, Tensor]]] = attrs.field(factory=list, init=False)

    def watch(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Keep the losses of a step, 0-based, by name."""
        self._seen.append((step, values))

    def check_losses(self) -> None:
        """Look at the losses that were kept, and forget them.

        Raises:
            RunError: one is not finite; the sentence names the first.
        """
        named = [(step, name, value) for step, values in self._seen for name, value in values.items()]
        self._seen.clear()
        if named:
            finite = torch.stack([value.isfinite().all() for _, _, value in named]).tolist()
            for (step, name, value), sound in zip(named, finite, strict=True):
                if not sound:
                    raise RunError(self._sentence(f"{name} is {unsound(value)}", step))

    def check_state(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Look at parameters, buffers and optimiser states after a step.

        Raises:
            RunError: one is not finite; the sentence names it.
        """
        bad = next((name for name, value in state.items() if not value.isfinite().all()), None)
        if bad is not None:
            raise RunError(self._sentence(f"{bad} holds {unsound(state[bad])}", step))

    def _sentence(self, what: str, step: int) -> str:
        saved = checkpoint.newest(self.folder)
        last = f"the last checkpoint, of step {saved[1]['step']}, is sound" if saved else "there is no checkpoint yet"
        return (
            f"{what} at step {step} of phase {self.phase}, {suspects(self.batch(step))}; {last}, "
            "lower the learning rate or look at the data"
        )


def unsound(value: Tensor) -> float:
    """Return the first number of a tensor that is not finite."""
    return float(value[~value.isfinite()].flatten()[0])


def suspects(batch: Batch) -> str:
    """Say which tasks a batch is of, and which of its rows hold what is not finite or else what is largest.

    A batch of a population, which has a seed axis in front, is looked at as a whole.
    """
    tasks = sorted(set(batch.tasks.flatten().tolist()))
    worst: tuple[float, str] = (-1.0, "")
    for draw, rows in batch.draws.items():
        owners = batch.tasks[..., None].expand_as(rows.row)
        for field in FIELDS:
            value = getattr(rows, field)
            if not value.numel():
                continue
            size = torch.nan_to_num(value.abs(), nan=torch.inf).reshape(*rows.row.shape, -1).amax(-1).flatten()
            place = int(size.argmax())
            if float(size[place]) > worst[0]:
                number = float(value.reshape(size.numel(), -1)[place].abs().max())
                where = f"row {int(rows.row.flatten()[place])} of task {int(owners.flatten()[place])}"
                worst = float(size[place]), f"|{field}| = {number:.4g} in {where} (draw {draw!r})"
    most = f", where the largest input is {worst[1]}" if worst[1] else ""
    return f"on tasks {', '.join(map(str, tasks))}{most}"
