"""The kit catches each fault that is planted in an encoder, critic, actor or weight, and its sentence names it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from selectrl import registry
from selectrl.actors.configs import SacConfig
from selectrl.actors.sac import SacActor
from selectrl.critics.twin_q_v import TwinQVCritic
from selectrl.encoders.sets.focal import FocalEncoder
from selectrl.functional.distributions import tanh_gaussian
from selectrl.nets.policies import TanhGaussianPolicy
from selectrl.protocols import Optim, Phase, Track
from selectrl.registry import Registry
from selectrl.structs import Latent, Losses
from selectrl.testing import (
    ConformanceError,
    check_actor,
    check_critic,
    check_encoder,
    check_weight,
)
from selectrl.testing.scene import ACTOR, CRITIC, ENCODER, GAUSSIAN


@attrs.frozen
class Fake:
    """A config that builds a faulty part."""

    make: Callable[..., Any]


@pytest.fixture(autouse=True)
def _build_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every registry build a fake by its own function."""
    build = Registry.build

    def built(registry: Any, config: Any, *arguments: Any) -> Any:
        return config.make(*arguments) if isinstance(config, Fake) else build(registry, config, *arguments)

    monkeypatch.setattr(Registry, "build", built)


# --- encoders ---------------------------------------------------------------------------------------------------------


class Flat(FocalEncoder):
    def encode(self, batch):
        latent = super().encode(batch)
        return Latent(latent.z[:, 0], latent.z[:, 0], latent.features)


class Noisy(FocalEncoder):
    def encode(self, batch):
        latent = super().encode(batch)
        return latent._replace(z=latent.z + torch.randn(()))


class Undeclared(FocalEncoder):
    def encode(self, batch):
        z = self.net.weights[0].new_zeros(len(batch.tasks), 1, self.latent_dim)
        return Latent(z, z, {})

    def phases(self, rl):
        return (rl,)


class Ordered(FocalEncoder):
    def encode(self, batch):
        z = super().encode(batch).features["rows"][:, :1]
        return Latent(z, z, {})


class NumPyNoise(FocalEncoder):
    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(total=losses.total * float(np.random.rand()))


class Items(FocalEncoder):
    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(total=losses.total / losses.total.item())


class Homebound(FocalEncoder):
    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(total=(losses.total + torch.ones(2)).mean())


class Counting(FocalEncoder):
    calls = 0

    def loss(self, agent, batch):
        self.calls += 1
        losses = super().loss(agent, batch)
        return losses._replace(total=losses.total * self.calls)


class PerTask(FocalEncoder):
    def loss(self, agent, batch):
        return Losses(batch.latent.z.square().sum((1, 2)), {})


class Infinite(FocalEncoder):
    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(terms={"ratio": losses.total / 0})


class Extra(FocalEncoder):
    """It has a second network; a subclass says what goes wrong with it."""

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.more = torch.nn.Linear(2, 2)

    def objectives(self):
        (objective,) = super().objectives()
        return (attrs.evolve(objective, moves={**objective.moves, "encoder.more": Optim()}),)


class Cut(Extra):
    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(total=losses.total + 0 * sum(p.sum() for p in self.more.parameters()))


class Writing(FocalEncoder):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.register_buffer("seen", torch.zeros(()))

    def loss(self, agent, batch):
        self.seen.add_(1)
        return super().loss(agent, batch)


class Secret(FocalEncoder):
    """Its loss reads a random tensor that is no parameter and no buffer."""

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.offset = torch.rand(())

    def loss(self, agent, batch):
        losses = super().loss(agent, batch)
        return losses._replace(terms={"offset": losses.total + self.offset})


class Greedy(FocalEncoder):
    def objectives(self):
        (objective,) = super().objectives()
        return (attrs.evolve(objective, moves={**objective.moves, "policy": Optim()}),)


class Selfish(FocalEncoder):
    def phases(self, rl):
        return (attrs.evolve(rl, objectives=self.objectives(), draws=(self.context,)),)


class Deaf(FocalEncoder):
    def step(self, state, rows, live):
        return super().step(state, rows, torch.ones_like(live))


class Mixing(FocalEncoder):
    def read(self, state):
        belief = super().read(state)
        return belief._replace(z=belief.z - belief.z.mean(0))


class Summing(FocalEncoder):
    def read(self, state):
        return super().read(state)._replace(z=state.total)


class Preparing(FocalEncoder):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.register_buffer("table", torch.zeros(0), persistent=False)

    def phases(self, rl):
        (rl,) = super().phases(rl)
        return Phase(name="first", steps=1, encodes=False, prepare=self.prepare), rl


class Stranger(Preparing):
    def prepare(self, store, generator):
        return {"encoder.cache": store.reward}


