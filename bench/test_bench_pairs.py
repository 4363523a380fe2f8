"""The library's way beside a naive one: the same numbers where both are functions, and the ratio of their times."""

from __future__ import annotations

import pytest
import torch
from measure import in_own_process
from pairs import PAIRS

LOSSES = ("club", "metric", "info_nce", "cvae")


@pytest.mark.parametrize("name", LOSSES)
def test_both_ways_give_the_same(name):
    pair = PAIRS[name]()
    ours, naive = pair.ours(), pair.naive()
    assert len(ours) == len(naive) > 1
    for one, other in zip(ours, naive, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_both_ways_draw_the_same_shapes():
    pair = PAIRS["sampler"]()
    ours, naive = pair.ours(), pair.naive()
    assert ours.keys() == naive.keys()
    for name, fields in naive.items():
        assert {field: getattr(ours[name], field).shape for field in fields} == {f: v.shape for f, v in fields.items()}


@pytest.mark.benchmark(group="the library's way")
@pytest.mark.parametrize("name", [name for name in PAIRS if name != "meta_test"])
def test_ours(benchmark, name):
    benchmark.pedantic(PAIRS[name]().ours, rounds=20, warmup_rounds=2)


@pytest.mark.benchmark(group="a meta-test of CSRO on Half-Cheetah-Vel, 10 tasks x 2 repeats")
def test_meta_test(benchmark):
    benchmark.pedantic(PAIRS["meta_test"]().ours, rounds=2, warmup_rounds=1)


def test_ratios():
    print(f"\n{'':<10}{'ours ms':>10}{'naive ms':>10}{'naive / ours':>14}{'ours / bare':>13}{'peak MiB':>10}")
    for name in PAIRS:
        found = in_own_process("pairs.py", name)
        ours, naive, bare = found["ours"], found["naive"], found.get("bare", float("nan"))
        times = f"{1e3 * ours:>10.3f}{1e3 * naive:>10.1f}{naive / ours:>14.1f}{ours / bare:>13.2f}"
        print(f"{name:<10}{times}{found['peak_mib']:>10.0f}")
        assert ours > 0
