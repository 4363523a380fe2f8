"""Configs of CORRO's encoder and of the sources of its negatives."""

from __future__ import annotations

import attrs

from selectrl.encoders.aggregations.configs import AttentionConfig
from selectrl.encoders.sets.configs import SetConfig
from selectrl.fields import MOST, WIDEST, as_tuple, choice, flag, integer, number, optional, part, shares, sizes
from selectrl.protocols import AggregationConfig, NegativesConfig
from selectrl.registry import AGGREGATIONS, NEGATIVES


@attrs.frozen(kw_only=True)
class CvaeConfig:
    """Negatives drawn from a conditional VAE of (s', r) given (s, a), which a separate phase fits to all tasks.

    The authors' setting is ``standardise=False, delta=False, beta=0.2``; it collapses where rewards differ little
    between tasks.

    Attributes:
        hidden: hidden widths of both networks; (128,) on the MuJoCo families other than Half-Cheetah-Vel.
        latent_dim: width of u; 64 on the MuJoCo families other than Half-Cheetah-Vel.
        beta: weight of the divergence. A direction of u is used only if it explains a variance above β/2, in units of
            the (standardised) targets.
        standardise: subtract the mean of the targets over all training rows, and divide by their deviation.
        delta: predict s' - s, not s'.
        replace_next_obs: whether negatives take the decoded s' too; ``None`` means only where dynamics vary. Elsewhere
            s' is the same in every task, and its decoding error would identify negatives without information on the
            task.
        steps: steps of the phase; the authors' 100 epochs are 66,000 on their Point-Robot and millions elsewhere.
        rows: rows per task and step; 8 of 16 tasks are the authors' batch of 128.
        lr: learning rate of both networks (Adam).
        min_kl: training stops before the contrastive phase if the divergence, in nats, is smaller, because negatives
            would then equal their queries; 0 never stops it.
    """

    hidden: tuple[int, ...] = attrs.field(
        default=(64,), converter=as_tuple, validator=sizes(), metadata=shares("CVAE_HIDDEN")
    )
    latent_dim: int = attrs.field(default=5, validator=integer(1, WIDEST), metadata=shares("CVAE_LATENT_DIM"))
    beta: float = attrs.field(default=0.002, validator=number(0))
    standardise: bool = attrs.field(default=True, validator=flag())
    delta: bool = attrs.field(default=True, validator=flag())
    replace_next_obs: bool | None = attrs.field(default=None, validator=optional(flag()))
    steps: int = attrs.field(default=100_000, validator=integer(0), metadata=shares("PRETRAIN_STEPS"))
    rows: int = attrs.field(default=8, validator=integer(1, MOST))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))
    min_kl: float = attrs.field(default=0.01, validator=number(0))


@attrs.frozen(kw_only=True)
class RewardNoiseConfig:
    """Negatives whose reward is the query's reward with noise; for families in which the dynamics do not vary.

    Attributes:
        deviation: deviation of the Gaussian noise, in units of reward.
    """

    deviation: float = attrs.field(default=0.5, validator=number(0, above=True))


@attrs.frozen(kw_only=True)
class TrueTaskConfig:
    """Negatives whose reward is that of another training task, an upper bound for the other sources."""


@attrs.frozen(kw_only=True)
class CorroConfig(SetConfig):
    """CORRO's encoder: a row network trained by contrast in a separate phase, and a pooling trained by the critic.

    Attributes:
        latent_dim: width of z; 5, and 40 on Hopper and 32 on Walker.
        hidden: hidden widths of the row network.
        next_obs: whether s' belongs to the context; in CORRO it always does.
        aggregation: the reduction of the row embeddings to z, which may read nothing else of a row.
        squash: the last step of a row's embedding; CORRO scales it to length 1.
        negatives: the source of negatives.
        negative_count: negatives per query, K.
        queries: queries per task and step; 4 of 16 tasks are the authors' batch of 64.
        temperature: τ of the contrastive loss.
        contrastive_steps: steps of the contrastive phase.
        standardise: the row network reads columns with mean 0 and deviation 1 over all training rows; the authors'
            network reads unscaled columns.
        min_spread: training stops before the rl phase if the variance of all training rows' embeddings, summed over
            dimensions, is smaller; at length 1 it is at most 1. 0 never stops it.
        context_draw: the context in the rl phase: independent ``rows``, the same number as for every encoder, or a
            whole trajectory (``episodes``), as in the authors' code.
    """

    latent_dim: int = attrs.field(default=5, validator=integer(1, WIDEST), metadata=shares("CORRO_LATENT_DIM"))
    hidden: tuple[int, ...] = attrs.field(
        default=(64, 64), converter=as_tuple, validator=sizes(), metadata=shares("ENCODER_HIDDEN")
    )
    next_obs: bool | None = attrs.field(default=True, validator=optional(flag()))
    aggregation: AggregationConfig = attrs.field(factory=AttentionConfig, validator=part(AGGREGATIONS))
    squash: str = attrs.field(default="sphere", validator=choice("tanh", "sphere", "none"))
    negatives: NegativesConfig = attrs.field(factory=CvaeConfig, validator=part(NEGATIVES))
    negative_count: int = attrs.field(default=16, validator=integer(1, MOST))
    queries: int = attrs.field(default=4, validator=integer(1, MOST))
    temperature: float = attrs.field(default=0.1, validator=number(0, above=True))
    contrastive_steps: int = attrs.field(default=200_000, validator=integer(0), metadata=shares("PRETRAIN_STEPS"))
    standardise: bool = attrs.field(default=True, validator=flag())
    min_spread: float = attrs.field(default=1e-3, validator=number(0))
    context_draw: str = attrs.field(default="rows", validator=choice("rows", "episodes"))