class Reshaping(Preparing):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.register_buffer("units", torch.zeros(0))

    def prepare(self, store, generator):
        return {"encoder.units": store.reward.mean((0, 1))}


class Impure(Preparing):
    calls = 0

    def prepare(self, store, generator):
        self.calls += 1
        return {"encoder.table": store.reward * self.calls}


def encoder(cls: type) -> None:
    check_encoder(Fake(lambda spec: cls(ENCODER, spec)))


ENCODERS = {
    Undeclared: r"rows change the belief, but training reads no rows",
    Flat: r"encode in phase 'rl': z is \(4, 3\).*expected float32 of shape \(4, 1, 3\)",
    Noisy: r"encode in phase 'rl' drew from torch's global generator.*declare a Noise",
    Ordered: r"z depends on the order of the rows of 'context'",
    NumPyNoise: r"the loss of objective 'encoder' drew from NumPy's global generator",
    Items: r"the loss of objective 'encoder' away from the CPU raised .*item.*torch.where",
    Homebound: r"the loss of objective 'encoder' away from the CPU raised .*create tensors with the device of an input",
    Counting: r"the loss of objective 'encoder' differs when computed twice",
    PerTask: r"total of the loss of objective 'encoder' is \(4,\); expected a scalar",
    Infinite: r"ratio of the loss of objective 'encoder' is inf",
    Extra: r"moves 'encoder.more.weight', which its loss never reads.*narrow the prefix",
    Cut: r"declares that it moves 'encoder.more', which gets no gradient",
    Writing: r"a step of objective 'encoder' changed encoder.seen",
    Secret: r"losses differ after state_dict was loaded",
    Greedy: r"objective 'encoder' moves policy; expected an encoder that moves only 'encoder'",
    Selfish: r"the rl phase trains only \['encoder'\]",
    Deaf: r"step changed a world that is not live",
    Mixing: r"a world's belief depends on other worlds",
    Summing: r"filtered rows give another z than encode",
    Stranger: r"prepare of phase 'first' returned \['encoder.cache'\]; expected only registered buffers",
    Reshaping: r"prepare of phase 'first' reshapes \['encoder.units'\]; .*final shape, or with persistent=False",
    Impure: r"prepare of phase 'first' gave two results for one generator",
}

# --- critics ----------------------------------------------------------------------------------------------------------


class NoTwins(TwinQVCritic):
    def q(self, obs, action, z, twins=2):
        return super().q(obs, action, z, twins)[0]


class VFirst(TwinQVCritic):
    def td_loss(self, agent, batch):
        return super().td_loss(agent, batch._replace(latent=batch.latent.detach()))


class Acting(TwinQVCritic):
    def objectives(self):
        td, v = super().objectives()
        return td, attrs.evolve(v, moves={**v.moves, "policy": Optim()})


class Frozen(TwinQVCritic):
    def tracks(self):
        return (Track(source="critic.v_net", tau=0.0),)


class Untracked(TwinQVCritic):
    def tracks(self):
        return ()


class Nowhere(TwinQVCritic):
    def tracks(self):
        return (Track(source="critic.w_net", tau=0.1),)


def critic(cls: type) -> None:
    check_critic(Fake(lambda spec, latent_dim: cls(CRITIC, spec, latent_dim)))


CRITICS = {
    NoTwins: r"q is \(4, 6\).*expected float32 of shape \(2, 4, 6\), \(twin, task, batch\)",
    VFirst: r"the first objective, 'critic', gives z no gradient",
    Acting: r"objective 'value' moves policy; expected a critic that moves only 'critic'",
    Frozen: r"the track of 'critic.v_net' has tau 0.0",
    Untracked: r"the loss of objective 'critic' raised CompositionError: MLP has no target; declare a Track",
    Nowhere: r"'critic.w_net'.*no such module",
}

# --- actors -----------------------------------------------------------------------------------------------------------


class Idle(SacActor):
    def objectives(self):
        return ()


class Teaching(SacActor):
    def objectives(self):
        (objective,) = super().objectives()
        return (attrs.evolve(objective, moves={**objective.moves, "critic.q_net": Optim()}),)


class Wide(TanhGaussianPolicy):
    def mode(self, obs, z):
        return 1.5 + super().mode(obs, z)


class Certain(TanhGaussianPolicy):
    def log_prob(self, obs, z, action):
        return super().log_prob(obs, z, action) + 1


class Unclipped(TanhGaussianPolicy):
    def log_prob(self, obs, z, action):
        mean, log_std = self.heads(obs, z)
        normal = (torch.atanh(action) - mean) * (-log_std).exp()
        return tanh_gaussian(mean, log_std, normal)[1]


