"""Conformance of weights of the behaviour-cloning term."""

from __future__ import annotations

import torch

from selectrl.protocols import WeightConfig
from selectrl.registry import WEIGHTS
from selectrl.testing.losses import check_record
from selectrl.testing.scene import part_name
from selectrl.testing.verdicts import are_equal, check_tensor, demand, forbid_global_randomness, guard

TASKS, ROWS = 3, 64


def check_weight(config: WeightConfig) -> None:
    """Check that a weight of the behaviour-cloning term keeps its protocol.

    - weights have the shape of the advantage (task, batch) and no gradient, and are equal in two calls;
    - they are finite and at least 0 for advantages of any sign and scale: a negative weight would drive the policy away
      from an action without bound;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the weight's config.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(part, "building it", "register its class, which takes the config"):
        built = WEIGHTS.build(config)
    spread = torch.linspace(-3, 3, TASKS * ROWS).reshape(TASKS, ROWS)
    for scale in (0.0, 1e-4, 1.0, 1e4):
        advantage = (scale * spread).requires_grad_()
        with guard(part, "weigh(advantage)", "it takes a tensor (task, batch) and returns one of that shape"):
            with forbid_global_randomness(part, "weigh"):
                weight = built.weigh(advantage)
            again = built.weigh(advantage)
        check_tensor(weight, (TASKS, ROWS), part, "weigh's weight", "(task, batch), as the advantage")
        demand(
            are_equal(weight, again), part, "weights differ when asked for twice", "bit-equal weights", "keep nothing"
        )
        remedy = "detach the advantage"
        demand(not weight.requires_grad, part, "weights carry a gradient", "none to reach Q and V", remedy)
        least = float(weight.min())
        got = f"weigh gives {least:.3g} for advantages of up to {3 * scale:g}"
        demand(least >= 0, part, got, "weights of at least 0", "clamp them at 0")
