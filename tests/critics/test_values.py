"""The estimators of V: what each one regresses on, how it is read, and which parameters it moves."""

from __future__ import annotations

from functools import partial
from typing import Any

import fakes
import pytest
import torch

from selectrl.critics.configs import EnsembleConfig, ExpectileConfig, MinTargetQConfig, TdTargetConfig
from selectrl.errors import FieldError
from selectrl.registry import CRITICS, VALUES
from selectrl.structs import Batch, Latent
from selectrl.trainer.agent import belongs

ALL = pytest.mark.parametrize("value", fakes.values(), ids=repr)


def built(value: Any, actor: Any = fakes.TINY["actors.weighted_bc"]) -> tuple[Any, Any, Batch]:
    """An agent with the estimator, the critic's objective, and a batch with random task variables."""
    agent = fakes.agent(critic=fakes.tiny("critics.dual_target", value=value), actor=actor)
    (objective,) = agent.critic.objectives()
    batch = fakes.batch(objective.draws, objective.noise)
    z = torch.randn(fakes.TASKS, 1, fakes.LATENT, generator=torch.Generator().manual_seed(0))
    return agent, objective, batch._replace(latent=Latent(z, z, {}))


# --- goldens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reduce", "expected"), [("mean", 2.0), ("min", -1.0)])
def test_ensemble_golden(reduce: str, expected: float) -> None:
    # members (-1, 3, 4): mean 2, minimum -1. On y = (0, 2): (1 + 9) / 2 + (9 + 1) / 2 + (16 + 4) / 2 = 20
    value = VALUES.build(EnsembleConfig(members=3, reduce=reduce))
    v = torch.tensor([-1.0, 3.0, 4.0])[:, None, None].expand(3, 1, 2)
    assert value.combine(v).tolist() == [[expected] * 2]
    assert value.loss(v, torch.tensor([[0.0, 2.0]])).item() == pytest.approx(20.0)


def test_expectile_golden() -> None:
    # τ = .8, V = 1: u = (2, -1), .8 · 4 = 3.2 and .2 · 1 = .2, mean 1.7
    loss = VALUES.build(ExpectileConfig(expectile=0.8)).loss(torch.ones(1, 1, 2), torch.tensor([[3.0, 0.0]]))
    assert loss.item() == pytest.approx(1.7)


def test_the_minimum_of_the_expectile_loss_is_the_expectile() -> None:
    # targets 0 and 4: the τ-expectile m solves τ (4 - m) = (1 - τ) m, so m = 4 τ
    for tau in (0.5, 0.7, 0.9):
        v = torch.full((1, 1, 2), 4 * tau, requires_grad=True)
        loss = VALUES.build(ExpectileConfig(expectile=tau)).loss(v, torch.tensor([[0.0, 4.0]]))
        (gradient,) = torch.autograd.grad(loss, v)
        assert gradient.sum().item() == pytest.approx(0.0, abs=1e-6)


# --- what they read and move ------------------------------------------------------------------------------------------


def test_targets_read_the_action_that_they_name() -> None:
    agent, _, batch = built(TdTargetConfig())
    rl, z = batch.draws["rl"], batch.latent.z
    y = torch.full((fakes.TASKS, 6), 7.0)
    actions = {"min_target_q": rl.action, "expectile": rl.action, "min_target_q_policy": agent.policy.mode(rl.obs, z)}
    target_q = partial(agent.critic.target_q, agent, batch)
    for name in ("td_target", "ensemble"):
        assert VALUES.build(VALUES[name].config()).target(agent, batch, y, target_q) is y
    for name, action in actions.items():
        target = VALUES.build(VALUES[name].config()).target(agent, batch, y, target_q)
        q = agent.targets["critic_q_net"].value(rl.obs, action, z)
        torch.testing.assert_close(target, torch.minimum(q[0], q[1]))
        assert not torch.allclose(target, agent.critic.q(rl.obs, action, z).amin(0))


@ALL
def test_regression_moves_every_v_network_and_nothing_else(value: Any) -> None:
    agent, objective, batch = built(value)
    z = batch.latent.z.clone().requires_grad_()
    loss = objective.loss(agent, batch._replace(latent=Latent(z, z, {}))).terms["v_loss"]
    named = [(n, p) for n, p in agent.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [p for _, p in named] + [z], allow_unused=True)
    moved = {n for (n, _), g in zip(named, gradients, strict=False) if g is not None}
    assert moved == {n for n, _ in named if belongs(n, "critic.v_net")}
    assert gradients[-1] is None  # V sees z cut from the encoder
    last = gradients[[n for n, _ in named].index("critic.v_net.biases.0")]
    assert last.shape[0] == VALUES.build(value).members
    assert (last.flatten(1).abs().sum(1) > 0).all()


@ALL
def test_the_critic_reads_one_value_per_row(value: Any) -> None:
    agent, _, batch = built(value)
    obs, z = batch.draws["rl"].obs, batch.latent.z
    every = agent.critic.v_net(obs, z)
    assert every.shape == (VALUES.build(value).members, fakes.TASKS, 6)
    v = agent.critic.v(obs, z, agent.policy)
    assert v.shape == (fakes.TASKS, 6)
    expected = every.amin(0) if getattr(value, "reduce", "") == "min" else every.mean(0)
    torch.testing.assert_close(v, expected)


def test_a_member_moves_as_if_it_were_alone() -> None:
    together, objective, batch = built(EnsembleConfig(members=3))
    (gradient,) = torch.autograd.grad(objective.loss(together, batch).total, [together.critic.v_net.weights[0]])
    alone, objective, _ = built(TdTargetConfig())
    alone.load_state_dict({n: p[1:2] if n.startswith("critic.v_net") else p for n, p in together.state_dict().items()})
    (single,) = torch.autograd.grad(objective.loss(alone, batch).total, [alone.critic.v_net.weights[0]])
    torch.testing.assert_close(gradient[1:2], single)


def test_members_begin_apart_and_the_first_as_a_single_network_does() -> None:
    def initial(value: Any) -> torch.Tensor:
        torch.manual_seed(0)
        config = fakes.tiny("critics.dual_target", value=value, hidden=(5,))
        return CRITICS.build(config, fakes.SPEC, fakes.LATENT).v_net.weights[0].detach()

    assert initial(MinTargetQConfig()).shape[0] == 1
    first, second = initial(EnsembleConfig(members=2))
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, initial(TdTargetConfig())[0])


@ALL
def test_a_population_of_seeds_equals_single_losses(value: Any) -> None:
    agent, objective, batch = built(value)
    batches = [batch, batch._replace(latent=batch.latent._replace(z=batch.latent.z + 1))]
    both = torch.func.vmap(lambda batch: objective.loss(agent, batch).total)(fakes.stacked(batches))
    torch.testing.assert_close(both, torch.stack([objective.loss(agent, batch).total for batch in batches]))


@pytest.mark.parametrize(
    "make",
    [lambda: EnsembleConfig(members=0), lambda: EnsembleConfig(reduce="max"), lambda: ExpectileConfig(expectile=0)],
)
def test_values_out_of_range_are_refused(make: Any) -> None:
    with pytest.raises(FieldError):
        make()
