"""Logged actions beyond [-1, 1]: refused with a count, clipped, or rescaled from their box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from selectrl.data.actions import RECORD, ActionRule, Actions
from selectrl.errors import DataError, InputError

LOGGED = np.array([[-2.0, 0.5], [0.25, 2.0], [1.0, -1.0]], "f4")


def test_within_the_box_nothing_is_done() -> None:
    for kind in ("refuse", "clip"):
        actions = Actions(ActionRule(kind=kind), 2)
        same = np.array([[-1, 1], [-0.0, 0.3]], "f4")
        assert actions.fit("here", same).tobytes() == same.tobytes()
        assert actions.finish() == {}


def test_refusing_counts_rows_of_all_episodes_and_names_the_first() -> None:
    actions = Actions(ActionRule(), 2)
    for where, logged in (("a", LOGGED[2:]), ("b", LOGGED), ("c", LOGGED * 3)):
        actions.fit(where, logged)
    with pytest.raises(DataError, match=r"^b: 5 of 7 rows .* up to 6; give --actions clip .* --actions rescale"):
        actions.finish()


def test_clipping() -> None:
    actions = Actions(ActionRule(kind="clip"), 2)
    assert actions.fit("a", LOGGED).tolist() == [[-1, 0.5], [0.25, 1], [1, -1]]
    assert actions.finish() == {RECORD: {"rule": "clip", "rows": 3, "clipped": 2}}


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (((-2.0, 2.0),), [[-1, 0.25], [0.125, 1], [0.5, -0.5]]),
        (((-2.0, 2.0), (-1.0, 3.0)), [[-1, -0.25], [0.125, 0.5], [0.5, -1]]),
    ],
)
def test_rescaling_from_a_box(box: Any, expected: list[list[float]]) -> None:
    for actions in (
        Actions(ActionRule(kind="rescale", box=box), 2),
        Actions(ActionRule(kind="rescale", box=box), 2, np.array([[-9.0, 9.0]] * 2)),  # what is given wins
        Actions(ActionRule(kind="rescale"), 2, np.broadcast_to(np.array(box), (2, 2))),
    ):
        assert actions.fit("a", LOGGED).tolist() == expected
        assert actions.finish() == {
            RECORD: {"rule": "rescale", "rows": 3, "box": np.broadcast_to(box, (2, 2)).tolist()}
        }


def test_the_ends_of_any_box_are_the_ends_exactly() -> None:
    rng = np.random.default_rng(0)
    for low, width in zip(rng.normal(size=100), rng.exponential(size=100), strict=True):
        high = np.float32(low) + np.float32(width)
        box = ((float(np.float32(low)), float(high)),)
        ends = np.array([[low], [high]], "f4")
        assert Actions(ActionRule(kind="rescale", box=box), 1).fit("a", ends).tolist() == [[-1], [1]]


def test_rescaling_from_a_box_that_is_too_small() -> None:
    actions = Actions(ActionRule(kind="rescale", box=((-1.0, 1.5),)), 2)
    actions.fit("a", LOGGED)
    with pytest.raises(DataError, match=r"a: 2 of 3 rows .* after rescaling, up to 1.8; give the right box"):
        actions.finish()


def test_another_box_is_refused_though_no_action_is_beyond() -> None:
    actions = Actions(ActionRule(), 2, np.array([[-0.4, 0.4]] * 2))
    actions.fit("a", LOGGED / 10)
    with pytest.raises(DataError, match=r"in the box \[\[-0.4, 0.4\], .*give --actions rescale .* or --actions clip"):
        actions.finish()


@pytest.mark.parametrize("box", [(), ((1.0, 1.0),), ((2.0, -2.0),), ((float("nan"), 1.0),), ((-1.0, float("inf")),)])
def test_a_box_that_is_none(box: Any) -> None:
    with pytest.raises(InputError, match="expected finite bounds"):
        ActionRule(kind="rescale", box=box)


def test_a_box_has_a_use_and_a_width() -> None:
    with pytest.raises(InputError, match="needs --actions rescale, got clip"):
        ActionRule(kind="clip", box=((-2.0, 2.0),))
    with pytest.raises(InputError, match=r"the data do not record the box .* --action-box=LOW:HIGH"):
        Actions(ActionRule(kind="rescale"), 2)
    with pytest.raises(InputError, match="expected 1 or 3 pairs"):
        Actions(ActionRule(kind="rescale", box=((-2.0, 2.0),) * 2), 3)
    with pytest.raises(InputError, match="expected 1 or 2 pairs of finite"):
        Actions(ActionRule(kind="rescale"), 2, np.array([[-np.inf, np.inf]] * 2))


def test_nan_stays() -> None:
    assert np.isnan(Actions(ActionRule(kind="clip"), 1).fit("a", np.array([[np.nan]], "f4"))).all()
