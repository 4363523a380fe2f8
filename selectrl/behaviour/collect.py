"""Collect a family's dataset: train one SAC per task, keep episodes at checkpoints, write them as one dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch

from selectrl.arrays import DoubleArray
from selectrl.behaviour.collection import LockstepCollection
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.parts import join_parts, read_parts
from selectrl.data.manifest import NAME
from selectrl.data.store import OfflineDataset, write_manifest, write_task
from selectrl.errors import DataError, InputError
from selectrl.experiment.torch_settings import torch_threads
from selectrl.files import read_json, write_json
from selectrl.locks import lock, refuse_link
from selectrl.protocols import FamilyConfig, TaskFamily
from selectrl.registry import FAMILIES
from selectrl.stopping import defer_signals

WORK = ".collecting"


class CollectProgress(NamedTuple):
    """The progress of a collection.

    Attributes:
        step: environment steps that every task has taken.
        steps: environment steps of the whole collection.
        label: the latest checkpoint kept since the command started; 0 before the first.
        returns: mean return of each task's latest checkpoint, (task,); NaN before its first.
    """

    step: int
    steps: int
    label: int
    returns: DoubleArray


def collect(
    family_config: FamilyConfig,
    behaviour: SacBehaviourConfig,
    folder: Path,
    *,
    threads: int | None = None,
    device: str = "cpu",
    save_every: int | None = None,
    progress: Callable[[CollectProgress], None] | None = None,
) -> Path:
    """Collect a dataset, or finish an interrupted one, or return at once if the dataset is complete.

    An interrupted collection continues from its last saved state and ends in the same bits, on the same machine with
    the same torch and number of threads. Until the dataset is complete, its files are in ``.collecting`` in the folder.

    Args:
        family_config: a registered family.
        behaviour: learners and checkpoints.
        folder: the dataset's folder, created if missing.
        threads: CPU threads of torch and of the simulator; None leaves torch's number unchanged and simulates on one.
        device: device of networks and replay.
        save_every: steps between two saved states; None takes the checkpoint period.
        progress: called after every step.

    Returns:
        The folder.

    Raises:
        InputError: another process collects into the folder, it holds data of another configuration or damaged data,
            the family is not registered, the configuration does not fit the family's horizon, or the device does not
            exist.
        RunError: a policy diverged, or the state of an interrupted collection is damaged or incomplete.
        Interrupted: a signal asked to stop; the last step is finished and saved.
    """
    entry = FAMILIES.find(type(family_config))
    if entry is None:
        raise InputError(f"{type(family_config).__name__} is not registered: add it to the registry of envs")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch has no CUDA device; leave --device out to use the CPU")
    family, folder = FAMILIES.build(family_config), Path(folder)
    behaviour.check_horizon(family.spec.horizon)
    record = json.loads(
        json.dumps(
            {
                "env": entry.name,
                "env_config": attrs.asdict(family_config),
                "behaviour": attrs.asdict(behaviour),
            }
        )
    )
    work = folder / WORK
    if _is_complete(folder, record) and not work.exists():  # reading needs no lock
        return folder
    with lock(folder):
        if not _is_complete(folder, record):  # checked again: another process may have collected meanwhile
            _collect(family, behaviour, folder, record, threads, device, save_every, progress)
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _collect(
    family: TaskFamily,
    behaviour: SacBehaviourConfig,
    folder: Path,
    record: dict[str, Any],
    threads: int | None,
    device: str,
    save_every: int | None,
    progress: Callable[[CollectProgress], None] | None,
) -> None:
    """Collect the missing steps of a dataset, in a folder that this process has locked."""
    work = folder / WORK
    _claim(work, record)
    with torch_threads(threads), defer_signals() as stopping:
        collection = LockstepCollection(family, behaviour, range(len(family.parameters)), work, device, threads or 1)
        collection.resume()
        stop = False
        while collection.step < behaviour.steps and not stop:
            collection.advance()
            stop = stopping()
            due = collection.step % (save_every or behaviour.period) == 0 or collection.step == behaviour.steps
            if due or stop:
                collection.save()
            if progress:
                progress(CollectProgress(collection.step, behaviour.steps, collection.label, collection.returns.copy()))
    _write_dataset(collection, folder, record)


def _is_complete(folder: Path, record: dict[str, Any]) -> bool:
    """Return whether the folder holds the complete dataset of this configuration.

    Raises:
        InputError: it holds a dataset of another configuration, or a damaged one.
    """
    if not (folder / NAME).exists():
        return False
    try:
        manifest = OfflineDataset.open(folder).manifest
    except DataError as error:
        raise DataError(f"{error} (delete {folder} first)") from error
    stored = {"env": manifest.env, "env_config": dict(manifest.env_config), "behaviour": dict(manifest.behaviour)}
    _require_same(folder, stored, record)
    return True


def _claim(work: Path, record: dict[str, Any]) -> None:
    """Record the configuration in the work folder.

    Raises:
        InputError: the folder belongs to another configuration, or is a symbolic link.
    """
    refuse_link(work)
    if (work / "config.json").exists():
        _require_same(work, read_json(work / "config.json"), record)
    else:
        write_json(work / "config.json", record)


def _require_same(folder: Path, stored: dict[str, Any], record: dict[str, Any]) -> None:
    def flatten(value: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{part}.{field}": setting for part in ("env_config", "behaviour") for field, setting in value[part].items()
        } | {"env": value["env"]}

    old, new = flatten(stored), flatten(record)
    for field in sorted(old.keys() | new.keys()):
        if old.get(field) != new.get(field):
            difference = f"{field} is {old.get(field)!r}, expected {new.get(field)!r}"
            raise InputError(
                f"{folder} holds data of another configuration ({difference}); choose another folder or delete it"
            )


def _write_dataset(collection: LockstepCollection, folder: Path, record: dict[str, Any]) -> None:
    """Write the kept episodes as the dataset, the manifest last."""
    family, config = collection.family, collection.config
    expected = dict.fromkeys(config.labels, config.episodes)
    if config.keep_warmup:
        expected[0] = config.keep_warmup
    entries = []
    for task in collection.tasks:
        parts = read_parts(collection.work, task)
        if config.keep_warmup:
            parts.insert(0, collection.replay.first_episodes(task, config.keep_warmup, family.spec.horizon))
        parameter = [float(value) for value in family.parameters[task]]
        entries.append(write_task(folder, task, parameter, join_parts(task, parts, expected)))
    write_manifest(
        folder,
        env=record["env"],
        env_id=family.env_id,
        env_config=record["env_config"],
        spec=family.spec,
        tasks=entries,
        behaviour=record["behaviour"],
        split={"train": list(family.train_tasks), "test": list(family.test_tasks)},
    )
