"""The base of soft actors: the policy's sample, and its loss before any constraint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

from selectrl.actors.configs import SacConfig
from selectrl.protocols import Agent, Draw, Noise, Objective
from selectrl.structs import Batch, Losses, Sample, Spec

C = TypeVar("C", bound=SacConfig)


class SoftActor(nn.Module, ABC, Generic[C]):
    r"""The base of soft actors, with their loss before any constraint.

    .. math:: \operatorname{mean}(\tau_\pi\log\pi(\tilde a|s,z) - \min_j Q_j(s,\tilde a,z)) + R

    R is rlkit's :math:`10^{-3}(\operatorname{mean}\mu^2 + \operatorname{mean}\log^2\sigma)`. Q is read after its
    update.

    Args:
        config: the regulariser and the learning rate.
        spec: shapes of the family.
        latent_dim: width of z.
    """

    def __init__(self, config: C, spec: Spec, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.rows = Draw("rl", "rl")
        self.noise = Noise("policy", "normal", ("task", "rl", spec.action))

    def sample(self, agent: Agent, batch: Batch) -> Sample:
        """Return the policy's sample at the step's rows."""
        sample: Sample = agent.policy.sample(batch.draws["rl"].obs, batch.latent.z, batch.noise["policy"])
        return sample

    def soft_loss(self, agent: Agent, batch: Batch, sample: Sample) -> Tensor:
        """Return the unconstrained loss of a sample, a scalar."""
        q = agent.critic.q(batch.draws["rl"].obs, sample.action, batch.latent.z).amin(0)
        soft: Tensor = (agent.policy.temperature * sample.log_prob - q).mean()
        return soft + self.config.regulariser * sample.size.mean()

    @abstractmethod
    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The policy's loss."""

    @abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """Return the policy's objective, after those on which it depends."""
