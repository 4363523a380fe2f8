"""OffPEARL: PEARL's probabilistic encoder, trained by the critic on offline data."""

from __future__ import annotations

import attrs

from selectrl.encoders.sets.configs import OffpearlConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.errors import CompositionError
from selectrl.functional.gaussians import standard_normal_kl
from selectrl.protocols import Agent, Objective, Phase
from selectrl.registry import tag
from selectrl.structs import Batch, Losses, Spec


class OffpearlEncoder(SetEncoder[OffpearlConfig]):
    r"""A posterior over z, shaped by the TD loss of Q and held near N(0, I).

    .. math:: L_{TD}\big(Q(s, a, z)\big) + \lambda \sum_t \mathrm{KL}\big(q(z | c_t) \,\Vert\, \mathcal N(0, I)\big),
       \qquad z = \mu + \sigma\epsilon

    It has no objective of its own: the critic's first objective gains the divergence, and one backward moves Q and the
    encoder. V, targets and policy see the same z without its graph. The divergence is a sum over the tasks of the
    meta-batch, the TD loss a mean over rows, so λ is bound to the size of the meta-batch.

    Differs from

    1. PEARL's code: context and RL rows come from the same fixed data and nothing is collected in training; z is drawn
       once per step, where PEARL draws it once when it infers the posterior and again before it is used.
    2. FOCAL's Batch PEARL: the prior has the deviation 1 in training as at meta-test, not 0.05; the gradient of the TD
       loss does reach the encoder, which FOCAL steps before that gradient exists.
    3. CSRO's code, which kept the row network of twice the width but no posterior for it to feed.

    Args:
        config: widths, aggregation and the weight of the divergence.
        spec: shapes of the family.

    Raises:
        CompositionError: the aggregation has no posterior to sample from.

    References:
        Rakelly et al., "Efficient Off-Policy Meta-RL via Probabilistic Context Variables", ICML 2019.
    """

    def __init__(self, config: OffpearlConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        if not self.pooling.sampled:
            raise CompositionError(
                f"{tag(config)} samples z from a posterior, of which {tag(config.aggregation)} knows no variance; "
                "bind an aggregation that is sampled, for example @aggregations.product_of_gaussians()"
            )
        self.critic_params = self.optims

    def objectives(self) -> tuple[Objective, ...]:
        """Return nothing: the critic's first objective trains it."""
        return ()

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the divergence added to the loss of its first objective."""
        (phase,) = super().phases(rl)
        td, *others = phase.objectives

        def loss(agent: Agent, batch: Batch) -> Losses:
            critic, posterior = td.loss(agent, batch), batch.latent.features
            kl = standard_normal_kl(posterior["mean"], posterior["spread"])
            return Losses(critic.total + self.config.kl_weight * kl, {**critic.terms, "kl": kl})

        return (attrs.evolve(phase, objectives=(attrs.evolve(td, loss=loss), *others)),)
