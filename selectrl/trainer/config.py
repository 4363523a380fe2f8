"""Settings of a training: steps and batches."""

from __future__ import annotations

import attrs

from selectrl.fields import ADDED_LATER, MOST, as_tuple, choice, flag, integer, names


@attrs.frozen(kw_only=True)
class TrainConfig:
    """The training loop's settings; the same for every method that is compared.

    Attributes:
        steps: steps of the rl phase.
        meta_batch: tasks per step, K.
        replacement: draw the tasks of a meta-batch with replacement, so that pairs of one task occur.
        hold_tasks: steps of the rl phase for which a meta-batch keeps its tasks; 1 draws them at every step.
        batch: RL rows per task, B.
        context: context rows per task, M.
        order: names of all objectives of the rl phase in the order wanted; empty keeps encoder, critic, actor.
        precision: of matrix products in networks, which changes results and so belongs to the experiment: ``fp32``;
            ``tf32``, the tensor cores' 19 bits, on CUDA alone; ``bf16``, half precision. Parameters, targets, losses
            and optimisers stay float32.
        test_every: rl steps between meta-tests during training.
        log_every: steps between logged losses.
        checkpoint_every: steps between checkpoints.
    """

    steps: int = attrs.field(default=65_000, validator=integer(0))
    meta_batch: int = attrs.field(default=16, validator=integer(2, MOST))
    replacement: bool = attrs.field(default=False, validator=flag())
    hold_tasks: int = attrs.field(default=1, validator=integer(1), metadata=ADDED_LATER)
    batch: int = attrs.field(default=256, validator=integer(1, MOST))
    context: int = attrs.field(default=256, validator=integer(1, MOST))
    order: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=names())
    precision: str = attrs.field(default="fp32", validator=choice("fp32", "tf32", "bf16"))
    test_every: int = attrs.field(default=1000, validator=integer(1))
    log_every: int = attrs.field(default=100, validator=integer(1))
    checkpoint_every: int = attrs.field(default=1000, validator=integer(1))
