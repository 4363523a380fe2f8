"""Common random numbers: the same starts and noise for every method, collector and amount of context."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_worlds import SHIPPED, Collecting, Telling, meta_test, point_robot

from selectrl.collectors.configs import OnlineConfig, ProximalConfig
from selectrl.evaluate.noise import CommonNoise


def test_noise_is_a_pure_function_of_seed_purpose_task_and_repeat() -> None:
    both, one = CommonNoise(3, [(4, 0), (7, 1)]), CommonNoise(3, [(7, 1)])
    assert torch.equal(both.normal("explore", 6, 2)[1:], one.normal("explore", 6, 2))
    assert torch.equal(both.uniform("explore", 6, 2)[1:], one.uniform("explore", 6, 2))
    assert torch.equal(both.normal("explore", 4, 2), both.normal("explore", 6, 2)[:, :4])  # a longer budget goes on
    assert torch.equal(both.uniform("explore", 4, 2), both.uniform("explore", 6, 2)[:, :4])
    assert both.seeds("score", 2)[1:] == one.seeds("score", 2)
    assert all(0 <= seed < 2**31 for seed in both.seeds("score", 2))
    worlds = [(4, (7, 1)), (3, (7, 2)), (3, (8, 1)), (3, (1, 7))]
    others = [CommonNoise(seed, [world]) for seed, world in worlds]
    for other in others:
        assert not torch.equal(other.normal("explore", 6, 2), one.normal("explore", 6, 2))
        assert other.seeds("score", 2) != one.seeds("score", 2)
    assert not torch.equal(one.normal("explore", 6, 2), one.normal("latent", 6, 2))
    assert one.seeds("score", 2) != one.seeds("score", 3)
    assert one.seeds("score", 2) != one.seeds("explore", 2)


def test_noise_follows_its_law() -> None:
    worlds = [(task, repeat) for task in range(10) for repeat in range(10)]
    normal, uniform = CommonNoise(0, worlds).normal("a", 50, 4), CommonNoise(0, worlds).uniform("a", 50, 4)
    assert normal.mean().abs() < 0.03
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)


def test_the_context_free_score_is_the_same_for_every_collector_encoder_width_and_budget() -> None:
    reference, _ = meta_test(OnlineConfig(), blocks=2)
    for collector in [*SHIPPED, Collecting(size=0.7)]:
        for blocks in (0, 3):
            result, _ = meta_test(collector, blocks=blocks)
            np.testing.assert_array_equal(result.returns[:, :, 0], reference.returns[:, :, 0])
            np.testing.assert_array_equal(result.scored[:, 0], reference.scored[:, 0])
    wide = Telling()
    wide.latent_dim = 11
    np.testing.assert_array_equal(
        meta_test(OnlineConfig(), encoder=wide)[0].returns[:, :, 0], reference.returns[:, :, 0]
    )


def test_every_score_of_a_world_starts_alike_and_repeats_do_not() -> None:
    result, _ = meta_test(ProximalConfig(), blocks=3)
    starts = result.scored[:, :, 0, 1]  # (task, point)
    assert (starts == starts[:, :1]).all()
    assert len(np.unique(starts[:, 0])) == 3
    assert (result.returns[:, 0] != result.returns[:, 1]).all()
    explored = result.explored[:, :, 0, 1]
    assert len(np.unique(explored)) == explored.size  # each block starts anew, and not as the scores do
    assert not np.isin(explored, starts).any()


@pytest.mark.parametrize("collector", SHIPPED)
def test_a_world_does_not_depend_on_which_others_are_tested_with_it(collector: Any) -> None:
    full = point_robot(collector, tasks=(2, 6, 10), repeats=3)
    part = point_robot(collector, tasks=(10,), repeats=2)
    np.testing.assert_allclose(part.returns[0], full.returns[2, :2], rtol=1e-5)
    np.testing.assert_allclose(part.explored[0], full.explored[2], atol=1e-5)
    np.testing.assert_allclose(part.scored[0], full.scored[2], atol=1e-5)


def test_a_meta_test_repeats_itself_and_leaves_the_global_generators_alone() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (point_robot(ProximalConfig(), tasks=(2, 6)) for _ in range(2))
    np.testing.assert_array_equal(first.returns, second.returns)
    assert not np.array_equal(first.returns, point_robot(ProximalConfig(), tasks=(2, 6), seed=1).returns)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
