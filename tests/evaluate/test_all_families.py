"""The budget is counted in real steps on each shipped family, whether its robots fall or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_worlds import Pointing, Telling, meta_test

from selectrl.collectors.configs import NonPriorConfig
from selectrl.registry import FAMILIES

FALLING = {"humanoid_dir", "hopper_rand_params", "walker_rand_params"}


@pytest.mark.parametrize("name", [entry.name for entry in FAMILIES])
def test_a_block_is_a_horizon_of_real_steps_and_restarts_are_starts(name: str) -> None:
    family: Any = FAMILIES.build(FAMILIES[name].config())
    encoder, horizon = Telling(), family.spec.horizon
    result, _ = meta_test(
        NonPriorConfig(random_fraction=1.0),
        family=family,
        encoder=encoder,
        policy=Still(),
        tasks=family.test_tasks[:1],
        repeats=1,
        blocks=1,
    )
    state = encoder.reads[-1]
    assert len(state.seen) == horizon
    assert all(bool(live.all()) for _, live in state.seen)
    obs, after, ended = (state.field(field)[0] for field in ("obs", "next_obs", "terminal"))
    assert bool(ended.any()) == (name in FALLING)
    goes_on = ended[:-1] == 0
    np.testing.assert_array_equal(obs[1:][goes_on], after[:-1][goes_on])
    assert not (obs[1:][~goes_on] == after[:-1][~goes_on]).all(axis=-1).any()  # the state it fell into is no start
    steps = (~np.isnan(result.scored[0, 0]).any(-1)).sum() - 1
    assert (steps < horizon) == (name in FALLING)  # and no reward is counted after the fall
    assert result.returns[0, 0, 0] == result.returns[0, 0, 1]  # the policy ignores z: one start, one score


class Still(Pointing):
    """A policy that does nothing whatever the task."""

    def mode(self, obs: Any, z: Any) -> Any:
        return 0 * z.new_zeros(len(obs), ACTIONS[obs.shape[-1]])


ACTIONS = {2: 2, 20: 6, 29: 8, 376: 17, 11: 3, 17: 6}  # widths of action by those of observation
