"""SELECT's proximal context collection, the meta-policy with small noise, and its variants."""

from __future__ import annotations

import math

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import AnnealedConfig, BeliefScaledConfig, HeldConfig, ProximalConfig
from selectrl.functional.values import smooth_action
from selectrl.protocols import Policy
from selectrl.structs import Moment

CLIP = 2.5  # bound of the noise, in its own deviations, unless a config sets it


def push(action: Tensor, normal: Tensor, config: ProximalConfig) -> Tensor:
    """Return the action plus σ times the noise, clipped at c, (world, action) in [-1, 1]."""
    clip = CLIP * config.sigma if config.clip is None else config.clip
    return smooth_action(action, normal, scale=config.sigma, clip=clip)


class ProximalCollector(PolicyCollector[ProximalConfig]):
    r"""Eq. 4 of SELECT: :math:`a = \operatorname{clip}(\pi(s,z) + \operatorname{clip}(\epsilon, \pm c), \pm1)`.

    ε ~ N(0, σ²) is drawn at every step, there is no random phase, and the executed action enters the context.

    References:
        SELECT, AAMAS 2025, Eq. 4. The paper gives neither σ nor c.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode plus clipped noise, (world, action)."""
        return push(policy.mode(obs, z), moment.normal, self.config)


class HeldCollector(PolicyCollector[HeldConfig]):
    """Eq. 4 with ε drawn once per block: a constant offset, whose effects do not cancel over steps."""

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode plus the block's clipped noise, (world, action)."""
        return push(policy.mode(obs, z), moment.held, self.config)


class AnnealedCollector(PolicyCollector[AnnealedConfig]):
    r"""Eq. 4 with a σ that falls over the budget: from wide exploration to context near the policy.

    With p the used fraction of the budget, :math:`\sigma = \sigma_0 + (\sigma_1-\sigma_0)\,h(p)`, where h is p
    (linear) or :math:`(1-\cos\pi p)/2` (cosine); c is 2.5 σ.
    """

    def sigma(self, progress: float) -> float:
        """Return the noise's deviation after a fraction of the budget."""
        config = self.config
        share = progress if config.schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
        return config.sigma_start + (config.sigma_end - config.sigma_start) * share

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode plus clipped noise, (world, action)."""
        sigma = self.sigma(moment.progress)
        return smooth_action(policy.mode(obs, z), moment.normal, scale=sigma, clip=CLIP * sigma)


class BeliefScaledCollector(PolicyCollector[BeliefScaledConfig]):
    r"""Eq. 4 with a σ in proportion to the belief's uncertainty, in each world.

    .. math:: \sigma = \operatorname{clip}(k \bar s, \sigma_{low}, \sigma_{high})

    k is the scale, s̄ the mean spread over dimensions, c is 2.5 σ. Before any context the belief's spread is 1. The
    spread of a posterior shrinks with evidence; the spread of a plain mean is the deviation of its row embeddings,
    which may not shrink.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode plus clipped noise, (world, action)."""
        config = self.config
        sigma = (config.scale * moment.spread.mean(-1, keepdim=True)).clamp(config.low, config.high)
        noise = sigma * moment.normal.clamp(-CLIP, CLIP)
        return (policy.mode(obs, z) + noise).clamp(-1, 1)
