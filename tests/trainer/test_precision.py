"""Products in half precision: what is in which precision, and that training goes on much as in float32."""

from __future__ import annotations

from pathlib import Path

import fakes
import pytest
import torch

from selectrl.nets.mlp import MLP
from selectrl.trainer.engine import Engine

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "gin" / "methods").glob("*.gin"))


def trained(method: str, precision: str, steps: int) -> tuple[Engine, list[dict[str, float]]]:
    agent, phases, spec = fakes.method(method)
    engine, phase = Engine([agent], precision=precision), phases[0]
    engine.enter(phase)
    batches = fakes.method_batches(phase, spec, steps)
    log = [{n: v.item() for n, v in engine.step(batch, step).items()} for step, batch in enumerate(batches)]
    return engine, log


@pytest.mark.parametrize("method", SHIPPED)
def test_every_method_trains_in_bf16_much_as_in_fp32(method: str) -> None:
    (_, plain), (engine, half) = (trained(method, precision, 20) for precision in ("fp32", "bf16"))
    assert plain[0] != half[0]  # it has an effect at all
    for name, value in plain[0].items():
        assert half[0][name] == pytest.approx(value, rel=0.02, abs=0.02), name
    for name in {name for one in plain for name in one}:
        runs = [torch.tensor([one[name] for one in log if name in one]) for log in (plain, half)]
        assert torch.isfinite(runs[1]).all()
        torch.testing.assert_close(runs[1].mean(), runs[0].mean(), rtol=0.1, atol=0.05, msg=name)
    assert {value.dtype for value in engine.state().values()} == {torch.float32}


def test_a_network_multiplies_in_bf16_and_answers_in_the_precision_of_its_rows() -> None:
    torch.manual_seed(0)
    net, x = MLP(3, 0, (64,), 2, head=0.5), torch.randn(100, 3)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x)
    assert half.dtype == torch.float32
    assert torch.equal(half, half.bfloat16().float())
    assert not torch.equal(half, net(x))
    torch.testing.assert_close(half, net(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("method", fakes.METHODS)
def test_a_population_in_bf16_equals_its_members(method: str) -> None:
    members = [fakes.method(method, seed=seed) for seed in range(2)]
    twins = [fakes.method(method, seed=seed) for seed in range(2)]
    phase, spec = members[0][1][-1], members[0][2]
    batches = [next(fakes.method_batches(phase, spec, 1, seed=seed)) for seed in range(2)]
    together = Engine([agent for agent, _, _ in members], precision="bf16")
    together.enter(phase)
    found = together.step(fakes.stacked(batches), 1)
    for place, ((agent, phases, _), batch) in enumerate(zip(twins, batches, strict=True)):
        alone = Engine([agent], precision="bf16")
        alone.enter(phases[-1])
        for name, value in alone.step(batch, 1).items():
            assert found[name][place].item() == pytest.approx(value.item(), rel=0.02, abs=0.05), name
