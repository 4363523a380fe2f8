"""Trees of pickled episodes as CSRO's and FOCAL's collectors write them, made from a family's own worlds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from selectrl.protocols import TaskFamily


def write_rows(path: Path, rows: list[list[Any]], protocol: int = 3) -> Path:
    """Write what ``np.save(path, np.array(rows))`` wrote before NumPy refused ragged arrays."""
    table = np.empty((len(rows), 4), object)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            table[i, j] = cell
    content = pickle.dumps(table, protocol)
    if protocol == 3:  # that of the published files, whose NumPy had no underscore here
        content = content.replace(b"cnumpy._core.", b"cnumpy.core.")
    return write_pickle(path, content, len(rows))


def write_pickle(path: Path, content: bytes, rows: int, columns: int = 4, descr: str = "|O") -> Path:
    """Write any pickle behind a proper header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        header = {"descr": descr, "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(content)
    return path


def play(family: TaskFamily, task: int, rng: np.random.Generator) -> list[list[Any]]:
    """Return one random episode as rows [obs, action, reward, next_obs]; its first observation is of integers."""
    worlds = family.worlds([task])
    obs, _ = worlds.reset(seed=[0])
    before: Any = np.zeros(family.spec.obs, np.int64)
    rows = []
    for _ in range(family.spec.horizon):
        action = rng.uniform(-1, 1, family.spec.action).astype(np.float32)
        obs, reward, *_ = worlds.step(action[None])
        after = obs[0].astype(np.float64)
        rows.append([before, action, np.float64(reward[0]), after])
        before = after
    return rows


def write_tree(
    folder: Path,
    family: TaskFamily,
    *,
    labels: tuple[int, ...] = (2200, 2400),
    episodes: int = 2,
    kind: str = "evalsample",
) -> Path:
    """Write a whole tree."""
    rng = np.random.default_rng(0)
    for task in range(len(family.parameters)):
        for label in labels:
            for k in range(episodes):
                write_rows(folder / f"goal_idx{task}" / f"trj_{kind}{k}_step{label}.npy", play(family, task, rng))
    return folder
