"""How many row embeddings become one z: against formulas, at once and row by row, and under the encoders' losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from selectrl.encoders.aggregations.configs import (
    AttentionConfig,
    InverseVarianceConfig,
    MeanConfig,
    ProductOfGaussiansConfig,
)
from selectrl.encoders.aggregations.pooling import PoolState, PrecisionAggregation
from selectrl.pieces import Aggregation
from selectrl.registry import AGGREGATIONS
from selectrl.structs import Belief
from selectrl.trainer.engine import Engine

Array = NDArray[np.float64]
L, WORLDS, ROWS = 3, 4, 6
CONFIGS = [entry.config() for entry in AGGREGATIONS]
ALL = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
SEEDS = st.integers(0, 10_000)


def build(config: Any) -> Any:
    return fakes.scramble(AGGREGATIONS.build(config, L)).double()


def sets(pooling: Aggregation, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows (world, row, latent) and what the network says of their weights (world, row, extra)."""
    rng = np.random.default_rng(seed)
    shapes = (WORLDS, ROWS, L), (WORLDS, ROWS, pooling.extra)
    rows, raw = (torch.from_numpy(2 * rng.standard_normal(shape)) for shape in shapes)
    return rows, raw


def filtered(pooling: Aggregation, rows: Tensor, raw: Tensor) -> Belief:
    """The belief after the rows one by one."""
    state, live = pooling.init(rows, len(rows)), torch.ones(len(rows), dtype=torch.bool)
    for t in range(rows.shape[1]):
        state = pooling.step(state, rows[:, t], raw[:, t], live)
    return pooling.read(state)


def close(first: Belief, second: Belief) -> None:
    torch.testing.assert_close(first.z, second.z)
    torch.testing.assert_close(first.spread, second.spread)


# --- formulas ---------------------------------------------------------------------------------------------------------


def weighted(rows: Array, weight: Array) -> tuple[Array, Array]:
    """Mean and deviation of each world's rows under given weights, one world and dimension at a time."""
    z, spread = np.zeros((WORLDS, L)), np.zeros((WORLDS, L))
    for w in range(WORLDS):
        for d in range(L):
            share = weight[w, :, d] / weight[w, :, d].sum()
            z[w, d] = share @ rows[w, :, d]
            spread[w, d] = np.sqrt(share @ (rows[w, :, d] - z[w, d]) ** 2)
    return z, spread


def mean(pooling: Any, rows: Array, raw: Array) -> tuple[Array, Array]:
    return rows.mean(1), rows.std(1)


def inverse_variance(pooling: Any, rows: Array, raw: Array) -> tuple[Array, Array]:
    return weighted(rows, 1 / np.log(1 + np.exp(raw)))


def sequential_bayes(pooling: Any, rows: Array, raw: Array) -> tuple[Array, Array]:
    """A Kalman filter of a constant that knows nothing at first: each row is a measurement with its own variance."""
    variance = np.log(1 + np.exp(raw))
    z, posterior = rows[:, 0], variance[:, 0]
    for i in range(1, ROWS):
        gain = posterior / (posterior + variance[:, i])
        z, posterior = z + gain * (rows[:, i] - z), (1 - gain) * posterior
    return z, np.sqrt(posterior)


def attention(pooling: Any, rows: Array, raw: Array) -> tuple[Array, Array]:
    weight, bias = (p.detach().numpy() for p in (pooling.score.weight, pooling.score.bias))
    score = np.exp(rows @ weight[0] + bias[0])
    return weighted(rows, np.repeat(score[..., None], L, axis=-1))


FORMULAS: dict[type, Callable[[Any, Array, Array], tuple[Array, Array]]] = {
    MeanConfig: mean,
    InverseVarianceConfig: inverse_variance,
    ProductOfGaussiansConfig: sequential_bayes,
    AttentionConfig: attention,
}


@pytest.mark.parametrize("config", [config() for config in FORMULAS], ids=lambda config: type(config).__name__)
@pytest.mark.parametrize("seed", range(3))
def test_each_follows_its_formula(config: Any, seed: int) -> None:
    pooling = build(config)
    rows, raw = sets(pooling, seed)
    z, spread = FORMULAS[type(config)](pooling, rows.numpy(), raw.numpy())
    close(pooling.pool(rows, raw), Belief(torch.from_numpy(z), torch.from_numpy(spread)))


