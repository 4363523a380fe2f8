"""Configs of the encoders of sets: FOCAL's and those derived from it; they do not import torch."""

from __future__ import annotations

import attrs

from selectrl.encoders.aggregations.configs import MeanConfig, ProductOfGaussiansConfig
from selectrl.fields import MOST, WIDEST, as_tuple, choice, flag, integer, number, optional, part, shares, sizes
from selectrl.protocols import AggregationConfig
from selectrl.registry import AGGREGATIONS


@attrs.frozen(kw_only=True)
class SetConfig:
    """The settings that encoders of unordered sets of transitions share.

    Attributes:
        latent_dim: width of z.
        hidden: widths of the hidden layers.
        next_obs: whether s' belongs to the context; ``None`` means only where dynamics vary.
        aggregation: the reduction of the row embeddings to z.
        squash: the last step of a row's embedding: ``tanh``, ``sphere`` (scale to length 1) or ``none``.
        lr: learning rate of the encoder (Adam).
    """

    latent_dim: int = attrs.field(default=20, validator=integer(1, WIDEST), metadata=shares("LATENT_DIM"))
    hidden: tuple[int, ...] = attrs.field(
        default=(200, 200, 200), converter=as_tuple, validator=sizes(), metadata=shares("ENCODER_HIDDEN")
    )
    next_obs: bool | None = attrs.field(default=None, validator=optional(flag()))
    aggregation: AggregationConfig = attrs.field(factory=MeanConfig, validator=part(AGGREGATIONS))
    squash: str = attrs.field(default="tanh", validator=choice("tanh", "sphere", "none"))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class FocalConfig(SetConfig):
    """FOCAL's deterministic set encoder with its distance-metric loss.

    Attributes:
        metric_weight: weight of the distance-metric loss.
    """

    metric_weight: float = attrs.field(default=10.0, validator=number(0))


@attrs.frozen(kw_only=True)
class CsroConfig(FocalConfig):
    """CSRO's encoder: FOCAL's with CLUB's bound on the information of z on the behaviour policy. SELECT uses it too.

    Attributes:
        club_weight: weight of the CLUB bound; 25 Point-Robot, 10 Half-Cheetah-Vel, 50 Ant-Goal and Humanoid-Dir, 25
            Hopper and Walker.
        club_hidden: hidden widths of CLUB's network.
        club_squash: tanh on CLUB's whole output, as the authors do; it keeps the variance above 0.313.
        club_fit_weight: factor of CLUB's likelihood loss, with almost no effect under Adam.
        club_lr: learning rate of CLUB's network (Adam).
    """

    club_weight: float = attrs.field(default=25.0, validator=number(0), metadata=shares("CLUB_WEIGHT"))
    club_hidden: tuple[int, ...] = attrs.field(
        default=(200, 200, 200), converter=as_tuple, validator=sizes(), metadata=shares("ENCODER_HIDDEN")
    )
    club_squash: bool = attrs.field(default=True, validator=flag())
    club_fit_weight: float = attrs.field(default=10.0, validator=number(0, above=True))
    club_lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class TaskPosteriorConfig(CsroConfig):
    """CSRO's encoder, whose belief at meta-test is a posterior over the training tasks.

    Attributes:
        width: deviation of the likelihood, in deviations between the tasks' predictions; ``None`` keeps CSRO's belief.
        anchor_rate: weight of each step's z in the running mean of its task.
        decoder_hidden: hidden widths of the decoder of rewards and transitions.
        decoder_lr: learning rate of the decoder (Adam).
        classes: number of task ids; more than the largest id of a training task.
    """

    width: float | None = attrs.field(default=0.05, validator=optional(number(0, above=True)))
    anchor_rate: float = attrs.field(default=0.01, validator=number(0, 1, above=True))
    decoder_hidden: tuple[int, ...] = attrs.field(
        default=(200, 200, 200), converter=as_tuple, validator=sizes(), metadata=shares("ENCODER_HIDDEN")
    )
    decoder_lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))
    classes: int = attrs.field(default=40, validator=integer(2, MOST))


@attrs.frozen(kw_only=True)
class OffpearlConfig(SetConfig):
    """PEARL's probabilistic set encoder, trained by the TD loss and a divergence to the prior.

    Attributes:
        aggregation: the reduction of the row embeddings to the posterior, which has to be sampled.
        squash: as in all set encoders; PEARL does not bound its factors, ``none``.
        kl_weight: weight of the divergence, summed over tasks and dimensions; PEARL sets 0.1, and 1.0 for Ant-Goal.
    """

    aggregation: AggregationConfig = attrs.field(factory=ProductOfGaussiansConfig, validator=part(AGGREGATIONS))
    squash: str = attrs.field(default="none", validator=choice("tanh", "sphere", "none"))
    kl_weight: float = attrs.field(default=0.1, validator=number(0), metadata=shares("KL_WEIGHT"))


@attrs.frozen(kw_only=True)
class ReconstructionConfig(FocalConfig):
    """FOCAL's encoder with a decoder of rewards and, where s' is in the context, of transitions.

    Attributes:
        reconstruction_weight: weight of the decoder's error.
        decoder_hidden: hidden widths of the decoder.
        decoder_lr: learning rate of the decoder (Adam).
    """

    reconstruction_weight: float = attrs.field(default=1.0, validator=number(0, above=True))
    decoder_hidden: tuple[int, ...] = attrs.field(
        default=(200, 200, 200), converter=as_tuple, validator=sizes(), metadata=shares("ENCODER_HIDDEN")
    )
    decoder_lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class ClassifierConfig(FocalConfig):
    """A set encoder from whose z a linear head predicts the task id.

    Attributes:
        metric_weight: weight of the distance-metric loss; off by default.
        classifier_weight: weight of the cross-entropy.
        classes: outputs of the head; more than the largest id of a training task.
    """

    metric_weight: float = attrs.field(default=0.0, validator=number(0))
    classifier_weight: float = attrs.field(default=1.0, validator=number(0, above=True))
    classes: int = attrs.field(default=64, validator=integer(2, MOST))
