"""SELECT's critic: dual target networks for Q, and a V that depends on them."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from selectrl.critics.configs import DualTargetConfig
from selectrl.critics.qv import QVNetworks
from selectrl.functional.values import smooth_action, twin_td_loss
from selectrl.protocols import Agent, Noise, Objective, Optim, Policy, Track
from selectrl.registry import VALUES
from selectrl.structs import Batch, Losses, Spec


class DualTargetCritic(QVNetworks[DualTargetConfig]):
    r"""Twin Q on a TD3-style target, and V, in a single objective.

    .. math:: y = \rho r + (1-d)\,\gamma\big(\min_j Q'_j(s', \tilde a', z') - \tau_\pi\log\pi'\big), \qquad
       \tilde a' = \operatorname{clip}(\pi'(s', z') + \operatorname{clip}(\sigma\epsilon, \pm c), \pm 1)

    V has no target network and is not used in y; the constraint's weight reads it. The entropy term vanishes for a
    deterministic policy, whose temperature is 0.

    The paper leaves V's target open ("relies on outputs of target Qs"); see the registry of values. Targets move with
    TD3's delay. V moves late in the step, so the actor reads it before its update, as in the wPC code.

    References:
        SELECT, AAMAS 2025; Fujimoto, van Hoof & Meger, "TD3", ICML 2018; wPC, AAAI 2023.
    """

    def __init__(self, config: DualTargetConfig, spec: Spec, latent_dim: int) -> None:
        value = VALUES.build(config.value)
        super().__init__(config, spec, latent_dim, members=value.members)
        self.value = value
        shape = ("task", "rl", spec.action)
        self.noise = (Noise("next_policy", "normal", shape), Noise("smoothing", "normal", shape))

    def td_target(self, agent: Agent, batch: Batch) -> Tensor:
        """Return y, (task, batch), without gradient."""
        rl, z_next, config = batch.draws["rl"], batch.latent.z_next, self.config
        sample = agent.target(agent.policy).sample(rl.next_obs, z_next, batch.noise["next_policy"])
        action = smooth_action(
            sample.action, batch.noise["smoothing"], scale=config.smoothing, clip=config.smoothing_clip
        )
        next_q = agent.target(self.q_net).value(rl.next_obs, action, z_next).amin(0)
        return self.backup(rl, next_q - agent.policy.temperature * sample.log_prob)

    def target_q(self, agent: Agent, batch: Batch, action: Tensor) -> Tensor:
        """Return the smaller target Q of an action at the step's rows, (task, batch)."""
        return agent.target(self.q_net).value(batch.draws["rl"].obs, action, batch.latent.z).amin(0)

    def v(self, obs: Tensor, z: Tensor, policy: Policy) -> Tensor:
        """Return V(s, z), (task, batch)."""
        return self.value.combine(self.v_net(obs, z))

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The TD loss of both Q, plus V's regression; they share the target and no parameter.

        V reads a detached z, so an encoder that takes critic gradients takes only those of Q.
        """
        rl, z = batch.draws["rl"], batch.latent.z
        target = self.td_target(agent, batch)
        q = self.q(rl.obs, rl.action, z)
        td = twin_td_loss(q, target)
        v = self.v_net(rl.obs, z.detach())
        target_v = self.value.target(agent, batch, target, partial(self.target_q, agent, batch))
        regression = self.value.loss(v, target_v)
        terms = {"td": td, "v_loss": regression, "q": q.mean(), "v": v.mean(), "target": target.mean()}
        return Losses(td + regression, terms)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the objective of Q and V."""
        late = Optim(lr=self.config.v_lr, late=True)  # the actor of the same step reads V before this update
        moves = {"critic.q_net": Optim(lr=self.config.q_lr), "critic.v_net": late}
        return (Objective(name="critic", loss=self.loss, moves=moves, draws=(self.rows,), noise=self.noise),)

    def tracks(self) -> tuple[Track, ...]:
        """Return target Q and target policy."""
        config = self.config
        return tuple(Track(source=s, tau=config.tau, every=config.target_every) for s in ("critic.q_net", "policy"))
