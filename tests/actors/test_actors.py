"""The actor losses: their arithmetic by hand, their limits, what they declare."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch

from selectrl.actors.configs import BinaryConfig, BracConfig, ConstantConfig, SacConfig, WeightedBcConfig
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.registry import ACTORS
from selectrl.structs import Batch, Latent, Losses

GAUSSIAN = TanhGaussianConfig(hidden=(2,), temperature=0.5)
DETERMINISTIC = DeterministicConfig(hidden=(2,))


def batch_of(agent: Any, objective: Any, seed: int = 0, **options: Any) -> Batch:
    """A batch with random task variables."""
    batch = fakes.batch(objective.draws, objective.noise, seed=seed, **options)
    z = torch.from_numpy(np.random.default_rng(seed).standard_normal((len(batch.tasks), 1, fakes.LATENT))).float()
    return batch._replace(latent=Latent(z, z, {}))


def build(actor: Any, critic: Any = fakes.TINY["critics.dual_target"]) -> tuple[Any, Any, Batch]:
    """An agent, the objective of its policy and a batch, all in float64."""
    agent = fakes.agent(critic=critic, actor=actor).double()
    objective = agent.actor.objectives()[-1]
    return agent, objective, fakes.double(batch_of(agent, objective))


def golden(actor: Any, name: str, actions: list[list[float]], q: tuple[float, float] = (1.0, 3.0)) -> Losses:
    """The loss on one task with given data actions, no noise, constant Q, V = 0.5 and a policy whose heads are 0."""
    agent = fakes.agent(critic=fakes.TINY["critics.dual_target"], actor=actor)
    fakes.constant(agent.critic.q_net, *q)
    fakes.constant(agent.critic.v_net, 0.5)
    fakes.constant(agent.policy.net, *[0.0] * agent.policy.net.biases[-1].numel())
    if hasattr(agent.actor, "dual"):
        fakes.constant(agent.actor.dual, 2.0)
    objective = {objective.name: objective for objective in agent.actor.objectives()}[name]
    batch = batch_of(agent, objective, tasks=[0], sizes={"rl": len(actions)})
    rows = {n: r._replace(action=torch.tensor([actions])) for n, r in batch.draws.items()}
    noise = {n: torch.zeros_like(value) for n, value in batch.noise.items()}
    return objective.loss(agent, batch._replace(draws=rows, noise=noise))


# --- goldens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lambda_on", ["dataset", "policy"])
def test_weighted_bc_golden(lambda_on: str) -> None:
    # Q₁ = 1 everywhere: λ = 2.5 / 1. Q₁ - V = .5 > 0, so w = 1. π = 0: mean(1, 0, .25, .25) = .375. -2.5 + .375.
    config = WeightedBcConfig(policy=DETERMINISTIC, lambda_on=lambda_on)
    losses = golden(config, "policy", [[1.0, 0.0], [0.5, -0.5]])
    assert losses.total.item() == pytest.approx(-2.125)
    assert losses.terms["weight"].item() == 1
    assert losses.terms["lambda"].item() == pytest.approx(2.5)
    assert losses.terms["distance"].item() == pytest.approx(0.375)


def test_weighted_bc_golden_where_the_data_are_worse() -> None:
    # Q₁ = -4: λ = 2.5 / 4, -λ Q₁ = 2.5; Q₁ - V = -4.5, so w = 0. Q₂ = 3 is not read.
    config = WeightedBcConfig(policy=DETERMINISTIC)
    losses = golden(config, "policy", [[1.0, 0.0], [0.5, -0.5]], q=(-4.0, 3.0))
    assert losses.total.item() == pytest.approx(2.5)
    assert losses.terms["weight"].item() == 0


def test_weighted_bc_golden_at_the_threshold() -> None:
    # Q₁ = V = .5: the advantage is 0 and not above it
    assert golden(WeightedBcConfig(policy=DETERMINISTIC), "policy", [[1.0, 0.0]], q=(0.5, 9.0)).terms["weight"] == 0


def test_sac_golden() -> None:
    # log π = 2 (-½ ln 2π) = -1.837877 less 2e-6: .5 · -1.837879 - min(1, 3) = -1.918940; both heads 0, so R = 0
    assert golden(SacConfig(policy=GAUSSIAN), "policy", [[1.0, 0.0]]).total.item() == pytest.approx(-1.918940)


def test_brac_dual_golden() -> None:
    # c = 2, g = ln(1 + e²) = 2.126928: D = 1 + ln 2.126928 - 2.126928 = -.372250; penalty (2 - 1)² = 1, times 5
    losses = golden(BracConfig(policy=GAUSSIAN, dual_hidden=(2,)), "dual", [[1.0, 0.0]])
    assert losses.terms["estimate"].item() == pytest.approx(-0.372250, rel=1e-5)
    assert losses.terms["penalty"].item() == pytest.approx(1.0)
    assert losses.total.item() == pytest.approx(5.372250, rel=1e-6)


def test_brac_policy_golden() -> None:
    # the soft loss -1.918940, plus 50 · D = -18.612500, plus the multiplier's own -50 · (D - .05) = 21.112500
    losses = golden(BracConfig(policy=GAUSSIAN, dual_hidden=(2,)), "policy", [[1.0, 0.0]])
    assert losses.terms["loss"].item() == pytest.approx(-1.918940 - 18.612500, rel=1e-5)
    assert losses.total.item() == pytest.approx(0.581060, rel=1e-4)


# --- limits of weighted cloning ---------------------------------------------------------------------------------------


def parts(agent: Any, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q₁ at the policy's action, Q₁ at the data's action, and the squared distance of the two actions."""
    rl, z = batch.draws["rl"], batch.latent.z
    action = agent.policy.mode(rl.obs, z)
    q = [agent.critic.q(rl.obs, a, z)[0].detach().numpy() for a in (action, rl.action)]
    return *q, ((action - rl.action) ** 2).detach().numpy()


