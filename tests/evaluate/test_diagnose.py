"""What diagnostics say of encoders whose secret is known."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fake_beliefs import TASKS, build, make_store
from torch import Tensor

from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.diagnose import donor_swap, offline_latents
from selectrl.evaluate.stored import draw_stored, take_in
from selectrl.structs import Belief, Rows

CONFIG = TestConfig(budget=2 * fakes.SPEC.horizon)


class Reading:
    """An agent whose belief is the mean of some columns of the rows seen: of the rewards, or of the observations."""

    latent_dim = 2

    def __init__(self, kind: str) -> None:
        self.kind, self.encoder = kind, self

    def init(self, worlds: int) -> tuple[Tensor, ...]:
        return torch.zeros(worlds, 2), torch.zeros(worlds, 1)

    def step(self, state: Any, rows: Rows, live: Tensor) -> Any:
        reward, place = rows.reward[:, None].expand(-1, 2), rows.obs[:, :2]
        value = {"reward": reward, "place": place, "nothing": 0 * place}[self.kind]
        return state[0] + value * live[:, None], state[1] + live[:, None]

    def read(self, state: Any) -> Any:
        z = state[0] / state[1].clamp(min=1)
        return Belief(z, torch.ones_like(z))


def constant_store() -> Any:
    """Each task's observations are its own number, and its reward is the parameter, whatever the state."""
    store = make_store(lambda parameters, obs, action, next_obs: parameters[..., 0] + 0 * obs[..., 0])
    store.obs = store.parameters[:, :1, None].expand(-1, *store.obs.shape[1:]).clone()
    store.reward = store.parameters[:, :1].expand_as(store.reward).clone()
    return store


@pytest.mark.parametrize(("kind", "follow"), [("reward", 0.0), ("place", 1.0), ("nothing", None)])
def test_the_donor_swap_tells_who_decides(kind: str, follow: float | None) -> None:
    agent: Any = Reading(kind)
    found = donor_swap(agent.encoder, constant_store(), CONFIG, draws=3)
    assert {(one["task"], one["donor"]) for one in found["pairs"]} == {(i, j) for i in TASKS for j in TASKS if i != j}
    assert [one["follow"] for one in found["pairs"]] == [follow if follow is None else pytest.approx(follow)] * 6
    assert found["follow"] == (follow if follow is None else pytest.approx(follow))


def test_the_donor_swap_of_a_real_filter_by_hand() -> None:
    """BOReL's belief, in the formula written out for one pair."""
    agent: Any = type("Agent", (), {"encoder": build()})()
    store, draws, (i, j) = make_store(), 2, (7, 4)
    found = donor_swap(agent.encoder, store, CONFIG, draws)
    (follow,) = [one["follow"] for one in found["pairs"] if (one["task"], one["donor"]) == (i, j)]
    z = {}
    for name, donor, truth in (("ii", i, i), ("jj", j, j), ("ij", j, i)):
        state = agent.encoder.init(draws)
        for block in range(2):
            rows = draw_stored(store, [(donor, d) for d in range(draws)], block, kind="episodes", seed=0)
            if name == "ij":
                rows = store.relabel(store.place[torch.tensor([truth] * draws)], rows)
            state = take_in(agent.encoder, state, rows)
        z[name] = agent.encoder.read(state).z.detach().double()
    apart = z["jj"] - z["ii"]
    assert follow == pytest.approx(float(((z["ij"] - z["ii"]) * apart).sum() / apart.square().sum()), rel=1e-5)
    assert found == donor_swap(agent.encoder, store, CONFIG, draws)


def test_latents_by_task_and_draw() -> None:
    agent: Any = Reading("place")
    latents = offline_latents(agent.encoder, constant_store(), CONFIG, draws=3)
    assert (latents.dtype, latents.shape) == (np.float32, (3, 3, 2))
    np.testing.assert_allclose(latents, np.array(TASKS, np.float32)[:, None, None] * np.ones((3, 3, 2)), rtol=1e-6)
    varied = offline_latents(agent.encoder, make_store(), CONFIG, draws=2)
    assert not np.allclose(varied[:, 0], varied[:, 1])
