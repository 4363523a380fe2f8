"""Soft actor-critic for all tasks in lockstep: one stack of networks, one step of each optimiser.

The losses are pure functions with one number per task; the optimiser minimises their sum, so each task has its own
gradient.

Differs from the authors' code (pytorch_sac inside CSRO): tasks are stacked, not distributed over processes; each has
its own random draws, where all of theirs use seed 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.stacked import StackedMLP, StackedTwinQ
from selectrl.functional.checks import require_rank, require_same_shape
from selectrl.streams import key
from selectrl.structs import Rows, Spec


def squash(heads: Tensor, normal: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    r"""Sample a tanh-Gaussian whose log-deviation is squashed into an interval.

    .. math:: \log\sigma = low + \tfrac12(high - low)(\tanh h_2 + 1), \quad u = h_1 + \sigma\epsilon, \quad a = \tanh u

    .. math:: \log\pi = \sum_d \log\mathcal N(u; h_1, \sigma) - 2(\log 2 - u - \mathrm{softplus}(-2u))

    Args:
        heads: h₁ and h₂, concatenated, (task, batch, 2 · action).
        normal: ε, (task, batch, action).
        low: lower end of log σ.
        high: upper end of log σ.

    Returns:
        Actions (task, batch, action) and their log-probabilities (task, batch).

    Raises:
        ValueError: shapes do not fit.
    """
    mean, raw = heads.chunk(2, -1)
    require_same_shape(mean=mean, normal=normal)
    log_std = low + 0.5 * (high - low) * (raw.tanh() + 1)
    before = mean + log_std.exp() * normal
    gaussian = -0.5 * normal.square() - log_std - 0.5 * math.log(2 * math.pi)
    volume = 2 * (math.log(2) - before - F.softplus(-2 * before))  # log(1 - tanh²), without cancellation
    return before.tanh(), (gaussian - volume).sum(-1)


def critic_target(
    reward: Tensor, terminal: Tensor, next_q: Tensor, next_log_prob: Tensor, temperature: Tensor, gamma: float
) -> Tensor:
    r"""Return :math:`y = r + \gamma(1 - d)[\min_j Q'_j(s', a') - \alpha\log\pi(a'|s')]`, (task, batch).

    Args:
        reward: (task, batch).
        terminal: d, 1 at true terminations and 0 at time-outs, (task, batch).
        next_q: Q' at a' ~ π(s'), (twin, task, batch).
        next_log_prob: (task, batch).
        temperature: α, (task,).
        gamma: discount.

    Raises:
        ValueError: shapes do not fit.
    """
    lowest = next_q.amin(0)
    require_same_shape(reward=reward, terminal=terminal, next_q=lowest, next_log_prob=next_log_prob)
    require_rank(1, temperature=temperature)
    return reward + gamma * (1 - terminal) * (lowest - temperature[:, None] * next_log_prob)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return Σⱼ mean over the batch of (Qⱼ - y)², (task,), for Q of (twin, task, batch)."""
    require_same_shape(q=q[0], target=target)
    return (q - target).square().mean(-1).sum(0)


def actor_loss(q: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """Return the batch mean of α log π(a|s) - minⱼ Qⱼ(s, a), (task,), for Q of (twin, task, batch)."""
    require_same_shape(q=q[0], log_prob=log_prob)
    require_rank(1, temperature=temperature)
    return (temperature[:, None] * log_prob - q.amin(0)).mean(-1)


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return the batch mean of -α (log π(a|s) + target entropy), (task,); only α carries a gradient."""
    require_rank(1, log_temperature=log_temperature)
    require_rank(2, log_prob=log_prob)
    return -log_temperature.exp() * (log_prob.detach() + target_entropy).mean(-1)


class BatchedSac:
    """One SAC per task, all updated in lockstep.

    Args:
        config: sizes and rates.
        spec: shapes of the family.
        tasks: ids of the tasks, which key the initial weights.
        device: device of the networks.
    """

    def __init__(self, config: SacBehaviourConfig, spec: Spec, tasks: Sequence[int], device: str = "cpu") -> None:
        def seed(name: str, task: int) -> int:
            return key(config.seed, "behaviour", "init", name, task) % 2**63

        policy = StackedMLP([seed("policy", task) for task in tasks], [spec.obs, *config.hidden, 2 * spec.action])
        twins = [(seed("q1", task), seed("q2", task)) for task in tasks]
        self.config, self.target_entropy, self.device = config, -float(spec.action), device
        self.policy = policy.to(device)
        self.critic = StackedTwinQ(twins, [spec.obs + spec.action, *config.hidden]).to(device)
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        start = torch.full((len(tasks),), math.log(config.init_temperature), device=device)
        self.log_temperature = nn.Parameter(start)  # (task,)
        self.optimisers = {
            "critic": Adam(self.critic.parameters(), config.lr, fused=True),
            "policy": Adam(self.policy.parameters(), config.lr, fused=True),
            "temperature": Adam([self.log_temperature], config.lr, fused=True),
        }

    def sample(self, obs: Tensor, normal: Tensor, policy: StackedMLP | None = None) -> tuple[Tensor, Tensor]:
        """Draw actions at (task, batch, ·) observations, from the current policies or from copies of some of them."""
        heads: Tensor = (policy or self.policy)(obs)
        return squash(heads, normal, self.config.log_std_min, self.config.log_std_max)

    def update(self, rows: Rows, normal: Tensor, next_normal: Tensor, *, move_target: bool) -> None:
        """Update the critic, the policy and the temperature, in this order, and then the target if it is due.

        Args:
            rows: (task, batch, ·).
            normal: noise of the policy at s, (task, batch, action).
            next_normal: noise of the policy at s'.
            move_target: whether to update Q'.
        """
        temperature = self.log_temperature.detach().exp()
        with torch.no_grad():
            next_action, next_log_prob = self.sample(rows.next_obs, next_normal)
            next_q = self.target.values(rows.next_obs, next_action)
            y = critic_target(rows.reward, rows.terminal, next_q, next_log_prob, temperature, self.config.gamma)
        self._descend("critic", critic_loss(self.critic.values(rows.obs, rows.action), y))
        action, log_prob = self.sample(rows.obs, normal)
        self._descend("policy", actor_loss(self.critic.values(rows.obs, action), log_prob, temperature))
        self._descend("temperature", temperature_loss(self.log_temperature, log_prob, self.target_entropy))
        if move_target:
            with torch.no_grad():
                slow, fast = tuple(self.target.parameters()), tuple(self.critic.parameters())
                torch._foreach_lerp_(slow, fast, self.config.tau)

    def _descend(self, name: str, loss: Tensor) -> None:
        """Take a step of one optimiser on one loss; no other parameter receives a gradient."""
        parameters = self.optimisers[name].param_groups[0]["params"]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss.sum(), parameters), strict=True):
            parameter.grad = gradient
        self.optimisers[name].step()

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next update depends on, by name."""
        state = {"log_temperature": self.log_temperature.detach()}
        for name in ("policy", "critic", "target"):
            state |= {f"{name}.{k}": v for k, v in getattr(self, name).state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for index, moments in optimiser.state_dict()["state"].items():
                state |= {f"adam.{name}.{index}.{k}": v for k, v in moments.items()}
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Load a state that :meth:`state` returned."""
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        for name in ("policy", "critic", "target"):
            module: nn.Module = getattr(self, name)
            module.load_state_dict({k: state[f"{name}.{k}"] for k in module.state_dict()})
        for name, optimiser in self.optimisers.items():
            own = optimiser.state_dict()
            for path, value in state.items():
                if path.startswith(f"adam.{name}."):
                    index, moment = path.split(".")[2:]
                    own["state"].setdefault(int(index), {})[moment] = value
            optimiser.load_state_dict(own)
