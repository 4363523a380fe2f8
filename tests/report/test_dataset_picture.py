from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selectrl.data.manifest import read_manifest
from selectrl.data.store import Episodes, write_manifest, write_task
from selectrl.report.figures.dataset import draw_dataset, returns_of
from selectrl.structs import Spec

LABELS = ((0, 200, 10_000), (0, 10_000))  # of task 3 and of task 5, which lacks one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks of one-step episodes; the reward is 100 * task + label, and 1 less in the second of each label."""
    entries = []
    for task, labels in zip((3, 5), LABELS, strict=True):
        label = np.repeat(labels, 2)
        steps = (len(label), 1)
        reward = (100 * task + label - np.arange(len(label)) % 2).astype("f4").reshape(steps)
        zeros = [np.zeros((len(label), *shape), "f4") for shape in ((2, 1), (1, 1))]
        length = np.ones(len(label), np.int64)
        episodes = Episodes(*zeros, reward, np.zeros(steps, bool), length, label.astype(np.int64))
        entries.append(write_task(tmp_path / "set", task, [float(task)], episodes))
    spec, split = Spec(obs=1, action=1, horizon=1, dynamics_vary=False), {"train": [3], "test": [5]}
    common = {"env": "a_$long_name$" * 4, "env_id": "E-v0", "env_config": {}, "behaviour": {}, "source": "elsewhere"}
    write_manifest(tmp_path / "set", spec=spec, tasks=entries, split=split, **common)
    return tmp_path / "set"


def test_numbers_by_task_and_label(folder: Path) -> None:
    labels, table = returns_of(read_manifest(folder / "manifest.json"))
    assert labels == [0, 200, 10_000]
    # the mean of x and x - 1; task 5 has no episode of label 200
    np.testing.assert_array_equal(table, [[299.5, 499.5, 10299.5], [499.5, np.nan, 10499.5]])


def test_words_and_marks_of_the_picture(folder: Path) -> None:
    manifest = read_manifest(folder / "manifest.json")
    for name in ("a.svg", "b.svg"):
        draw_dataset(manifest, folder / name)
    text = (folder / "a.svg").read_text()
    for words in (
        "2 tasks, 10 episodes, elsewhere",
        "random",
        "10k",
        "is a test task; × has no episodes",
        "step of the behaviour",
    ):
        assert words in text, words
    assert text == (folder / "b.svg").read_text()
