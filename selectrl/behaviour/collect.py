"""Collecting a family's dataset: train one SAC per task, keep episodes at checkpoints, write them as one dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from selectrl.behaviour.collection import Collection
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.parts import join, read_parts
from selectrl.data.manifest import NAME
from selectrl.data.store import OfflineDataset, write_manifest, write_task
from selectrl.errors import DataError, InputError
from selectrl.experiment.torch_settings import torch_threads
from selectrl.files import read_json, write_json
from selectrl.locks import locked, refuse_link
from selectrl.protocols import FamilyConfig, TaskFamily
from selectrl.registry import FAMILIES
from selectrl.stopping import deferred

WORK = ".collecting"


class CollectProgress(NamedTuple):
    """Where a collection stands.

    Attributes:
        step: environment steps that every task has taken.
        steps: how many it will take.
        label: the latest checkpoint kept since the command started; 0 before the first.
        returns: mean return of each task's latest checkpoint, (task,); nan before its first.
    """

    step: int
    steps: int
    label: int
    returns: NDArray[np.float64]


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
    """Collect a dataset, or finish one that was interrupted, or return at once if it is there.

    An interrupted collection goes on from its last saved state and ends in the same bits, on the same machine with the
    same torch and number of threads. Its files lie in ``.collecting`` inside the folder until the dataset is complete.

    Args:
        family_config: a registered family.
        behaviour: learners and checkpoints.
        folder: the dataset's folder, made if missing.
        threads: CPU threads of torch and of the simulator; None leaves torch's as they are and simulates on one.
        device: where networks and replay live.
        save_every: steps between two saved states; None takes the checkpoint period.
        progress: called after every step.

    Returns:
        The folder.

    Raises:
        InputError: another process collects into the folder, it holds data of another configuration or damaged data,
            the family is not registered, the configuration does not fit the family's horizon, or there is no such
            device.
        RunError: a policy diverged, or what an interrupted collection left is damaged or incomplete.
        Interrupted: a signal asked to stop; the last step is finished and saved.
    """
    entry = FAMILIES.find(type(family_config))
    if entry is None:
        raise InputError(f"{type(family_config).__name__} is not registered: add it to the registry of envs")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device; leave --device out to use the CPU")
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
    if _complete(folder, record) and not work.exists():  # data that are only read need no lock
        return folder
    with locked(folder):
        if not _complete(folder, record):  # asked again, for another process may have collected meanwhile
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
    """Collect what is missing of a dataset, in a folder that this process holds."""
    work = folder / WORK
    _claim(work, record)
    with torch_threads(threads), deferred() as stopping:
        collection = Collection(family, behaviour, range(len(family.parameters)), work, device, threads or 1)
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
    _write(collection, folder, record)


def _complete(folder: Path, record: dict[str, Any]) -> bool:
    """Say whether the folder holds the whole dataset of this configuration.

    Raises:
        InputError: it holds a dataset of another one, or a damaged one.
    """
    if not (folder / NAME).exists():
        return False
    try:
        manifest = OfflineDataset.open(folder).manifest
    except DataError as error:
        raise DataError(f"{error} (delete {folder} first)") from error
    found = {"env": manifest.env, "env_config": dict(manifest.env_config), "behaviour": dict(manifest.behaviour)}
    _same(folder, found, record)
    return True


def _claim(work: Path, record: dict[str, Any]) -> None:
    """Note in the work folder whose it is.

    Raises:
        InputError: it is that of another configuration, or a symbolic link.
    """
    refuse_link(work)
    if (work / "config.json").exists():
        _same(work, read_json(work / "config.json"), record)
    else:
        write_json(work / "config.json", record)


def _same(folder: Path, found: dict[str, Any], record: dict[str, Any]) -> None:
    def flat(value: dict[str, Any]) -> dict[str, Any]:
        return {
            f"{part}.{field}": held for part in ("env_config", "behaviour") for field, held in value[part].items()
        } | {"env": value["env"]}

    old, new = flat(found), flat(record)
    for field in sorted(old.keys() | new.keys()):
        if old.get(field) != new.get(field):
            got = f"{field} is {old.get(field)!r} there and {new.get(field)!r} here"
            raise InputError(
                f"{folder} holds data of another configuration ({got}); choose another folder or delete it"
            )


def _write(collection: Collection, folder: Path, record: dict[str, Any]) -> None:
    """Turn what was kept into the dataset, the manifest last."""
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
        entries.append(write_task(folder, task, parameter, join(task, parts, expected)))
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