def test_product_of_gaussians_golden() -> None:
    # factors N(0, 1), N(6, 1/2): precisions 1 + 2 = 3, mean (0 · 1 + 6 · 2) / 3 = 4, deviation 1 / √3
    rows = torch.tensor([[[0.0], [6.0]]])
    raw = torch.tensor([[[1.0], [0.5]]]).expm1().log()  # softplus of it gives the variances
    belief = AGGREGATIONS.build(ProductOfGaussiansConfig(), 1).pool(rows, raw)
    assert belief.z.item() == pytest.approx(4.0)
    assert belief.spread.item() == pytest.approx(3**-0.5)


@ALL
@given(seed=SEEDS)
def test_the_order_of_rows_does_not_matter(config: Any, seed: int) -> None:
    pooling, order = build(config), np.random.default_rng(seed).permutation(ROWS)
    rows, raw = sets(pooling, seed)
    close(pooling.pool(rows[:, order], raw[:, order]), pooling.pool(rows, raw))


# --- row by row -------------------------------------------------------------------------------------------------------


@ALL
@given(seed=SEEDS)
def test_row_by_row_equals_all_at_once(config: Any, seed: int) -> None:
    pooling = build(config)
    rows, raw = sets(pooling, seed)
    close(filtered(pooling, rows, raw), pooling.pool(rows, raw))


class Raw(PrecisionAggregation):
    """Log-weights as they come, to try any of them."""

    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        return raw


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=SEEDS, scale=st.sampled_from([1.0, 50.0, 500.0, 1e4, 1e30]), shift=st.sampled_from([0.0, -1e3, 1e3]))
def test_extreme_log_weights_neither_overflow_nor_vanish(
    dtype: torch.dtype, seed: int, scale: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.standard_normal((WORLDS, ROWS, L))).to(dtype)
    raw = torch.from_numpy(scale * rng.standard_normal(rows.shape) + shift).to(dtype)
    pooling = Raw(L)
    at_once, in_turn = pooling.pool(rows, raw), filtered(pooling, rows, raw)
    for belief in (at_once, in_turn):
        assert belief.z.isfinite().all()
        assert (belief.z <= rows.amax(1) + 1e-5).all()
        assert (belief.z >= rows.amin(1) - 1e-5).all()
        assert not belief.spread.isnan().any()
    torch.testing.assert_close(in_turn.z, at_once.z, rtol=1e-4, atol=1e-5)


@ALL
def test_a_world_that_is_not_live_keeps_its_state_bit_for_bit(config: Any) -> None:
    pooling = build(config)
    rows, raw = sets(pooling)
    first, live = pooling.init(rows, WORLDS), torch.tensor([True, False, True, False])
    once = pooling.step(first, rows[:, 0], raw[:, 0], live)
    twice = pooling.step(once, 1e6 * rows[:, 1], raw[:, 1], ~live)
    for before, after, sleeping in ((first, once, ~live), (once, twice, live)):
        assert all(torch.equal(b[sleeping], a[sleeping]) for b, a in zip(before, after, strict=True))
        assert not any(torch.equal(b[~sleeping], a[~sleeping]) for b, a in zip(before, after, strict=True))
    assert isinstance(twice, PoolState)


@ALL
def test_the_prior_is_zero_with_deviation_one(config: Any) -> None:
    pooling = build(config)
    belief = pooling.read(pooling.init(torch.zeros(1), WORLDS))
    assert torch.equal(belief.z, torch.zeros(WORLDS, L))
    assert torch.equal(belief.spread, torch.ones(WORLDS, L))


# --- under the encoders' losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["encoders.focal", "encoders.csro"])
@ALL
def test_the_encoders_loss_moves_what_makes_the_weights(encoder: str, config: Any) -> None:
    agent = fakes.agent(fakes.tiny(encoder, aggregation=config))
    learned = {f"encoder.pooling.{name}" for name, _ in agent.encoder.pooling.named_parameters()}
    assert bool(learned) == isinstance(config, AttentionConfig)
    objective = agent.encoder.objectives()[-1]
    assert set(objective.moves) == {"encoder.net"} | ({"encoder.pooling"} if learned else set())

    engine, phase = Engine([agent]), fakes.rl_phase(agent)
    engine.enter(phase)
    weight = agent.encoder.net.weights[-1]
    engine.step(fakes.phase_batch(phase), 0)
    for name in learned - {"encoder.pooling.score.bias"}:  # softmax does not see a shift of all scores
        assert engine.leaves[name].grad.abs().sum() > 0
    assert weight.shape[-1] == fakes.LATENT + agent.encoder.pooling.extra
    assert (weight.grad.abs().sum(0) > 0).all()  # the precisions' columns too
