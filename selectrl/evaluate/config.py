"""The settings of a meta-test."""

from __future__ import annotations

import attrs

from selectrl.fields import MOST, choice, integer

PRIORS = ("zero", "centroid")
PROTOCOLS = ("equal_budget", "paper")
PAPER_REPEATS = 2  # per task, as published schedules are repeated
MOST_REPEATS = 10_000  # a world each, per task
MOST_CONTEXT = 10**7  # steps; their rows are kept for the length of the test


@attrs.frozen(kw_only=True)
class TestConfig:
    """Settings of a meta-test on unseen tasks; the same for every method of a comparison.

    Attributes:
        protocol: ``equal_budget``, the same steps of context for every collector, or ``paper``, each collector's
            published schedule with its quirks.
        gate: episodes' worth of steps before a published schedule first reads the belief; ``paper`` alone reads it.
        budget: environment steps of context per task and repeat, a multiple of the horizon; a published
            schedule has its own way to count them.
        repeats: independent repeats per task.
        prior: the belief before any context, ``zero`` or the ``centroid`` of the training tasks' offline beliefs.
        seed: seed of starts and noise, common to all methods.
    """

    __test__ = False  # keeps pytest from collecting it

    protocol: str = attrs.field(default="equal_budget", validator=choice(*PROTOCOLS))
    gate: int = attrs.field(default=2, validator=integer(0, MOST))
    budget: int = attrs.field(default=400, validator=integer(0, MOST_CONTEXT))
    repeats: int = attrs.field(default=10, validator=integer(1, MOST_REPEATS))
    prior: str = attrs.field(default="zero", validator=choice(*PRIORS))
    seed: int = attrs.field(default=0, validator=integer(0))
