"""Config of BOReL's belief filter."""

from __future__ import annotations

import attrs

from selectrl.fields import ADDED_LATER, MOST, WIDEST, as_tuple, choice, flag, integer, number, optional, shares, sizes


@attrs.frozen(kw_only=True)
class BorelConfig:
    """BOReL's variational belief filter; z holds the mean and the log-variance of the belief at each step.

    Attributes:
        latent_dim: width of the Gaussian belief; z is twice as wide.
        gru_hidden: width of the hidden state.
        action_embedding: width of an action's embedding, in the filter and in each decoder.
        obs_embedding: width of a state's embedding.
        reward_embedding: width of a reward's embedding.
        decoder_hidden: widths of the hidden layers of each decoder.
        decoder_init: initialisation of the decoders' hidden layers: ``rlkit``, as in all other networks here, or
            ``torch``, its default, as in the authors' code.
        decode_transition: whether the reward decoder reads s and a in addition to s'; off where the reward is a
            function of s'.
        decode_state: whether a second decoder predicts s' from s and a; ``None`` means only where dynamics vary.
        state_weight: weight of that decoder's error, a sum over dimensions, relative to the reward's error.
        kl_weight: weight of the KL chain; errors and chain are means over time.
        episodes: episodes per sequence, the test's budget / horizon + 1, so that the filter is trained on sequences as
            long as those of a test.
        sequences: sequences per task in a batch.
        beliefs: number of beliefs per sequence that decode, drawn without bias.
        decodings: number of steps per sequence that are decoded, drawn without bias.
        relabel: probability that the first episode of a sequence comes from another task, with the rewards of this
            task; needs the family's reward function, and is 0 in fair comparisons.
        steps: steps of the vae phase.
        lr: learning rate of filter and decoders (Adam).
    """

    latent_dim: int = attrs.field(default=5, validator=integer(1, WIDEST))
    gru_hidden: int = attrs.field(default=128, validator=integer(1, WIDEST))
    action_embedding: int = attrs.field(default=16, validator=integer(1, WIDEST))
    obs_embedding: int = attrs.field(default=32, validator=integer(1, WIDEST))
    reward_embedding: int = attrs.field(default=16, validator=integer(1, WIDEST))
    decoder_hidden: tuple[int, ...] = attrs.field(
        default=(32, 32), converter=as_tuple, validator=sizes(), metadata=shares("BELIEF_DECODER")
    )
    decoder_init: str = attrs.field(default="rlkit", validator=choice("rlkit", "torch"), metadata=ADDED_LATER)
    decode_transition: bool = attrs.field(default=True, validator=flag())
    decode_state: bool | None = attrs.field(default=None, validator=optional(flag()))
    state_weight: float = attrs.field(default=1.0, validator=number(0))
    kl_weight: float = attrs.field(default=0.05, validator=number(0))
    episodes: int = attrs.field(default=21, validator=integer(1, MOST), metadata=shares("BELIEF_EPISODES"))
    sequences: int = attrs.field(default=1, validator=integer(1, MOST))
    beliefs: int = attrs.field(default=50, validator=integer(1, MOST))
    decodings: int = attrs.field(default=50, validator=integer(1, MOST))
    relabel: float = attrs.field(default=0.0, validator=number(0, 1))
    steps: int = attrs.field(default=100_000, validator=integer(0), metadata=shares("PRETRAIN_STEPS"))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))
