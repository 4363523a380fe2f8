"""Batches that cannot fit the memory are refused before any work, and no others."""

from __future__ import annotations

import attrs
import pytest

import selectrl
from selectrl.errors import InputError
from selectrl.experiment import memory
from selectrl.experiment.build import build_agent
from selectrl.experiment.memory import available_memory, minimum_bytes, require_memory
from selectrl.registry import FAMILIES

GIB = 2**30
BASE = selectrl.compose("select", "point_robot")
SPEC = FAMILIES.build(BASE.env).spec
AGENT = build_agent(BASE, SPEC, 0)
TRAIN = attrs.evolve(BASE.train, meta_batch=4, batch=100, context=50)


def test_the_bytes_of_a_hand_worked_step() -> None:
    """Rows of 2 + 2 observations, 2 actions, reward and end, with 16 bytes for place and draw, and outputs."""
    outputs = sum(weight.shape[0] for weight in AGENT.policy.parameters() if weight.ndim == 2)
    assert (SPEC.obs, SPEC.action) == (2, 2)
    row = 4 * 8 + 16
    assert minimum_bytes(TRAIN, SPEC, AGENT) == {"train.batch": 400 * (row + 4 * outputs), "train.context": 200 * row}


@pytest.mark.parametrize(("field", "binding"), [("batch", "train.batch"), ("context", "train.context")])
def test_a_batch_beyond_the_memory_is_named(field: str, binding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 4.0 * GIB)
    huge = attrs.evolve(TRAIN, **{field: 10_000_000}, meta_batch=16)
    with pytest.raises(
        InputError, match=rf"^{binding} = 10000000: a step on 16 tasks .*4.0 GiB are .*; bind a smaller"
    ):
        require_memory(huge, SPEC, [AGENT])
    require_memory(TRAIN, SPEC, [AGENT])
    require_memory(huge, SPEC, [AGENT], "cuda")


def test_what_is_available_is_less_than_the_machine_has_and_more_than_nothing() -> None:
    assert 2**20 < available_memory() < 2**60
