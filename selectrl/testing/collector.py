"""Conformance of context collectors."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from selectrl.actors.configs import WeightedBcConfig
from selectrl.nets.configs import DeterministicConfig
from selectrl.protocols import CollectorConfig
from selectrl.registry import COLLECTORS
from selectrl.streams import stream
from selectrl.structs import Belief, Moment, Spec
from selectrl.testing.losses import check_record
from selectrl.testing.scene import ACTOR, HIDDEN, make_scene, part_name
from selectrl.testing.verdicts import are_close, are_equal, check_tensor, demand, forbid_global_randomness, guard

WORLDS = 4
PROGRESS = (0.0, 0.4, 0.5, 0.99)
OFFLINE = ("", "episodes", "rows")


def check_collector(config: CollectorConfig, spec: Spec | None = None) -> None:
    """Check that a collector conforms to its protocol.

    - ``offline`` is "", "episodes" or "rows";
    - ``latent`` gives (world, latent) and ``act`` (world, action) in [-1, 1], finite, also at extreme noise, under a
      Gaussian and a deterministic policy;
    - both are equal in two calls, use only the random numbers in their arguments, and treat each world independently;
    - ``updates`` returns a bool, and ``keeps`` a bool per world that does not depend on other worlds;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the collector's config.
        spec: shapes of the family of the check; default: a small synthetic family.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(part, "building it", "register its class, which takes the config"):
        collector: Any = COLLECTORS.build(config)
        offline = collector.offline
    demand(
        offline in OFFLINE,
        part,
        f"offline is {offline!r}",
        f"one of {OFFLINE}",
        "set offline = '' for a collector that acts",
    )
    for actor in (ACTOR, WeightedBcConfig(policy=DeterministicConfig(hidden=HIDDEN))):
        scene = make_scene(actor=actor, spec=spec)
        agent = scene.agent()
        for progress in PROGRESS:
            check_actions(part, collector, agent, scene.spec, progress)
    check_updates(part, collector)
    check_keeps(part, collector)


@torch.no_grad()
def check_actions(part: str, collector: Any, agent: Any, spec: Spec, progress: float) -> None:
    """Check ``latent`` and ``act`` at a point of the budget."""
    rng, width = stream(0, "collector"), agent.encoder.latent_dim

    def normal(columns: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(scale * rng.standard_normal((WORLDS, columns))).float()

    belief, draw, obs = Belief(normal(width), normal(width).abs()), normal(width), normal(spec.obs, 3.0)
    uniform = torch.from_numpy(rng.random((WORLDS, spec.action))).float()
    moment = Moment(normal(spec.action, 4.0), normal(spec.action, 4.0), uniform, belief.spread, progress)

    def run(worlds: slice) -> tuple[Tensor, Tensor]:
        step, block, even, spread = (field[worlds] for field in moment[:4])
        z = collector.latent(Belief(*(field[worlds] for field in belief)), draw[worlds])
        return z, collector.act(agent.policy, obs[worlds], z, Moment(step, block, even, spread, progress))

    with guard(part, "latent or act", "see ContextCollector in selectrl.protocols"):
        with forbid_global_randomness(part, "latent or act"):
            result, again = run(slice(None)), run(slice(None))
        singles = [run(slice(world, world + 1)) for world in range(WORLDS)]
    check_tensor(result[0], (WORLDS, width), part, "latent", "(world, latent)")
    check_tensor(result[1], (WORLDS, spec.action), part, "act", "(world, action)")
    largest = float(result[1].abs().max())
    got = f"act gives an action of {largest:.3g} at progress {progress}"
    demand(largest <= 1, part, got, "the box [-1, 1]", "clip after noise is added")
    remedy = "use the noise of the Moment, and keep no state"
    demand(are_equal(result, again), part, "latent or act differ when called twice", "bit-equal actions", remedy)
    got, remedy = "a world's z or action depends on other worlds", "do not reduce over the world axis"
    demand(
        are_close(result, tuple(map(torch.cat, zip(*singles, strict=True)))), part, got, "independent worlds", remedy
    )


def check_updates(part: str, collector: Any) -> None:
    """Check ``updates``."""
    for progress, end in product(PROGRESS, (False, True)):
        with guard(part, "updates", "it takes (progress, block_end)"):
            answer = collector.updates(progress, end)
        got = f"updates({progress}, {end}) is {answer!r}"
        demand(isinstance(answer, bool), part, got, "a bool", "return whether to read the belief again now")


def check_keeps(part: str, collector: Any) -> None:
    """Check ``keeps`` after one block and after several."""
    for blocks in (1, 2, 5):
        returns = torch.from_numpy(stream(0, "returns", blocks).standard_normal((WORLDS, blocks))).float()
        with guard(part, "keeps", "it takes returns (world, block)"), forbid_global_randomness(part, "keeps"):
            kept, again = collector.keeps(returns), collector.keeps(returns)
            singles = [collector.keeps(returns[world : world + 1]) for world in range(WORLDS)]
        is_expected = isinstance(kept, Tensor) and kept.shape == (WORLDS,) and kept.dtype == torch.bool
        got = f"{tuple(kept.shape)} {kept.dtype}" if isinstance(kept, Tensor) else type(kept).__name__
        demand(
            is_expected,
            part,
            f"keeps is {got}",
            f"bool of shape ({WORLDS},), one per world",
            "compare along the block axis",
        )
        demand(are_equal(kept, again), part, "keeps differs when called twice", "equal answers", "keep no state")
        got = "keeps of a world depends on other worlds"
        demand(
            torch.equal(kept, torch.cat(singles)), part, got, "independent worlds", "do not reduce over the world axis"
        )
