"""The implementation of ``selectrl.collect``: from names to a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from selectrl.fields import check_name
from selectrl.gin_edge import Collection, as_layer, build_collection, shipped_layer, user_layers
from selectrl.launch.local import require_cores
from selectrl.launch.verdict import explain_errors
from selectrl.protocols import FamilyConfig
from selectrl.registry import registered_name

if TYPE_CHECKING:
    from selectrl.data.store import OfflineDataset


def compose_collection(
    env: str | FamilyConfig, preset: str, file: Path | str | None = None, settings: Sequence[str] = ()
) -> Collection:
    """Return a task family and the behaviour policy settings of its dataset.

    Raises:
        InputError: a name, a binding or a value is wrong.
    """
    if isinstance(env, str):
        family = shipped_layer("envs", env)
    else:
        own = as_layer(env)
        family = attrs.evolve(own, text=f"collection.env = @{own.name}()\n{own.text}")
    above = user_layers(Path(file) if file else None, settings)
    return build_collection([family, shipped_layer("behaviour", preset), *above])


def dataset_folder(collection: Collection, name: str, data: Path | str) -> Path:
    """Return the folder of a dataset.

    Raises:
        InputError: the name is not valid for a folder.
    """
    check_name(name, "name of the dataset")
    return Path(data) / registered_name(collection.env) / name


def fill_dataset(
    collection: Collection,
    name: str,
    data: Path | str,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[Any], None] | None = None,
) -> OfflineDataset:
    """Collect a dataset, or the part of it that is missing, and open it; see :func:`selectrl.api.runs.collect`."""
    require_cores(threads)
    with explain_errors():
        from selectrl.behaviour.collect import collect
        from selectrl.data.store import OfflineDataset

        folder = dataset_folder(collection, name, data)
        collect(collection.env, collection.behaviour, folder, threads=threads, device=device, progress=progress)
        return OfflineDataset.open(folder)