@pytest.mark.parametrize("alpha", [0.3, 2.5])
def test_a_weight_of_one_is_td3_bc_and_of_zero_is_td3(alpha: float) -> None:
    """TD3+BC: -λ mean Q₁(s, π) + MSE(π, a) with λ = α / mean |Q₁(s, π)|; TD3 keeps the first term alone."""
    for value in (1.0, 0.0):
        weight = ConstantConfig(value=value)
        actor = fakes.tiny("actors.weighted_bc", weight=weight, lambda_on="policy", alpha=alpha)
        agent, objective, batch = build(actor)
        q, _, distance = parts(agent, batch)
        expected = -alpha / np.abs(q).mean() * q.mean() + value * distance.mean()
        assert objective.loss(agent, batch).total.item() == pytest.approx(expected, rel=1e-10)


def test_alpha_zero_is_filtered_cloning() -> None:
    agent, objective, batch = build(fakes.tiny("actors.weighted_bc", alpha=0.0))
    _, q, distance = parts(agent, batch)
    v = agent.critic.v(batch.draws["rl"].obs, batch.latent.z, agent.policy).detach().numpy()
    better = q > v
    assert 0 < better.mean() < 1
    loss = objective.loss(agent, batch).total
    assert loss.item() == pytest.approx((better[..., None] * distance).mean(), rel=1e-10)
    # rows that are not cloned leave no trace in the gradient
    rl = batch.draws["rl"]
    moved = rl.action.clone()
    moved[torch.from_numpy(~better)] *= 0.999
    still = batch._replace(draws={"rl": rl._replace(action=moved)})
    q_moved = parts(agent, still)[1]
    assert ((q_moved > v) == better).all()
    assert objective.loss(agent, still).total.item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("lambda_on", ["dataset", "policy"])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_loss_does_not_know_the_scale_of_rewards(lambda_on: str, factor: float) -> None:
    """Scaling all values, as rewards do, changes neither the loss nor its gradient."""
    agent, objective, batch = build(fakes.tiny("actors.weighted_bc", lambda_on=lambda_on))

    def outcome() -> tuple[float, torch.Tensor]:
        loss = objective.loss(agent, batch).total
        return loss.item(), torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(agent.policy.parameters()))])

    loss, gradient = outcome()
    with torch.no_grad():
        for net in (agent.critic.q_net, agent.critic.v_net):
            for last in (list(net.weights)[-1], list(net.biases)[-1]):
                last.mul_(factor)
    scaled_loss, scaled_gradient = outcome()
    assert scaled_loss == pytest.approx(loss, rel=1e-10)
    torch.testing.assert_close(scaled_gradient, gradient)


def test_lambda_reads_the_actions_that_it_is_told() -> None:
    scales = {}
    for lambda_on in ("dataset", "policy"):
        agent, objective, batch = build(fakes.tiny("actors.weighted_bc", lambda_on=lambda_on, alpha=1.7))
        q_policy, q_data, _ = parts(agent, batch)
        scales[lambda_on] = objective.loss(agent, batch).terms["lambda"].item()
        normaliser = q_data if lambda_on == "dataset" else q_policy
        assert scales[lambda_on] == pytest.approx(1.7 / np.abs(normaliser).mean())
    assert scales["dataset"] != pytest.approx(scales["policy"], rel=1e-3)


