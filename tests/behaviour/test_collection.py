"""The collecting loop: which episodes are kept, early terminations, independence of tasks, going on after a stop."""

import attrs
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selectrl.behaviour.collection import LockstepCollection
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.parts import read_parts
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.worlds import Worlds
from selectrl.errors import RunError
from selectrl.registry import FAMILIES
from selectrl.structs import Spec

TINY = SacBehaviourConfig(
    hidden=(8, 8), batch=4, lr=1e-2, steps=130, warmup=30, period=20, first_label=40, last_label=100, episodes=3
)


class LedgeWorlds(Worlds):
    """A walk on a line from a random start, which falls off beyond ±1; the task is how steep the line is."""

    def __init__(self, slope):
        super().__init__(len(slope), 9, spaces.Box(-3, 3, (1,), np.float32), 1)
        self.slope, self.place = slope, np.zeros(len(slope))

    def _start(self, mask, seeds):
        for world in np.flatnonzero(mask):
            self.place[world] = np.random.default_rng(seeds[world]).uniform(-0.5, 0.5)

    def _advance(self, actions):
        self.place = self.place + 0.4 * actions[:, 0] + self.slope
        return -np.abs(self.place), np.abs(self.place) > 1

    def _observe(self):
        return self.place[:, None].astype(np.float32)


class Ledge:
    spec = Spec(obs=1, action=1, horizon=9, dynamics_vary=True)
    parameters = np.array([[0.0], [0.1], [-0.1], [0.2]])
    train_tasks, test_tasks, env_id = (0, 1, 3), (2,), "tests/Ledge-v0"

    def worlds(self, tasks, *, threads=1):
        return LedgeWorlds(self.parameters[list(tasks), 0])


def run(collection, steps=None):
    while collection.step < (collection.config.steps if steps is None else steps):
        collection.advance()
    return collection


def begin(family, folder, config=TINY, tasks=None):
    collection = LockstepCollection(family, config, range(len(family.parameters)) if tasks is None else tasks, folder)
    collection.resume()
    return collection


@pytest.fixture(scope="module")
def ledge(tmp_path_factory):
    return run(begin(Ledge(), tmp_path_factory.mktemp("ledge")))


def test_every_task_keeps_every_checkpoint_at_its_own_episode_ends(ledge):
    boundaries = {path.name for path in ledge.work.glob("part_*")}
    assert len(boundaries) > len(TINY.labels)  # tasks end their episodes apart
    for task in range(4):
        parts = read_parts(ledge.work, task)
        assert [part.label.tolist() for part in parts] == [[label] * 3 for label in TINY.labels]
        ends = np.flatnonzero(ledge.replay.ended[task]) + 1
        for label in TINY.labels:
            first = ends[ends >= label][0]
            assert f"part_{first:09d}.safetensors" in boundaries


def test_kept_episodes_are_real(ledge):
    lengths = set()
    for task in range(4):
        for part in read_parts(ledge.work, task):
            for obs, action, reward, terminal, length in zip(*part[:5], strict=True):
                lengths.add(int(length))
                place, after = obs[:length, 0], obs[1 : length + 1, 0]
                np.testing.assert_allclose(after, place + 0.4 * action[:length, 0] + Ledge.parameters[task], atol=1e-6)
                np.testing.assert_allclose(reward[:length], -np.abs(after), atol=1e-6)
                np.testing.assert_array_equal(terminal[:length], np.abs(after) > 1)
                assert length == 9 or terminal[length - 1]
                assert not obs[length + 1 :].any()
                assert not any(padded[length:].any() for padded in (action, reward, terminal))
    assert len(lengths) > 2


def test_starts_differ(ledge):
    starts = np.concatenate([part.obs[:, 0, 0] for task in range(4) for part in read_parts(ledge.work, task)])
    assert len(np.unique(starts)) == len(starts)


