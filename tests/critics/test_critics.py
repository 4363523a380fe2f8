"""The critics: their arithmetic by hand, what they read and declare."""

from __future__ import annotations

from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from selectrl.critics.configs import (
    DualTargetConfig,
    EnsembleConfig,
    ExpectileConfig,
    MinTargetQConfig,
    MinTargetQPolicyConfig,
    TdTargetConfig,
    TwinQVConfig,
)
from selectrl.errors import FieldError
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.registry import CRITICS
from selectrl.structs import Batch, Latent, Losses

BOTH = pytest.mark.parametrize("config", [fakes.TINY["critics.twin_q_v"], fakes.TINY["critics.dual_target"]])
GAUSSIAN = TanhGaussianConfig(hidden=(2,), temperature=0.5)
DETERMINISTIC = DeterministicConfig(hidden=(2,))


def golden(config: Any, policy: Any) -> Any:
    """An agent whose networks are constants: Q = (1, 3), V = 0.5."""
    agent = fakes.agent(critic=config, actor=fakes.tiny("actors.sac", policy=policy))
    fakes.constant(agent.critic.q_net, 1.0, 3.0)
    fakes.constant(agent.critic.v_net, 0.5)
    return agent


def two_rows(agent: Any, objective: Any) -> Batch:
    """One task, rewards 1 and -1, the second row terminal, no noise, z = 0."""
    batch = fakes.batch(objective.draws, objective.noise, tasks=[0], sizes={"rl": 2})
    rl = batch.draws["rl"]._replace(reward=torch.tensor([[1.0, -1.0]]), terminal=torch.tensor([[0.0, 1.0]]))
    z = torch.zeros(1, 1, fakes.LATENT)
    noise = {name: torch.zeros_like(value) for name, value in batch.noise.items()}
    return batch._replace(draws={"rl": rl}, noise=noise, latent=Latent(z, z, {}))


def run(agent: Any, name: str) -> Losses:
    objective = {objective.name: objective for objective in agent.critic.objectives()}[name]
    return objective.loss(agent, two_rows(agent, objective))


# --- goldens ----------------------------------------------------------------------------------------------------------


def test_twin_q_v_critic_golden() -> None:
    # ρ = 10, γ = .5, target V = 2: y = (10 + .5 · 2, -10) = (11, -10).
    # Q₁ = 1: (100 + 121) / 2 = 110.5; Q₂ = 3: (64 + 169) / 2 = 116.5; 227 together.
    agent = golden(TwinQVConfig(hidden=(2,), discount=0.5, reward_scale=10.0), GAUSSIAN)
    fakes.constant(agent.targets["critic_v_net"], 2.0)
    losses = run(agent, "critic")
    assert losses.total.item() == pytest.approx(227.0)
    assert losses.terms["target"].item() == pytest.approx(0.5)


def test_twin_q_v_value_golden() -> None:
    # μ = 0, σ = 1, ε = 0: log π = 2 (-½ ln 2π - ln(1 + 1e-6)) = -1.837879. V → min(1, 3) + .5 · 1.837879 = 1.918940.
    # (.5 - 1.918940)² = 2.013389
    agent = golden(TwinQVConfig(hidden=(2,)), GAUSSIAN)
    fakes.constant(agent.policy.net, 0.0, 0.0, 0.0, 0.0)
    assert run(agent, "value").total.item() == pytest.approx(2.013389, rel=1e-5)


@pytest.mark.parametrize(
    ("value", "v_loss"),
    [
        (TdTargetConfig(), 110.25),
        (MinTargetQConfig(), 2.25),
        (MinTargetQPolicyConfig(), 2.25),
        (ExpectileConfig(), 1.575),
        (EnsembleConfig(members=1), 110.25),
    ],
)
def test_dual_target_critic_golden(value: Any, v_loss: float) -> None:
    # target Q = (2, 4), γ = .5, ρ = 10: y = (10 + .5 · 2, -10) = (11, -10). TD as for twin_q_v: 227.
    # V = .5 on y: (10.5² + 10.5²) / 2 = 110.25; on min Q' = 2: 1.5² = 2.25, and by the expectile .7 · 2.25 = 1.575.
    config = DualTargetConfig(hidden=(2,), discount=0.5, reward_scale=10.0, value=value)
    agent = golden(config, DETERMINISTIC)
    fakes.constant(agent.targets["critic_q_net"], 2.0, 4.0)
    losses = run(agent, "critic")
    assert losses.terms["td"].item() == pytest.approx(227.0)
    assert losses.total.item() == pytest.approx(227.0 + v_loss)


def test_dual_target_with_entropy_golden() -> None:
    # τ = .5 and log π' = -1.837879: the bootstrap is 2 + .918940, y = (10 + 1.459470, -10).
    # Q₁: (10.459470² + 11²) / 2 = 115.200255; Q₂: (8.459470² + 13²) / 2 = 120.281315
    agent = golden(DualTargetConfig(hidden=(2,), discount=0.5, reward_scale=10.0), GAUSSIAN)
    fakes.constant(agent.targets["critic_q_net"], 2.0, 4.0)
    fakes.constant(agent.targets["policy"].net, 0.0, 0.0, 0.0, 0.0)
    assert run(agent, "critic").terms["td"].item() == pytest.approx(235.48157, rel=1e-5)


# --- what they read ---------------------------------------------------------------------------------------------------


