"""Task variables that explain rewards and transitions: the losses of GENTLE and of UNICORN's self-supervised form."""

from __future__ import annotations

from selectrl.encoders.sets.configs import ReconstructionConfig
from selectrl.encoders.sets.decoder import Decoder
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import metric_term
from selectrl.protocols import Agent, Draw, Objective, Optim
from selectrl.structs import Batch, Losses, Spec


class ReconstructionEncoder(SetEncoder[ReconstructionConfig]):
    r"""FOCAL's encoder, trained also by a decoder that predicts reward and next state from (s, a, z).

    .. math:: w_{DML} L_{DML}(z) + w_{rec}\Big[\operatorname{mean}(\hat r - r)^2
       + \operatorname{mean}\big(\hat\delta - (s' - s)\big)^2\Big], \qquad (\hat r, \hat\delta) = D(s, a, z)

    The change of state is predicted if s' belongs to the context, by default where dynamics vary. The decoder reads its
    own draw of rows, not the context: z then has to hold information on the whole task and not on single rows. With a
    metric weight of 0 the loss is that of GENTLE's auto-encoder.

    Differs from

    1. UNICORN's code: the decoder does not learn variances (squared errors, not a likelihood); it predicts other rows
       than those of the context; the context is independent rows, not an episode; no change of state where dynamics are
       shared. Its metric loss keeps FOCAL's weight unless bound; UNICORN's Hopper configuration sets 1.5.
    2. GENTLE: no pseudo-transitions, which make its context more similar to that of a test.

    References:
        Li et al., "Towards an Information Theoretic Framework of Context-Based Offline Meta-RL" (UNICORN),
        NeurIPS 2024;
        Zhou et al., "Generalizable Task Representation Learning for Offline Meta-RL with Data Limitations" (GENTLE),
        AAAI 2024.
    """

    def __init__(self, config: ReconstructionConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.decoder = Decoder(spec, config.latent_dim, config.decoder_hidden, "next_obs" in self.fields)
        self.decoded = Draw("decode", "context", self.fields)

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the distance metric and the decoder's errors."""
        metric = metric_term(batch, self.config.metric_weight)
        errors = self.decoder.squared_errors(batch.draws["decode"], batch.latent.z)
        total = metric.total + self.config.reconstruction_weight * sum(errors.values())
        return Losses(total, {**metric.terms, **errors})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objective, which moves the decoder too."""
        moves = {**self.optims, "encoder.decoder": Optim(lr=self.config.decoder_lr)}
        return (Objective(name="encoder", loss=self.loss, moves=moves, draws=(self.decoded,)),)
