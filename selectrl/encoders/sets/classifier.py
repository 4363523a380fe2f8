"""Task variables that classify the training tasks: the loss of UNICORN's supervised form."""

from __future__ import annotations

import attrs
from torch.nn.functional import cross_entropy

from selectrl.encoders.sets.classes import make_class_check
from selectrl.encoders.sets.configs import ClassifierConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import metric_term
from selectrl.nets.mlp import Linear
from selectrl.protocols import Agent, Objective, Optim, Phase
from selectrl.structs import Batch, Losses, Spec


class ClassifierEncoder(SetEncoder[ClassifierConfig]):
    r"""A set encoder from whose z a linear head predicts the task id.

    .. math:: w_{cls}\operatorname{mean}_t\big[-\log\operatorname{softmax}(W z_t + b)_{y_t}\big] + w_{DML} L_{DML}(z)

    The head has an output per possible task id; the probability of ids outside the training tasks goes to 0. The
    distance metric is off unless its weight is bound.

    Differs from UNICORN's supervised form, of which only the paper and no code was available: the linear head and its
    weight are ours; the context is independent rows; z is the mean of row embeddings.

    References:
        Li et al., "Towards an Information Theoretic Framework of Context-Based Offline Meta-RL" (UNICORN),
        NeurIPS 2024.
    """

    def __init__(self, config: ClassifierConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.head = Linear(config.latent_dim, config.classes)

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: cross-entropy of the task ids and the distance metric."""
        metric, logits = metric_term(batch, self.config.metric_weight), self.head(batch.latent.z[:, 0])
        entropy = cross_entropy(logits, batch.tasks)
        accuracy = (logits.argmax(-1) == batch.tasks).to(logits.dtype).mean()
        total = metric.total + self.config.classifier_weight * entropy
        return Losses(total, {**metric.terms, "cross_entropy": entropy, "accuracy": accuracy})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objective, which moves the head too."""
        moves = {**self.optims, "encoder.head": Optim(lr=self.config.lr)}
        return (Objective(name="encoder", loss=self.loss, moves=moves),)

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the encoder's objective first; it refuses data of more tasks than classes."""
        (phase,) = super().phases(rl)
        return (attrs.evolve(phase, prepare=make_class_check(self.config)),)
