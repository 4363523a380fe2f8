"""``selectrl render``: the film shows the very meta-test that ``selectrl evaluate`` makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BUDGET, HORIZON = 40, 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, call: Callable[..., Any], small: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("films") / "runs"
    assert call("train", *small(), "--seeds", "2", "--jobs", "1", "--out", folder, "--name", "s").code == 0
    return folder / "point_robot" / "s"


@pytest.fixture(scope="module")
def film(runs: Path, call: Callable[..., Any], data: Path) -> Iterator[tuple[Image.Image, dict[str, Any]]]:
    made = call("render", runs, "--data", data, "--out", runs / "a.gif", "--every", "4", "--tasks", "6,2", "--json")
    assert made.code == 0, made.err
    with Image.open(runs / "a.gif") as picture:
        yield picture, json.loads(made.out)


def test_its_returns_are_those_that_evaluate_reports(
    film: tuple[Image.Image, dict[str, Any]], runs: Path, call: Callable[..., Any], data: Path
) -> None:
    assert call("evaluate", runs, "--data", data, "--label", "again").code == 0
    for seed, shown in enumerate(film[1]["runs"]):
        record = json.loads((runs / f"seed{seed}" / "evaluations" / "again.json").read_text())
        places = [record["tasks"].index(task) for task in (6, 2)]
        assert shown["returns"] == np.array(record["returns"])[places, 0, -1].tolist()
    assert film[1]["runs"][0]["returns"] != film[1]["runs"][1]["returns"]


def test_it_holds_the_exploration_and_the_episode_after_it(film: tuple[Image.Image, dict[str, Any]]) -> None:
    picture, said = film
    assert said["frames"] == BUDGET // 4 + HORIZON
    assert said["tasks"] == [6, 2]
    assert picture.size == (14 + 2 * 270, 62 + 26 + 2 * (256 + 52) + 14)
    frames = []
    for i in range(said["frames"]):
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
    cells = [[f[114 + i * 308 :, 14 + j * 270 :][:256, :256] for i in (0, 1) for j in (0, 1)] for f in frames]
    for cell in zip(*cells, strict=True):
        for first, last in ((0, BUDGET // 8 - 1), (BUDGET // 4, -1)):  # of the first block and of the last episode
            assert np.abs(cell[last] - cell[first]).max() > 60
    assert np.abs(cells[-1][0] - cells[-1][2]).max() > 60  # two tasks, two goals


def test_an_mp4(tmp_path: Path, call: Callable[..., Any], runs: Path, data: Path) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="MP4 needs the extra `film`")
    made = call("render", runs / "seed0", "--data", data, "--out", tmp_path / "a.mp4", "--every", "10", "--fps", "5")
    assert made.code == 0, made.err
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no run given"),
        (("RUN", "--out", "film.png"), "ends in .gif or .mp4"),
        (("RUN", "--tasks", "0"), "tasks to film are [0]; choose from the unseen ones, [2, 6]"),
        (("RUN", "--tasks", "a,b"), "expected task ids such as 2,18,34"),
        (("RUN", "--budget", "50"), "multiple of the horizon 20"),
        (("nowhere",), "no run at or below nowhere"),
    ],
)
def test_bad_input_ends_in_one_sentence(
    arguments: tuple[str, ...], said: str, runs: Path, call: Callable[..., Any], data: Path
) -> None:
    given = [runs / "seed0" if word == "RUN" else word for word in arguments]
    assert said in call("render", *given, "--data", data).sentence(2)
