"""The soft actor of PEARL, FOCAL and CSRO, without a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from selectrl.protocols import Agent, Draw, Noise, Objective, Optim
from selectrl.structs import Batch, Losses, Sample, Spec

if TYPE_CHECKING:
    from selectrl.actors.configs import SacConfig


class SacActor(nn.Module):
    r"""Minimises :math:`\operatorname{mean}(\tau_\pi\log\pi(\tilde a|s,z) - \min_j Q_j(s,\tilde a,z)) + R`.

    R is rlkit's :math:`10^{-3}(\operatorname{mean}\mu^2 + \operatorname{mean}\log^2\sigma)`. Q is read after its
    update.

    References:
        Haarnoja et al., ICML 2018; the actor of PEARL, FOCAL and CSRO.
    """

    def __init__(self, config: SacConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.rows = Draw("rl", "rl")
        self.noise = Noise("policy", "normal", ("task", "rl", spec.action))

    def sample(self, agent: Agent, batch: Batch) -> Sample:
        """Return the policy's draw at the step's rows."""
        sample: Sample = agent.policy.sample(batch.draws["rl"].obs, batch.latent.z, batch.noise["policy"])
        return sample

    def soft_loss(self, agent: Agent, batch: Batch, sample: Sample) -> Tensor:
        """Return the unconstrained loss of a draw, a scalar."""
        q = agent.critic.q(batch.draws["rl"].obs, sample.action, batch.latent.z).amin(0)
        soft: Tensor = (agent.policy.temperature * sample.log_prob - q).mean()
        return soft + self.config.regulariser * sample.size.mean()

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The policy's loss."""
        sample = self.sample(agent, batch)
        loss = self.soft_loss(agent, batch, sample)
        return Losses(loss, {"loss": loss, "log_prob": sample.log_prob.mean()})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the policy's objective."""
        moves = {"policy": Optim(lr=self.config.lr)}
        return (Objective(name="policy", loss=self.loss, moves=moves, draws=(self.rows,), noise=(self.noise,)),)
