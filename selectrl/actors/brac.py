"""BRAC's actor in its dual form, as FOCAL and CSRO use it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from selectrl.actors.configs import BracConfig
from selectrl.actors.soft import SoftActor
from selectrl.functional.constraints import dual_kl, magnitude_penalty
from selectrl.nets.mlp import QNetwork
from selectrl.protocols import Agent, Draw, Noise, Objective, Optim
from selectrl.structs import Batch, Losses, Spec


class BracActor(SoftActor[BracConfig]):
    r"""The soft actor with the penalty :math:`\alpha\,\operatorname{mean}\hat D`, a dual estimate of KL(π‖β).

    Objectives, in this order: ``dual_steps`` steps of the dual critic with the same optimiser, the first on the step's
    rows, the others on fresh rows; then the policy and the multiplier, on an estimate from the updated dual critic:

    .. math:: \alpha_{used} = \operatorname{clip}(\alpha, 0, \alpha_{max}), \qquad
       \alpha \leftarrow \alpha + lr\,(\operatorname{mean}\hat D - D_{target})

    As in CSRO's code the multiplier itself is not clipped and may grow without bound. Differs from CSRO's code: the
    multiplier does not move when the constraint is off (bind ``@actors.sac`` for that), and fresh rows use the step's
    task variables again, which are equal because the encoder has not moved (a belief filter has a z for each row).

    References:
        Wu, Tucker & Nachum, "Behavior Regularized Offline Reinforcement Learning", 2019.
    """

    def __init__(self, config: BracConfig, spec: Spec, latent_dim: int) -> None:
        super().__init__(config, spec, latent_dim)
        self.action = spec.action
        self.dual = QNetwork(spec.obs, spec.action, latent_dim, config.dual_hidden, members=1)
        self.multiplier = nn.Parameter(torch.tensor(float(config.divergence_init)))

    def c(self, obs: Tensor, action: Tensor, z: Tensor) -> Tensor:
        """Return the dual critic's value, (task, batch)."""
        return self.dual.value(obs, action, z)[0]

    def dual_loss(self, agent: Agent, batch: Batch, rows: str, noise: str, mix: str) -> Losses:
        """The dual critic's loss on a draw of rows: the negative estimate, and a penalty between the two actions."""
        rl, z = batch.draws[rows], batch.latent.of(rows)
        action = agent.policy.sample(rl.obs, z, batch.noise[noise]).action
        estimate = dual_kl(self.c(rl.obs, action, z), self.c(rl.obs, rl.action, z)).mean()
        mixed = action + batch.noise[mix][..., None] * (rl.action - action)
        penalty = magnitude_penalty(self.c(rl.obs, mixed, z))
        return Losses(self.config.dual_penalty * penalty - estimate, {"estimate": estimate, "penalty": penalty})

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The losses of the policy and of the multiplier, on the same estimate of the divergence."""
        rl, z = batch.draws["rl"], batch.latent.z
        sample = self.sample(agent, batch)
        divergence = dual_kl(self.c(rl.obs, sample.action, z), self.c(rl.obs, rl.action, z)).mean()
        used = self.multiplier.detach().clamp(0, self.config.divergence_max)
        policy_loss = self.soft_loss(agent, batch, sample) + used * divergence
        multiplier_loss = -self.multiplier * (divergence.detach() - self.config.divergence_target)
        terms = {"loss": policy_loss, "divergence": divergence, "multiplier": used, "log_prob": sample.log_prob.mean()}
        return Losses(policy_loss + multiplier_loss, terms)

    def dual_objective(self, step: int) -> Objective:
        """Return the objective of a dual step; the first reads the training step's own rows and noise."""
        rows, noise, mix = ("rl", "policy", "mix") if step == 0 else (f"rl_{step}", f"policy_{step}", f"mix_{step}")
        return Objective(
            name="dual" if step == 0 else f"dual_{step}",
            loss=partial(self.dual_loss, rows=rows, noise=noise, mix=mix),
            moves={"actor.dual": Optim(lr=self.config.dual_lr)},
            draws=(Draw(rows, "rl", ("obs", "action")) if step else self.rows,),
            noise=(Noise(noise, "normal", ("task", rows, self.action)), Noise(mix, "uniform", ("task", rows))),
        )

    def objectives(self) -> tuple[Objective, ...]:
        """Return the objectives of the dual steps, then that of policy and multiplier."""
        moves = {
            "policy": Optim(lr=self.config.lr),
            "actor.multiplier": Optim(name="sgd", lr=self.config.divergence_lr),
        }
        policy = Objective(name="policy", loss=self.loss, moves=moves, draws=(self.rows,), noise=(self.noise,))
        return (*(self.dual_objective(step) for step in range(self.config.dual_steps)), policy)
