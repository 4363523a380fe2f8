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
    r"""A posterior over z, trained by the TD loss of Q and kept near N(0, I).

    .. math:: L_{TD}\big(Q(s, a, z)\big) + \lambda \sum_t \mathrm{KL}\big(q(z | c_t) \,\Vert\, \mathcal N(0, I)\big),
       \qquad z = \mu + \sigma\epsilon

    It does not have its own objective: the divergence is added to the critic's first objective, and one backward pass
    moves Q and the encoder. V, targets and policy read the same z without its graph. The divergence is a sum over the
    tasks of the meta-batch and the TD loss is a mean over rows, so λ depends on the size of the meta-batch.

    Differs from

    1. PEARL's code: context and RL rows come from the same fixed data and nothing is collected in training; z is drawn
       once per step, while PEARL draws it when it infers the posterior and again before it uses it.
    2. FOCAL's Batch PEARL: the prior has the deviation 1 in training as at meta-test, not 0.05; the gradient of the TD
       loss reaches the encoder, while FOCAL steps the encoder before that gradient exists.
    3. CSRO's code, which keeps the row network of twice the width, but without a posterior that uses it.

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
                f"{tag(config)} samples z from a posterior, but {tag(config.aggregation)} does not give its variance; "
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