class Pretending(TanhGaussianPolicy):
    stochastic = False


@attrs.frozen
class FakeActor(Fake):
    policy: Any = GAUSSIAN


def actor(cls: type) -> None:
    if issubclass(cls, TanhGaussianPolicy):
        policy: Any = Fake(lambda spec, latent_dim: cls(GAUSSIAN, spec, latent_dim))
        check_actor(FakeActor(partial(SacActor, ACTOR), policy=policy))
    else:
        check_actor(FakeActor(lambda spec, latent_dim: cls(ACTOR, spec, latent_dim)))


ACTORS = {
    Idle: r"its objectives move nothing; expected an objective that moves the policy",
    Teaching: r"its objectives move critic.q_net; expected an actor that moves only 'policy' and 'actor'",
    Wide: r"policy.mode leaves the box \[-1, 1\]",
    Certain: r"log_prob of a sample is not its log-probability; expected equal values, to 1e-3",
    Unclipped: r"log_prob of an action of ±1 is not finite; .*clip the action before artanh",
    Pretending: r"log_prob of a deterministic policy returned a value; expected a CompositionError",
}

# --- weights ----------------------------------------------------------------------------------------------------------


class Whole:
    def weigh(self, advantage):
        return (advantage > 0).float()


class Negative(Whole):
    def weigh(self, advantage):
        return advantage.detach().sign()


class NegativeForLargeOnes(Whole):
    def weigh(self, advantage):
        return 1 - 1e-3 * advantage.detach().relu()


class Unbounded(Whole):
    def weigh(self, advantage):
        return advantage.detach().exp()


class Undefined(Whole):
    def weigh(self, advantage):
        return (advantage / advantage.abs().mean()).detach().clamp(0, 1)


class Attached(Whole):
    def weigh(self, advantage):
        return advantage.sigmoid()


class Averaged(Whole):
    def weigh(self, advantage):
        return super().weigh(advantage).mean(-1)


class Drawn(Whole):
    def weigh(self, advantage):
        return torch.rand_like(advantage)


@attrs.frozen
class FaultyWeightConfig:
    """Names one of the weights above."""

    name: str


@attrs.frozen
class WeighingActor(FakeActor):
    weight: Any = None


@pytest.fixture(autouse=True)
def _faulty_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register them, for one test."""
    monkeypatch.setattr(registry.WEIGHTS, "_entries", dict(registry.WEIGHTS._entries))
    registry.WEIGHTS.add(
        "faulty", FaultyWeightConfig, lambda config: globals()[config.name](), paper="none", summary="with a fault"
    )


def weight(cls: type) -> None:
    """A weight is checked alone and inside an actor."""
    config = FaultyWeightConfig(cls.__name__)
    with pytest.raises(ConformanceError) if cls is not Whole else nullcontext():
        check_weight(config)
    check_actor(WeighingActor(partial(SacActor, ACTOR), weight=config))


WEIGHTS = {
    Negative: r"^weights\.faulty: weigh gives -1 for advantages of up to 0.0003; expected weights of at least 0",
    NegativeForLargeOnes: r"weigh gives -29 for advantages of up to 30000",
    Unbounded: r"weigh's weight holds NaN or infinity",
    Undefined: r"weigh's weight holds NaN or infinity",
    Attached: r"weights carry a gradient",
    Averaged: r"weigh's weight is \(3,\) torch.float32; expected float32 of shape \(3, 64\)",
    Drawn: r"weigh drew from torch's global generator",
}

CHECKS = [(encoder, ENCODERS), (critic, CRITICS), (actor, ACTORS), (weight, WEIGHTS)]
FAULTS = [pytest.param(check, *fault, id=fault[0].__name__) for check, faults in CHECKS for fault in faults.items()]


@pytest.mark.parametrize(("check", "part", "sentence"), FAULTS)
def test_a_planted_fault_is_named(check: Callable[[type], None], part: type, sentence: str) -> None:
    state = torch.get_rng_state()
    with pytest.raises(ConformanceError, match=sentence) as caught:
        check(part)
    assert len(str(caught.value).splitlines()) == 1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("check", "part"),
    [(encoder, FocalEncoder), (critic, TwinQVCritic), (actor, SacActor), (weight, Whole)],
)
def test_the_same_parts_without_a_fault_pass(check: Callable[[type], None], part: type) -> None:
    check(part)


def test_a_config_that_its_record_does_not_give_back_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selectrl.testing.losses.from_record", lambda record: SacConfig(policy=GAUSSIAN, lr=1.0))
    with pytest.raises(ConformanceError, match="the config read from its record is SacConfig"):
        check_actor(ACTOR)
