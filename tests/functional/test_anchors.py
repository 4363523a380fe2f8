"""Task variables brought back among the training tasks'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selectrl.functional.anchors import interpolate

ALL = torch.tensor([True, True, True])
LINE = torch.tensor([[0.0], [1.0], [3.0]])


def drawn(seed: int, worlds: int = 4, tasks: int = 6, latent: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Task variables, anchors, and which anchors are known: at least two."""
    rng = np.random.default_rng(seed)
    z, anchors = (torch.from_numpy(rng.standard_normal((count, latent))) for count in (worlds, tasks))
    return 2 * z, anchors, torch.from_numpy(rng.permutation(tasks) < rng.integers(2, tasks + 1))


def test_golden() -> None:
    # nearest others 1, 1 and 2 away: δ = 4/3, and h = .75 gives the kernel a deviation of 1. From z = 1 the anchors are
    # 1, 0 and 2 away: weights e^-.5 = .606531, 1 and e^-2 = .135335, sum 1.741866. (1 + 3 · .135335) / 1.741866.
    assert interpolate(torch.tensor([[1.0]]), LINE, ALL, width=0.75).item() == pytest.approx(0.807184, rel=1e-5)


def test_golden_with_an_unknown_anchor() -> None:
    # without the one at 1, the other two are 3 apart: δ = 3, deviation 1 at h = 1/3. From z = 1: e^-.5 and e^-2.
    known = torch.tensor([True, False, True])
    expected = 3 * 0.135335 / (0.606531 + 0.135335)
    found = interpolate(torch.tensor([[1.0]]), LINE, known, width=1 / 3)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 10_000), width=st.sampled_from([0.5, 1.0, 5.0]))
def test_equals_the_loop_over_worlds_and_tasks(seed: int, width: float) -> None:
    z, anchors, known = drawn(seed)
    points = anchors.numpy()[known.numpy()]
    gaps = [min(np.linalg.norm(a - b) for j, b in enumerate(points) if j != i) for i, a in enumerate(points)]
    expected = []
    for one in z.numpy():
        weight = np.array(
            [np.exp(-(np.linalg.norm(one - a) ** 2) / (2 * (width * np.mean(gaps)) ** 2)) for a in points]
        )
        expected.append((weight[:, None] * points).sum(0) / weight.sum())
    torch.testing.assert_close(interpolate(z, anchors, known, width=width), torch.tensor(np.array(expected)))


@pytest.mark.parametrize("far", [1.0, 1e3, 1e9])
@given(seed=st.integers(0, 10_000), width=st.sampled_from([0.0, 0.01, 0.35, 10.0]))
def test_the_result_lies_among_the_known_anchors_however_far_z_is(far: float, seed: int, width: float) -> None:
    z, anchors, known = drawn(seed)
    found = interpolate(far * z, anchors, known, width=width)
    assert (found >= anchors[known].amin(0) - 1e-9).all()
    assert (found <= anchors[known].amax(0) + 1e-9).all()


@given(seed=st.integers(0, 10_000))
def test_turned_moved_and_stretched_together_the_result_is_too(seed: int) -> None:
    z, anchors, known = drawn(seed)
    turn, _ = torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 3))))
    moved = [7 * value @ turn + 5 for value in (z, anchors, interpolate(z, anchors, known, width=0.35))]
    torch.testing.assert_close(interpolate(moved[0], moved[1], known, width=0.35), moved[2])


def test_no_width_takes_the_nearest() -> None:
    found = interpolate(torch.tensor([[0.4], [0.6], [100.0]]), LINE, ALL, width=0.0)
    assert found.flatten().tolist() == [0.0, 1.0, 3.0]


def test_no_anchor_leaves_z_alone_and_one_alone_is_the_result() -> None:
    z = torch.tensor([[0.4], [-7.0]])
    assert torch.equal(interpolate(z, LINE, ~ALL, width=0.35), z)
    only = torch.tensor([False, False, True])
    assert interpolate(z, LINE, only, width=0.35).flatten().tolist() == [3.0, 3.0]


def test_anchors_in_one_place_are_no_division_by_zero() -> None:
    z, anchors = torch.tensor([[0.4]]), torch.ones(3, 1)
    assert interpolate(z, anchors, ALL, width=0.35).item() == 1.0