def test_the_second_q_is_not_read() -> None:
    agent, objective, batch = build(fakes.TINY["actors.weighted_bc"])
    before = objective.loss(agent, batch).total.item()
    with torch.no_grad():
        for parameter in agent.critic.q_net.parameters():
            parameter[1] += 1.0
    assert objective.loss(agent, batch).total.item() == before


# --- the multiplier ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("raw", "used"), [(-3.0, 0.0), (7.0, 7.0), (1e6, 2000.0)])
def test_the_multiplier_is_clipped_where_it_is_used_and_not_where_it_is_kept(raw: float, used: float) -> None:
    """α ← α + lr (D - target) even outside the bounds: the gradient descended is target - D."""
    agent, objective, batch = build(fakes.TINY["actors.brac"])
    agent.actor.multiplier.data.fill_(raw)
    losses = objective.loss(agent, batch)
    assert losses.terms["multiplier"].item() == used
    (gradient,) = torch.autograd.grad(losses.total, agent.actor.multiplier)
    assert gradient.item() == pytest.approx(0.2 - losses.terms["divergence"].item())


def test_the_divergence_pulls_the_policy_with_the_used_multiplier() -> None:
    agent, objective, batch = build(fakes.TINY["actors.brac"])
    parameters = list(agent.policy.parameters())

    def gradient(raw: float) -> torch.Tensor:
        agent.actor.multiplier.data.fill_(raw)
        return torch.cat([g.flatten() for g in torch.autograd.grad(objective.loss(agent, batch).total, parameters)])

    without, unit, three = gradient(-1.0), gradient(1.0), gradient(3.0)
    torch.testing.assert_close(three - without, 3 * (unit - without))
    soft = agent.actor.soft_loss(agent, batch, agent.actor.sample(agent, batch))
    torch.testing.assert_close(without, torch.cat([g.flatten() for g in torch.autograd.grad(soft, parameters)]))


# --- what they declare ------------------------------------------------------------------------------------------------


def moves(objective: Any) -> dict[str, tuple[str, float]]:
    return {prefix: (optim.name, optim.lr) for prefix, optim in objective.moves.items()}


def test_weighted_bc_moves_the_policy_on_every_second_step() -> None:
    (policy,) = ACTORS.build(WeightedBcConfig(lr=0.01), fakes.SPEC, 2).objectives()
    assert (moves(policy), policy.every) == ({"policy": ("adam", 0.01)}, 2)
    assert ACTORS.build(WeightedBcConfig(actor_every=3), fakes.SPEC, 2).objectives()[0].every == 3


def test_sac_moves_the_policy_on_every_step() -> None:
    (policy,) = ACTORS.build(SacConfig(lr=0.01), fakes.SPEC, 2).objectives()
    assert (moves(policy), policy.every) == ({"policy": ("adam", 0.01)}, 1)


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_brac_steps_its_dual_first_on_the_steps_rows_then_on_fresh_ones(steps: int) -> None:
    config = BracConfig(dual_hidden=(3,), lr=0.01, dual_lr=0.02, divergence_lr=0.5, dual_steps=steps)
    *dual, policy = ACTORS.build(config, fakes.SPEC, 2).objectives()
    assert len(dual) == steps
    assert all(moves(step) == {"actor.dual": ("adam", 0.02)} for step in dual)
    assert moves(policy) == {"policy": ("adam", 0.01), "actor.multiplier": ("sgd", 0.5)}
    drawn = [draw.name for step in dual for draw in step.draws]
    assert drawn[0] == policy.draws[0].name == "rl"
    assert len(set(drawn)) == steps
    noises = [noise.name for step in dual for noise in step.noise]
    assert len(set(noises)) == 2 * steps
    assert dual[0].noise[0] == policy.noise[0]


def test_published_defaults() -> None:
    brac, bc = BracConfig(), WeightedBcConfig()
    assert (brac.divergence_target, brac.divergence_lr, brac.dual_steps, brac.dual_penalty) == (0.05, 1.0, 3, 5.0)
    assert (brac.dual_lr, brac.lr, brac.regulariser, brac.divergence_max) == (1e-4, 3e-4, 1e-3, 2000.0)
    assert (bc.alpha, bc.lambda_on, bc.actor_every, bc.weight) == (2.5, "dataset", 2, BinaryConfig())
