"""Task variables that explain rewards and transitions: the losses of GENTLE and of UNICORN's self-supervised form."""

from __future__ import annotations

from selectrl.encoders.sets.configs import ReconstructionConfig
from selectrl.encoders.sets.decoder import Decoder
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import metric_term
from selectrl.protocols import Agent, Draw, Objective, Optim
from selectrl.structs import Batch, Losses, Spec


class ReconstructionEncoder(SetEncoder[ReconstructionConfig]):
    r"""FOCAL's encoder whose z must also let a decoder predict what the task makes of a state and an action.

    .. math:: w_{DML} L_{DML}(z) + w_{rec}\Big[\operatorname{mean}(\hat r - r)^2
       + \operatorname{mean}\big(\hat\delta - (s' - s)\big)^2\Big], \qquad (\hat r, \hat\delta) = D(s, a, z)

    The change of state is predicted where s' belongs to the context, which by default is where dynamics vary. The
    decoder reads rows of a draw of its own and not those that z was made of: z has to carry what holds for the whole
    task, and a decoder cannot be served by what z remembers of single rows. A metric weight of 0 leaves GENTLE's
    auto-encoder alone.

    Differs from

    1. UNICORN's code: the decoder has no learned variances (squared errors, not a likelihood); it is asked about other
       rows than the context; the context is independent rows, not one episode; no change of state where dynamics are
       shared. Its metric loss keeps FOCAL's weight unless bound; UNICORN's Hopper configuration sets 1.5.
    2. GENTLE: no pseudo-transitions, with which it brings the context closer to that of a test.

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
        """The encoder's loss: the distance metric and what the decoder misses."""
        metric = metric_term(batch, self.config.metric_weight)
        missed = self.decoder.squared_errors(batch.draws["decode"], batch.latent.z)
        total = metric.total + self.config.reconstruction_weight * sum(missed.values())
        return Losses(total, {**metric.terms, **missed})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objective, which moves the decoder too."""
        moves = {**self.optims, "encoder.decoder": Optim(lr=self.config.decoder_lr)}
        return (Objective(name="encoder", loss=self.loss, moves=moves, draws=(self.decoded,)),)
