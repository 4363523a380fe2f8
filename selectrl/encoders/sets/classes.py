"""The check that an encoder with parameters for each training task has enough of them for the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from selectrl.errors import CompositionError
from selectrl.protocols import Prepare, TrainingRows
from selectrl.registry import tag

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class HasClasses(Protocol):
    """A config of an encoder with a limited number of task ids."""

    @property
    def classes(self) -> int:
        """The number of task ids, which count from 0."""
        ...


def make_class_check(config: HasClasses) -> Prepare:
    """Return a ``prepare`` without buffers.

    It raises a CompositionError if the id of a training task exceeds the classes.
    """

    def prepare(store: TrainingRows, generator: np.random.Generator) -> dict[str, Tensor]:
        last = int(store.tasks.max())
        if last >= config.classes:
            raise CompositionError(
                f"{tag(config)}.classes: expected more than {last}, the largest id of a training task, "
                f"got {config.classes}; bind {last + 1} or more"
            )
        return {}

    return prepare
