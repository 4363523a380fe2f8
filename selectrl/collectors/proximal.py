"""SELECT's proximal context collection: stay near the meta-policy and let noise explore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from selectrl.collectors.online import OnlineCollector
from selectrl.functional.values import smoothed_action
from selectrl.protocols import Policy
from selectrl.structs import Moment

if TYPE_CHECKING:
    from selectrl.collectors.configs import ProximalConfig


class ProximalCollector(OnlineCollector):
    r"""Eq. 4 of SELECT: :math:`a = \operatorname{clip}(\pi(s,z) + \operatorname{clip}(\epsilon, \pm c), \pm1)`.

    ε ~ N(0, σ²) is redrawn every step, there is no random phase, and the executed action enters the context.

    References:
        SELECT, AAMAS 2025, Eq. 4. The paper gives neither σ nor c.
    """

    def __init__(self, config: ProximalConfig) -> None:
        self.sigma = config.sigma
        self.clip = 2.5 * config.sigma if config.clip is None else config.clip

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode plus clipped noise, (world, action)."""
        return smoothed_action(policy.mode(obs, z), moment.normal, scale=self.sigma, clip=self.clip)
