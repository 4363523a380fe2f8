"""The weights of the cloning term: by hand, by property, and under vmap."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selectrl.actors.configs import BinaryConfig, ConstantConfig, ExpConfig, LeakyConfig, SigmoidConfig, TopPConfig
from selectrl.errors import FieldError
from selectrl.registry import WEIGHTS

built = WEIGHTS.build
ALL = pytest.mark.parametrize("config", fakes.weights(), ids=repr)
SEEDS = st.integers(0, 10_000)


def advantages(seed: int = 0, *lead: int) -> torch.Tensor:
    return torch.from_numpy(3 * np.random.default_rng(seed).standard_normal((*lead, 4, 6)))


# --- goldens ----------------------------------------------------------------------------------------------------------


def test_binary_golden() -> None:
    advantage = torch.tensor([[-1.0, 0.0, 1e-6, 2.0]])
    assert built(BinaryConfig()).weigh(advantage).tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert built(BinaryConfig(threshold=1.0)).weigh(advantage).tolist() == [[0.0, 0.0, 0.0, 1.0]]


def test_constant_golden() -> None:
    assert built(ConstantConfig(value=0.3)).weigh(torch.zeros(1, 2)).tolist() == [[pytest.approx(0.3)] * 2]


def test_leaky_golden() -> None:
    advantage = torch.tensor([[-1.0, 0.0, 0.5, 2.0]])
    assert built(LeakyConfig(beta=0.25)).weigh(advantage).tolist() == [[0.25, 0.25, 1.0, 1.0]]
    assert built(LeakyConfig(beta=0.25, threshold=1.0)).weigh(advantage).tolist() == [[0.25, 0.25, 0.25, 1.0]]


def test_exp_golden() -> None:
    # mean |A| = 2: A / mean = (-1, 0, 1, 2) and over T = ½ (-2, 0, 2, 4): e^-2 = .135335, 1, e² = 7.389056, e⁴ > 20
    advantage = torch.tensor([[-2.0, 0.0, 2.0, 4.0]])
    assert built(ExpConfig(temperature=0.5)).weigh(advantage).tolist() == [
        pytest.approx([0.135335, 1.0, 7.389056, 20.0], rel=1e-5)
    ]
    # published: A / T alone, T = 2: e^-1 = .367879, 1, e = 2.718282, and e² at a clip of 3
    absolute = built(ExpConfig(temperature=2.0, clip=3.0, relative=False)).weigh(advantage)
    assert absolute.tolist() == [pytest.approx([0.367879, 1.0, 2.718282, 3.0], rel=1e-5)]


def test_sigmoid_golden() -> None:
    # mean |A| = 2, T = 1: 1 / (1 + e) = .268941, ½, .731059, 1 / (1 + e^-2) = .880797
    advantage = torch.tensor([[-2.0, 0.0, 2.0, 4.0]])
    assert built(SigmoidConfig()).weigh(advantage).tolist() == [
        pytest.approx([0.268941, 0.5, 0.731059, 0.880797], rel=1e-5)
    ]
    # published units, T = 4: 1 / (1 + e^½) = .377541, ½, .622459, .731059
    absolute = built(SigmoidConfig(temperature=4.0, relative=False)).weigh(advantage)
    assert absolute.tolist() == [pytest.approx([0.377541, 0.5, 0.622459, 0.731059], rel=1e-5)]


def test_top_p_golden() -> None:
    # six rows of two tasks compete: a third is two rows, 5 and 3; both lie in the second task
    advantage = torch.tensor([[0.0, -1.0, 2.0], [5.0, 3.0, -4.0]])
    assert built(TopPConfig(fraction=1 / 3)).weigh(advantage).tolist() == [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    assert built(TopPConfig(fraction=1e-9)).weigh(advantage).tolist() == [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
    ]  # never no row
    assert built(TopPConfig(fraction=1.0)).weigh(advantage).tolist() == [[1.0] * 3] * 2


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [*fakes.weights(), *(entry.config() for entry in WEIGHTS)], ids=repr)
@given(seed=SEEDS)
def test_a_weight_is_finite_not_negative_shaped_as_the_advantage_and_without_gradient(config: Any, seed: int) -> None:
    advantage = advantages(seed).requires_grad_()
    weight = built(config).weigh(advantage)
    assert weight.shape == advantage.shape
    assert weight.dtype == advantage.dtype
    assert not weight.requires_grad
    assert torch.isfinite(weight).all()
    assert weight.min() >= 0


@ALL
@pytest.mark.parametrize("value", [0.0, 1e30, -1e30])
def test_extreme_advantages_give_finite_weights(config: Any, value: float) -> None:
    advantage = torch.full((2, 3), value)
    advantage[0, 0] = -value
    assert torch.isfinite(built(config).weigh(advantage)).all()


@ALL
def test_a_better_action_never_weighs_less(config: Any) -> None:
    advantage = advantages()
    order = advantage.flatten().argsort()
    assert (built(config).weigh(advantage).flatten()[order].diff() >= 0).all()


@ALL
def test_rows_and_tasks_may_come_in_any_order(config: Any) -> None:
    advantage, order = advantages(), torch.randperm(24, generator=torch.Generator().manual_seed(0))
    shuffled = built(config).weigh(advantage.flatten()[order].reshape(4, 6))
    torch.testing.assert_close(shuffled.flatten(), built(config).weigh(advantage).flatten()[order])


@ALL
def test_a_population_of_seeds_equals_single_batches(config: Any) -> None:
    many = advantages(0, 3)
    together = torch.func.vmap(built(config).weigh)(many)
    torch.testing.assert_close(together, torch.stack([built(config).weigh(advantage) for advantage in many]))


SCALE_FREE = [
    BinaryConfig(),
    ConstantConfig(),
    LeakyConfig(),
    ExpConfig(temperature=0.7),
    SigmoidConfig(temperature=0.7),
    TopPConfig(),
]


@pytest.mark.parametrize("config", SCALE_FREE, ids=repr)
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_by_default_no_weight_knows_the_scale_of_rewards(config: Any, factor: float) -> None:
    torch.testing.assert_close(built(config).weigh(factor * advantages()), built(config).weigh(advantages()))


@pytest.mark.parametrize("config", [ExpConfig(relative=False), SigmoidConfig(relative=False)], ids=repr)
def test_the_published_form_does(config: Any) -> None:
    assert not torch.allclose(built(config).weigh(0.01 * advantages()), built(config).weigh(advantages()), rtol=0.1)


@given(seed=SEEDS, fraction=st.floats(0.01, 1))
def test_top_p_marks_the_rounded_share(seed: int, fraction: float) -> None:
    advantage = advantages(seed)
    weight = built(TopPConfig(fraction=fraction)).weigh(advantage)
    assert weight.sum().item() == max(1, round(fraction * 24))
    assert advantage[weight == 1].min() >= advantage[weight == 0].max() if (weight == 0).any() else True


def test_limits_meet_eq_3_and_td3_bc() -> None:
    advantage = advantages()
    binary, constant = built(BinaryConfig()).weigh(advantage), built(ConstantConfig()).weigh(advantage)
    torch.testing.assert_close(built(LeakyConfig(beta=0.0)).weigh(advantage), binary)
    torch.testing.assert_close(built(LeakyConfig(beta=1.0)).weigh(advantage), constant)
    torch.testing.assert_close(built(SigmoidConfig(temperature=1e-6)).weigh(advantage), binary)
    torch.testing.assert_close(built(ExpConfig(temperature=1e9)).weigh(advantage), constant)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExpConfig(temperature=0.0),
        lambda: ExpConfig(clip=0.0),
        lambda: SigmoidConfig(relative=1),
        lambda: LeakyConfig(beta=1.5),
        lambda: TopPConfig(fraction=0.0),
    ],
)
def test_values_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(FieldError):
        make()
