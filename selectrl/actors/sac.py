"""The soft actor of PEARL, FOCAL and CSRO, without a constraint."""

from __future__ import annotations

from selectrl.actors.configs import SacConfig
from selectrl.actors.soft import SoftActor
from selectrl.protocols import Agent, Objective, Optim
from selectrl.structs import Batch, Losses


class SacActor(SoftActor[SacConfig]):
    """Minimises the soft actor's loss without a constraint.

    References:
        Haarnoja et al., ICML 2018; the actor of PEARL, FOCAL and CSRO.
    """

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The policy's loss."""
        sample = self.sample(agent, batch)
        loss = self.soft_loss(agent, batch, sample)
        return Losses(loss, {"loss": loss, "log_prob": sample.log_prob.mean()})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the policy's objective."""
        moves = {"policy": Optim(lr=self.config.lr)}
        return (Objective(name="policy", loss=self.loss, moves=moves, draws=(self.rows,), noise=(self.noise,)),)
