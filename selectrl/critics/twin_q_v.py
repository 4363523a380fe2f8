"""SAC-v1's critic: twin Q and V, with a Polyak copy only of V."""

from __future__ import annotations

from torch import Tensor

from selectrl.critics.configs import TwinQVConfig
from selectrl.critics.qv import QVNetworks
from selectrl.functional.values import twin_td_loss, value_loss
from selectrl.protocols import Agent, Noise, Objective, Optim, Policy, Track
from selectrl.structs import Batch, Losses, Spec


class TwinQVCritic(QVNetworks[TwinQVConfig]):
    r"""Twin Q on the target of V, and V on the twin's smaller value.

    .. math:: y = \rho r + (1-d)\,\gamma \bar V(s', z'), \qquad
       V(s, z) \to \min_j Q_j(s, \tilde a, z) - \tau_\pi \log\pi(\tilde a | s, z)

    The first objective steps Q; the second reads the updated Q. Both read a detached z, unless the encoder takes critic
    gradients.

    Differs from CSRO's and FOCAL's code:

    1. No value penalty, which is off in all six of their configurations; it combined the divergence at s with the value
       at s'.
    2. d is 1 only at true terminations (``data.terminals="true"``). Theirs marks the last transition of every stored
       episode as terminal, also at a time limit (``data.terminals="paper"``), so that the value of a state decreases
       with the remaining time, which the state does not contain.

    References:
        Haarnoja et al., ICML 2018; the update order of PEARL, FOCAL and CSRO.
    """

    def __init__(self, config: TwinQVConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__(config, spec, latent_dim)
        self.policy_noise = Noise("policy", "normal", ("task", "rl", spec.action))

    def v(self, obs: Tensor, z: Tensor, policy: Policy) -> Tensor:
        """Return V(s, z), (task, batch)."""
        return self.v_net(obs, z)

    def td_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The TD loss of both Q."""
        rl = batch.draws["rl"]
        target = self.backup(rl, agent.target(self.v_net)(rl.next_obs, batch.latent.z_next))
        q = self.q(rl.obs, rl.action, batch.latent.z)
        loss = twin_td_loss(q, target)
        return Losses(loss, {"td": loss, "q": q.mean(), "target": target.mean()})

    def v_loss(self, agent: Agent, batch: Batch) -> Losses:
        """V's loss, on the updated Q at the policy's action."""
        obs, z = batch.draws["rl"].obs, batch.latent.z
        sample = agent.policy.sample(obs, z, batch.noise["policy"])
        target = self.q(obs, sample.action, z).amin(0) - agent.policy.temperature * sample.log_prob
        v = self.v_net(obs, z)
        loss = value_loss(v, target)
        return Losses(loss, {"loss": loss, "v": v.mean()})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the TD objective and the objective of V."""
        td = Objective(
            name="critic", loss=self.td_loss, moves={"critic.q_net": Optim(lr=self.config.q_lr)}, draws=(self.rows,)
        )
        v = Objective(
            name="value",
            loss=self.v_loss,
            moves={"critic.v_net": Optim(lr=self.config.v_lr)},
            draws=(self.rows,),
            noise=(self.policy_noise,),
        )
        return td, v

    def tracks(self) -> tuple[Track, ...]:
        """Return the target V."""
        return (Track(source="critic.v_net", tau=self.config.tau),)
