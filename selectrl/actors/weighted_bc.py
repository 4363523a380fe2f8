"""SELECT's actor: it maximises Q with a behaviour-cloning term on actions that are better than average."""

from __future__ import annotations

from torch import nn

from selectrl.actors.configs import WeightedBcConfig
from selectrl.functional.constraints import q_scale, weighted_cloning_loss
from selectrl.protocols import Agent, Draw, Noise, Objective, Optim
from selectrl.registry import WEIGHTS
from selectrl.structs import Batch, Losses, Spec


class WeightedBcActor(nn.Module):
    r"""Equations 1 to 3 of SELECT, as a loss to minimise.

    .. math:: -\lambda\,\operatorname{mean} Q_1(s, \pi(s,z), z) + \operatorname{mean}\,[w\,(\pi(s,z) - a)^2],\quad
       \lambda = \frac{\alpha}{\operatorname{mean}|Q_1|},\quad w = 1[Q_1(s,a,z) - V(s,z) > 0]

    Means are over all rows of all tasks of the meta-batch, including those with w = 0, and over action dimensions; λ is
    a scalar. Q₁ is read after its update in the same step, V before its update (its optimiser is late). A stochastic
    policy enters both terms by its sample.

    Differs from TD3+BC's and wPC's code, which normalise by |Q₁| at the policy's action (``lambda_on="policy"``).

    References:
        SELECT, AAMAS 2025; Fujimoto & Gu, NeurIPS 2021; Peng et al., "wPC", AAAI 2023.
    """

    def __init__(self, config: WeightedBcConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.weight = WEIGHTS.build(config.weight)
        self.rows = Draw("rl", "rl")
        self.noise = Noise("policy", "normal", ("task", "rl", spec.action))

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The policy's loss."""
        rl, z, config = batch.draws["rl"], batch.latent.z, self.config
        action = agent.policy.sample(rl.obs, z, batch.noise["policy"]).action
        q_policy = agent.critic.q(rl.obs, action, z, twins=1)[0]
        q_data = agent.critic.q(rl.obs, rl.action, z, twins=1)[0]
        weight = self.weight.weigh(q_data - agent.critic.v(rl.obs, z, agent.policy))
        scale = q_scale(q_data if config.lambda_on == "dataset" else q_policy, alpha=config.alpha)
        loss = weighted_cloning_loss(q_policy, action, rl.action, weight, scale)
        distance = (action - rl.action).square().mean()
        terms = {"loss": loss, "weight": weight.mean(), "lambda": scale, "q": q_policy.mean(), "distance": distance}
        return Losses(loss, terms)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the policy's objective."""
        return (
            Objective(
                name="policy",
                loss=self.loss,
                moves={"policy": Optim(lr=self.config.lr)},
                draws=(self.rows,),
                noise=(self.noise,),
                every=self.config.actor_every,
            ),
        )