def test_warmup_episodes_of_worlds_that_fall(ledge):
    for task in range(4):
        episodes = ledge.replay.first_episodes(task, 3, 9)
        stops = np.flatnonzero(ledge.replay.ended[task])[:3] + 1
        np.testing.assert_array_equal(episodes.length, np.diff(stops, prepend=0))
        np.testing.assert_allclose(
            episodes.action[1, : episodes.length[1], 0], ledge.replay.action[task, stops[0] : stops[1], 0]
        )
        assert not episodes.label.any()


def state(collection):
    return collection.sac.state() | collection.replay.state()


@pytest.mark.parametrize("family", [Ledge(), FAMILIES.build(PointRobotConfig(tasks=3))], ids=["ledge", "point_robot"])
def test_resume_is_exact_at_any_step(family, tmp_path):
    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, TINY.steps), st.integers(0, 30))
    def check(saved, lost):
        folder = tmp_path / f"{saved}-{lost}"
        folder.mkdir(exist_ok=True)
        begun = run(begin(family, folder), saved)
        begun.save()
        run(begun, min(saved + lost, TINY.steps))  # these steps die with the process
        again = begin(family, folder)
        assert again.step == saved
        run(again)
        assert state(again).keys() == state(whole).keys()
        for name, value in state(whole).items():
            torch.testing.assert_close(state(again)[name], value, rtol=0, atol=0)
        for path in sorted(whole.work.glob("part_*")):
            assert (folder / path.name).read_bytes() == path.read_bytes()

    (tmp_path / "whole").mkdir()
    whole = run(begin(family, tmp_path / "whole"))
    check()


def test_a_task_does_not_depend_on_the_others(tmp_path):
    family = Ledge()
    together, alone = run(begin(family, tmp_path / "all")), run(begin(family, tmp_path / "one", tasks=[2]))
    torch.testing.assert_close(together.replay.action[2:3], alone.replay.action, rtol=1e-3, atol=1e-3)
    for left, right in zip(read_parts(together.work, 2), read_parts(alone.work, 2), strict=True):
        np.testing.assert_allclose(left.obs, right.obs, atol=1e-2)


def test_tasks_draw_apart(ledge):
    action = ledge.replay.action[:, : TINY.warmup, 0]
    assert len(torch.unique(action)) == action.numel()
    assert action.min() < -0.8
    assert action.max() > 0.8


def test_seed_changes_the_data(ledge, tmp_path):
    other = run(begin(Ledge(), tmp_path, attrs.evolve(TINY, seed=1)), 5)
    assert not torch.isclose(other.replay.action[:, :5], ledge.replay.action[:, :5]).any()


def test_time_outs_do_not_end_the_bootstrap(tmp_path):
    collection = run(begin(FAMILIES.build(PointRobotConfig(tasks=3)), tmp_path))
    assert not collection.replay.terminal.any()
    assert torch.nonzero(collection.replay.ended[1]).flatten().tolist() == [19, 39, 59, 79, 99, 119]


@pytest.mark.parametrize(("train_every", "updates", "count"), [(1, 1, 100), (4, 1, 25), (3, 2, 68)])
def test_number_of_updates(tmp_path, train_every, updates, count):
    config = attrs.evolve(TINY, train_every=train_every, updates_per_step=updates)
    collection = run(begin(FAMILIES.build(PointRobotConfig(tasks=3)), tmp_path, config))
    assert collection.sac.state()["adam.policy.0.step"] == count


def test_no_update_in_the_warmup(tmp_path):
    assert not any(name.startswith("adam") for name in run(begin(Ledge(), tmp_path), TINY.warmup).sac.state())


def test_divergence_is_told(tmp_path):
    collection = run(begin(Ledge(), tmp_path), TINY.warmup)
    with torch.no_grad():
        collection.sac.policy.biases[0].fill_(float("nan"))
    with pytest.raises(RunError, match=r"step 30.*behaviour\.sac\.lr"):
        collection.advance()