@BOTH
def test_q_v_and_q1_alone(config: Any) -> None:
    agent = fakes.agent(critic=config)
    rows = fakes.rows(np.random.default_rng(0), 4, 6)
    z = torch.randn(4, 1, fakes.LATENT, generator=torch.Generator().manual_seed(0))
    both = agent.critic.q(rows.obs, rows.action, z)
    assert both.shape == (2, 4, 6)
    assert not torch.equal(both[0], both[1])
    torch.testing.assert_close(agent.critic.q(rows.obs, rows.action, z, twins=1), both[:1])
    alone = agent.critic.v_net(rows.obs, z).reshape(4, 6)
    torch.testing.assert_close(agent.critic.v(rows.obs, z, agent.policy), alone)
    assert agent.critic.v(rows.obs, z, agent.policy).shape == (4, 6)


@BOTH
def test_the_bootstrap_reads_the_next_belief(config: Any) -> None:
    agent = fakes.agent(critic=config)
    objective = agent.critic.objectives()[0]
    batch = fakes.batch(objective.draws, objective.noise)
    z, z_next = (torch.randn(4, 6, fakes.LATENT, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    same, apart = (objective.loss(agent, batch._replace(latent=Latent(z, b, {}))) for b in (z, z_next))
    torch.testing.assert_close(same.terms["q"], apart.terms["q"])
    assert (same.terms["target"] - apart.terms["target"]).abs() > 1e-3


@BOTH
def test_a_terminal_row_ignores_what_follows(config: Any) -> None:
    agent = fakes.agent(critic=config)
    objective = agent.critic.objectives()[0]
    batch = fakes.batch(objective.draws, objective.noise)
    latent = Latent(torch.zeros(4, 1, fakes.LATENT), torch.zeros(4, 1, fakes.LATENT), {})

    def target(terminal: float, shift: float) -> float:
        rl = batch.draws["rl"]
        rl = rl._replace(next_obs=rl.next_obs + shift, terminal=torch.full_like(rl.terminal, terminal))
        return objective.loss(agent, batch._replace(draws={"rl": rl}, latent=latent)).terms["target"].item()

    assert target(1.0, 0.0) == target(1.0, 5.0) == pytest.approx((3 * batch.draws["rl"].reward).mean().item())
    assert target(0.0, 0.0) != target(0.0, 5.0)


def test_target_actions_stay_in_the_box() -> None:
    """With π' at the corner the smoothing may only pull inwards."""
    agent = fakes.agent(critic=fakes.TINY["critics.dual_target"], actor=fakes.TINY["actors.weighted_bc"])
    fakes.constant(agent.targets["policy"].net, 9.0, -9.0)
    objective = agent.critic.objectives()[0]
    batch = fakes.batch(objective.draws, objective.noise)
    seen = []
    real = agent.targets["critic_q_net"].value
    agent.targets["critic_q_net"].value = lambda obs, action, z: seen.append(action) or real(obs, action, z)
    latent = Latent(torch.zeros(4, 1, fakes.LATENT), torch.zeros(4, 1, fakes.LATENT), {})
    objective.loss(agent, batch._replace(latent=latent))
    action = seen[0]
    assert action.abs().max() <= 1
    noise = (0.4 * batch.noise["smoothing"]).clamp(-0.5, 0.5)
    torch.testing.assert_close(action[..., 0], (1 + noise[..., 0]).clamp(max=1))
    torch.testing.assert_close(action[..., 1], (-1 + noise[..., 1]).clamp(min=-1))


# --- what they declare ------------------------------------------------------------------------------------------------


def test_twin_q_v_declares_td_then_v_and_a_target_of_v_alone() -> None:
    critic = CRITICS.build(TwinQVConfig(hidden=(3,), q_lr=0.01, v_lr=0.02, tau=0.3), fakes.SPEC, 2)
    td, v = critic.objectives()
    assert ({k: o.lr for k, o in td.moves.items()}, td.every) == ({"critic.q_net": 0.01}, 1)
    assert ({k: o.lr for k, o in v.moves.items()}, v.every) == ({"critic.v_net": 0.02}, 1)
    assert not any(o.late for objective in (td, v) for o in objective.moves.values())
    assert [(t.source, t.tau, t.every) for t in critic.tracks()] == [("critic.v_net", 0.3, 1)]


def test_dual_target_declares_one_objective_with_a_late_v_and_delayed_targets() -> None:
    critic = CRITICS.build(DualTargetConfig(hidden=(3,), q_lr=0.01, v_lr=0.02, tau=0.3, target_every=3), fakes.SPEC, 2)
    (td,) = critic.objectives()
    assert {k: (o.lr, o.late) for k, o in td.moves.items()} == {
        "critic.q_net": (0.01, False),
        "critic.v_net": (0.02, True),
    }
    assert {(t.source, t.tau, t.every) for t in critic.tracks()} == {("critic.q_net", 0.3, 3), ("policy", 0.3, 3)}


def test_published_defaults() -> None:
    config = DualTargetConfig()
    assert (config.tau, config.target_every, config.smoothing, config.smoothing_clip) == (0.005, 2, 0.2, 0.5)
    assert (config.value, config.q_lr, config.v_lr) == (TdTargetConfig(), 3e-4, 3e-4)
    assert (TwinQVConfig().tau, TwinQVConfig().q_lr, TwinQVConfig().v_lr) == (0.005, 3e-4, 3e-4)
    with pytest.raises(FieldError, match=r"one of @values\.td_target, @values\.min_target_q"):
        attrs.evolve(config, value="q")
