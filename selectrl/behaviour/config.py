"""The config of a collection of behaviour data. Free of torch."""

from __future__ import annotations

from typing import NoReturn

import attrs

from selectrl.errors import FieldError
from selectrl.fields import MOST, as_tuple, integer, number, sizes


@attrs.frozen(kw_only=True)
class SacBehaviourConfig:
    """One SAC per task and the checkpoints whose episodes are kept; the defaults are those published for Point-Robot.

    A checkpoint falls on the first end of an episode after the warm-up at which ⌊step / period⌋ has grown, and is
    labelled ⌊step / period⌋ · period. Its episodes come from the policy at that step, with its own noise.

    Attributes:
        steps: environment steps of each task, the warm-up included.
        warmup: first steps, with uniformly random actions and no updates.
        period: steps between checkpoints.
        first_label: first checkpoint whose episodes are kept.
        last_label: last checkpoint whose episodes are kept.
        episodes: episodes kept per task and checkpoint.
        keep_warmup: episodes of the random warm-up kept per task as label 0; 0 keeps none.
        hidden: widths of the hidden layers of policy and Q networks.
        batch: rows per update and task, drawn from the task's own replay.
        lr: Adam's learning rate for Q, policy and temperature.
        gamma: discount per step.
        tau: fraction of the way that the target Q moves towards Q, in [0, 1].
        target_every: updates between two moves of the target.
        init_temperature: first value of the learned entropy coefficient, in units of reward.
        log_std_min: lower end of the policy's log-deviation before squashing.
        log_std_max: upper end.
        train_every: environment steps between two rounds of updates.
        updates_per_step: updates in each round.
        seed: seed of every draw; tasks draw independently.

    References:
        Haarnoja et al., "Soft Actor-Critic Algorithms and Applications", 2018.
    """

    steps: int = attrs.field(default=5000, validator=integer(1))
    warmup: int = attrs.field(default=2000, validator=integer(1))
    period: int = attrs.field(default=200, validator=integer(1))
    first_label: int = attrs.field(default=2200, validator=integer(1))
    last_label: int = attrs.field(default=4800, validator=integer(1))
    episodes: int = attrs.field(default=50, validator=integer(1, MOST))
    keep_warmup: int = attrs.field(default=0, validator=integer(0, MOST))
    hidden: tuple[int, ...] = attrs.field(default=(1024, 1024), converter=as_tuple, validator=sizes())
    batch: int = attrs.field(default=1024, validator=integer(1, MOST))
    lr: float = attrs.field(default=1e-4, validator=number(0, above=True))
    gamma: float = attrs.field(default=0.99, validator=number(0, 1))
    tau: float = attrs.field(default=0.005, validator=number(0, 1, above=True))
    target_every: int = attrs.field(default=2, validator=integer(1))
    init_temperature: float = attrs.field(default=0.1, validator=number(0, above=True))
    log_std_min: float = attrs.field(default=-5.0, validator=number(-20))
    log_std_max: float = attrs.field(default=2.0, validator=number(-20))
    train_every: int = attrs.field(default=1, validator=integer(1))
    updates_per_step: int = attrs.field(default=1, validator=integer(1))
    seed: int = attrs.field(default=0, validator=integer(0))

    def __attrs_post_init__(self) -> None:
        for field in ("first_label", "last_label"):
            if getattr(self, field) % self.period:
                self._refuse(field, f"expected a multiple of period ({self.period}), got {getattr(self, field)}")
        if self.first_label < self.warmup:
            self._refuse("first_label", f"expected at least warmup ({self.warmup}), got {self.first_label}")
        if not self.first_label <= self.last_label < self.steps:
            span = f"from first_label ({self.first_label}) to below steps ({self.steps})"
            self._refuse("last_label", f"expected a step {span}, got {self.last_label}")
        if self.log_std_max <= self.log_std_min:
            self._refuse("log_std_max", f"expected a number > log_std_min ({self.log_std_min}), got {self.log_std_max}")

    def _refuse(self, field: str, problem: str) -> NoReturn:
        raise FieldError(type(self), field, problem)

    @property
    def labels(self) -> range:
        """The labels of the kept checkpoints, without the warm-up's."""
        return range(self.first_label, self.last_label + 1, self.period)

    def check_horizon(self, horizon: int) -> None:
        """Check that every kept checkpoint and warm-up episode is sure to occur with episodes of at most ``horizon``.

        Raises:
            FieldError: one of them might not occur; the sentence names the field to change.
        """

        def latest_step(label: int) -> int:
            # an episode that ends exactly with the warm-up is not a checkpoint: wait for the next one
            return label + horizon + (label == self.warmup)

        for field, least, reason in (
            ("period", latest_step(self.first_label) - self.first_label, "the longest wait for an episode's end"),
            ("steps", latest_step(self.last_label), "last_label and the longest wait for an episode's end"),
            ("warmup", self.keep_warmup * horizon, "keep_warmup · horizon"),
        ):
            if getattr(self, field) < least:
                self._refuse(field, f"expected at least {least} ({reason}), got {getattr(self, field)}")
