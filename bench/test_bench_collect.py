"""Batched SAC against the same learners one after another: the same updates and sizes, in one run; and where time goes.

A learner's bits do not depend on which others stand beside it, so both do the same work on the same rows. Ratios are
those of the least times of rounds that take turns. Nothing is asserted about time.
"""

from __future__ import annotations

from time import perf_counter

import pytest
import torch

from selectrl.behaviour.collection import LockstepCollection
from selectrl.behaviour.sac import BatchedSac
from selectrl.gin_edge import build_collection, shipped_layer
from selectrl.registry import FAMILIES
from selectrl.structs import Rows

PRESETS = {"point_robot": "laptop", "half_cheetah_vel": "small"}
UPDATES, ROUNDS = 3, 6


def least(**doers):
    """The least seconds of each, of rounds that take turns."""
    found = dict.fromkeys(doers, float("inf"))
    for _ in range(ROUNDS):
        for name, do in doers.items():
            begin = perf_counter()
            do()
            found[name] = min(found[name], perf_counter() - begin)
    return found


@pytest.mark.parametrize("env", PRESETS)
def test_batched_against_one_after_another(env, tmp_path, capsys):
    built = build_collection([shipped_layer("envs", env), shipped_layer("behaviour", PRESETS[env])])
    family, config = FAMILIES.build(built.env), built.behaviour
    spec, tasks = family.spec, list(range(len(family.parameters)))
    lead = (len(tasks), config.batch)
    obs, next_obs, action = (torch.randn(*lead, width) for width in (spec.obs, spec.obs, spec.action))
    rows = Rows(obs, action.tanh(), torch.randn(lead), next_obs, torch.zeros(lead), torch.zeros(lead))
    normal = torch.randn(*lead, spec.action)

    def update(sac, part):
        for _ in range(UPDATES):
            sac.update(Rows(*(f[part] for f in rows)), normal[part], normal[part], move_target=True)

    together = BatchedSac(config, spec, tasks)
    apart = [BatchedSac(config, spec, [task]) for task in tasks]

    def one_after_another():
        for task, sac in enumerate(apart):
            update(sac, slice(task, task + 1))

    times = least(batched=lambda: update(together, slice(None)), apart=one_after_another)
    for name, value in apart[7].critic.named_parameters():
        torch.testing.assert_close(value, dict(together.critic.named_parameters())[name][[7, 7 + len(tasks)]])

    collection = LockstepCollection(family, config, tasks, tmp_path)
    collection.resume()
    while collection.step <= config.warmup:
        collection.advance()
    whole = least(step=collection.advance)["step"]
    with torch.profiler.profile() as profile:
        update(together, slice(None))
    found = sorted(profile.key_averages(), key=lambda row: -row.self_cpu_time_total)[:6]
    total = sum(row.self_cpu_time_total for row in profile.key_averages())
    with capsys.disabled():
        each = times["batched"] / UPDATES
        print(f"\n{env}, preset {PRESETS[env]}, {len(tasks)} tasks, {torch.get_num_threads()} thread(s)")
        print(f"  one update of all tasks, batched {1e3 * each:.2f} ms, one after another", end=" ")
        print(f"{1e3 * times['apart'] / UPDATES:.2f} ms: {times['apart'] / times['batched']:.2f} times")
        print(f"  one step of collection {1e3 * whole:.2f} ms, of which the update {each / whole:.0%}")
        print("  in the update: " + ", ".join(f"{r.key} {r.self_cpu_time_total / total:.0%}" for r in found))
