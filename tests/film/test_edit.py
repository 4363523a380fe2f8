"""Frames of a film: where pictures and captions are, how far the bar is, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from selectrl.errors import InputError
from selectrl.film.edit import DONE, GAP, GROUND, HEAD, HOLD, LABEL, RULE, frame, frames, write
from selectrl.film.shoot import Reel, Shot

HEIGHT, WIDTH, BUDGET = 6, 200, 40
COLOURS = np.array([[250, 10, 20], [30, 240, 50]], np.uint8)  # of the pictures of each task


def shot(phase: str, step: int, gained: tuple[float, float] = (-1.25, 3.0)) -> Shot:
    pictures = np.broadcast_to(COLOURS[:, None, None], (2, HEIGHT, WIDTH, 3)).copy()
    return Shot(phase=phase, step=step, pictures=pictures, gained=np.array(gained))


def reel(name: str = "select, seed 0", *, steps: tuple[int, ...] = (10, 20), **changed: Any) -> Reel:
    shots = [*(shot("explore", step) for step in steps), shot("score", 1)]
    fields: dict[str, Any] = {
        "name": name,
        "tasks": (6, 2),
        "parameters": np.array([[0.5, -1.0], [1.0, 0.0]]),
        "budget": BUDGET,
        "fps": 10,
        "shots": shots,
        "returns": np.array([1.0, 2.0]),
    }
    return Reel(**fields | changed)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, int], str]]:
    """The place and the text of each caption that is drawn."""
    drawn: list[tuple[tuple[int, int], str]] = []

    def text(self: Any, place: tuple[int, int], words: str, *_: Any) -> None:
        drawn.append((place, words))

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return drawn


class TestLayout:
    def test_is_one_column_a_run_and_one_row_a_task(self) -> None:
        reels = [reel(), reel("focal, seed 0"), reel("csro, seed 0")]
        image = frame(reels, [reel.shots[0] for reel in reels])
        assert image.size == (GAP + 3 * (WIDTH + GAP), HEAD + LABEL + 2 * (HEIGHT + 2 * LABEL) + GAP)
        for column in range(3):
            for row in range(2):
                place = (GAP + column * (WIDTH + GAP) + 3, HEAD + LABEL + row * (HEIGHT + 2 * LABEL) + LABEL - 4 + 2)
                assert image.getpixel(place) == tuple(COLOURS[row]), (column, row)
        assert image.getpixel((GAP // 2, HEAD)) == rgb(GROUND)

    @pytest.mark.parametrize(("phase", "step", "share"), [("explore", 10, 0.25), ("explore", 40, 1), ("score", 3, 1)])
    def test_the_bar_is_as_long_as_the_share_of_the_budget(self, phase: str, step: int, share: float) -> None:
        image = frame([reel()], [shot(phase, step)])
        bar = [image.getpixel((x, 41)) for x in range(GAP, image.width - GAP + 1)]
        blue = bar.count(rgb(DONE))
        assert blue - 1 == round(share * (len(bar) - 1))
        assert set(bar[blue:]) <= {rgb(RULE)}

    def test_a_picture_is_framed_by_a_rule(self) -> None:
        image = frame([reel()], [shot("explore", 10)])
        top = HEAD + LABEL + LABEL - 4
        corners = [(GAP, top), (GAP + WIDTH - 1, top), (GAP, top + HEIGHT - 1), (GAP + WIDTH - 1, top + HEIGHT - 1)]
        assert [image.getpixel(corner) for corner in corners] == [rgb(RULE)] * 4


class TestCaptions:
    def test_name_phase_run_task_and_return(self, captions: list[tuple[tuple[int, int], str]]) -> None:
        frame([reel()], [shot("explore", 10)])
        assert [words for _, words in captions] == [
            "exploring, step 10 of 40",
            "select, seed 0",
            "task 6: (0.50, −1.00)",
            "this block's return −1.2",
            "task 2: (1.00, 0.00)",
            "this block's return 3.0",
        ]

    def test_after_exploration_count_the_steps_of_the_episode(
        self, captions: list[tuple[tuple[int, int], str]]
    ) -> None:
        frame([reel()], [shot("score", 7)])
        words = [words for _, words in captions]
        assert words[0] == "adapted, step 7"
        assert [text for text in words if "return" in text] == ["return −1.2", "return 3.0"]

    @pytest.mark.parametrize(("size", "named"), [(1, "task 6: 0.50"), (3, "task 6: (0.50, 0.50, 0.50)"), (4, "task 6")])
    def test_leave_out_parameters_of_many_numbers(
        self, captions: list[tuple[tuple[int, int], str]], size: int, named: str
    ) -> None:
        frame([reel(parameters=np.full((2, size), 0.5))], [shot("score", 1)])
        assert captions[2][1] == named


class TestReelsSideBySide:
    def test_give_a_frame_a_moment(self) -> None:
        assert len(list(frames([reel(), reel("focal, seed 0")]))) == 3

    def test_of_other_moments_are_refused(self) -> None:
        other = reel("focal, seed 0", steps=(10, 30), budget=60)
        with pytest.raises(InputError, match=r"focal, seed 0 explores 60 steps.*select, seed 0 \(40 steps\).*--budget"):
            list(frames([reel(), other]))


class TestWriting:
    @pytest.mark.parametrize(("fps", "own", "rate"), [(None, 10, 10), (None, 60, 20), (5, 60, 5)])
    def test_the_last_frame_stays(self, tmp_path: Path, fps: int | None, own: int, rate: int) -> None:
        write([reel(fps=own)], tmp_path / "a.gif", fps=fps)
        with Image.open(tmp_path / "a.gif") as film:
            durations = []
            for index in range(film.n_frames):
                film.seek(index)
                durations.append(film.info["duration"])
        assert durations[0] == 1000 // rate
        assert sum(durations) == (3 + round(HOLD * rate)) * (1000 // rate)

    def test_of_another_suffix_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"ends in \.gif or \.mp4, got a\.avi"):
            write([reel()], tmp_path / "a.avi")
        assert not list(tmp_path.iterdir())
