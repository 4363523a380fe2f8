"""From the public function to a dataset on disk, and the shipped presets."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

from selectrl.behaviour.collect import WORK, collect
from selectrl.behaviour.collection import LockstepCollection
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.data.store import OfflineDataset
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.point_robot import PointRobot
from selectrl.errors import DataError, FieldError, InputError, RunError, UnreadableError
from selectrl.gin_edge import build_collection, shipped_layer
from selectrl.registry import FAMILIES

FAMILY = PointRobotConfig(tasks=4)
TINY = SacBehaviourConfig(
    hidden=(8,), batch=4, steps=130, warmup=40, period=20, first_label=60, last_label=100, episodes=3, keep_warmup=2
)
PRESETS = sorted(Path(__file__).parents[2].glob("gin/behaviour/*.gin"))


class Stop(Exception):
    pass


def stop_at(step):
    def progress(where):
        if where.step >= step:
            raise Stop

    return progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return collect(FAMILY, TINY, tmp_path_factory.mktemp("data") / "whole")


def fingerprint(folder):
    return OfflineDataset.open(folder, env="point_robot").fingerprint


def test_published_labels(tmp_path):
    config = SacBehaviourConfig(hidden=(4,), batch=2, train_every=100, episodes=2)
    manifest = OfflineDataset.open(collect(PointRobotConfig(tasks=3), config, tmp_path / "data")).manifest
    for entry in manifest.tasks:
        assert [behaviour.label for behaviour in entry.returns] == list(range(2200, 4801, 200))
        assert [behaviour.episodes for behaviour in entry.returns] == [2] * 14
    assert manifest.keep_warmup == 0


def test_dataset(whole):
    dataset = OfflineDataset.open(whole, env="point_robot", spec=FAMILIES.build(FAMILY).spec)
    manifest = dataset.manifest
    assert manifest.env_id == "selectrl/PointRobot-v0"
    assert manifest.split == {"train": (0, 1, 3), "test": (2,)}
    assert manifest.behaviour["hidden"] == [8]
    assert dataset.verify() == []
    assert not (whole / WORK).exists()
    for entry, goal in zip(manifest.tasks, FAMILIES.build(FAMILY).parameters, strict=True):
        episodes = dataset.task(entry.task)
        assert entry.parameter == tuple(goal)
        assert episodes.label.tolist() == [0] * 2 + [60] * 3 + [80] * 3 + [100] * 3
        assert episodes.length.tolist() == [20] * 11
        assert not episodes.terminal.any()
        obs, action = episodes.obs.numpy(), episodes.action.numpy()
        np.testing.assert_allclose(np.diff(obs, axis=1), 0.1 * action, atol=1e-6)
        np.testing.assert_allclose(episodes.reward, -np.linalg.norm(obs[:, 1:] - goal, axis=-1), atol=1e-6)


def test_warmup_is_uniform_and_kept_as_label_zero(tmp_path):
    config = attrs.evolve(TINY, warmup=400, keep_warmup=20, first_label=420, last_label=420, steps=440)
    episodes = OfflineDataset.open(collect(FAMILY, config, tmp_path / "data")).task(1)
    action = episodes.action[episodes.label == 0].numpy().ravel()
    assert action.size == 20 * 20 * 2
    histogram, _ = np.histogram(action, bins=4, range=(-1, 1))
    assert histogram.min() > 0.2 * action.size


def test_progress(tmp_path):
    seen = []
    collect(FAMILY, TINY, tmp_path / "data", progress=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 131))
    assert {progress.steps for progress in seen} == {130}
    assert sorted({progress.label for progress in seen}) == [0, 60, 80, 100]
    assert np.isnan(seen[0].returns).all()
    kept = [entry.returns[-1].mean_return for entry in OfflineDataset.open(tmp_path / "data").manifest.tasks]
    np.testing.assert_allclose(seen[-1].returns, kept, rtol=1e-6)  # of each task's latest checkpoint


def test_interrupted_at_a_random_step(tmp_path, whole):
    stops = np.random.default_rng().integers(1, TINY.steps, 3)
    for step in stops:
        with pytest.raises(Stop):
            collect(FAMILY, TINY, tmp_path / "data", save_every=7, progress=stop_at(step))
    collect(FAMILY, TINY, tmp_path / "data", save_every=7)
    assert fingerprint(tmp_path / "data") == fingerprint(whole), stops


def test_interrupted_while_the_dataset_is_written(tmp_path, whole, monkeypatch):
    def fail(*_, **__):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("selectrl.behaviour.collect.write_manifest", fail)
        with pytest.raises(Stop):
            collect(FAMILY, TINY, tmp_path / "data")
    steps = []
    collect(FAMILY, TINY, tmp_path / "data", progress=steps.append)
    assert steps == []
    assert fingerprint(tmp_path / "data") == fingerprint(whole)


def test_killed(tmp_path, whole):
    code = (
        "from pathlib import Path\n"
        "from selectrl.behaviour.collect import collect; from selectrl.behaviour.config import SacBehaviourConfig\n"
        "from selectrl.envs.configs import PointRobotConfig\n"
        f"config = SacBehaviourConfig(**{attrs.asdict(TINY)!r})\n"
        f"collect(PointRobotConfig(tasks=4), config, Path({str(tmp_path / 'data')!r}), save_every=1, threads=1,"
        " progress=lambda where: print(where.step, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 77:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    seen = []
    collect(FAMILY, TINY, tmp_path / "data", progress=seen.append)
    assert not seen or seen[0].step > 77  # a slow reader of the pipe may have let it finish
    assert fingerprint(tmp_path / "data") == fingerprint(whole)


def test_threads_are_put_back(tmp_path):
    before = torch.get_num_threads()
    with pytest.raises(Stop):
        collect(FAMILY, TINY, tmp_path / "data", threads=before + 1, progress=stop_at(1))
    assert torch.get_num_threads() == before


def test_threads_reach_every_world(tmp_path, monkeypatch):
    asked = []
    build = PointRobot.worlds
    monkeypatch.setattr(
        PointRobot, "worlds", lambda *given, threads: asked.append(threads) or build(*given, threads=threads)
    )
    collect(FAMILY, TINY, tmp_path / "data", threads=2)
    assert asked == [2] * 4  # the learners' and those of three checkpoints


def test_two_collections_do_not_share_a_folder(tmp_path, whole):
    """The second is refused before any work, and is not told to delete what the first one uses."""
    refusals = []

    def intrude(where):
        if where.step == 100:  # parts and a saved state are there
            before = {path.name for path in (tmp_path / "data" / WORK).iterdir()}
            with pytest.raises(InputError, match="another process works in") as caught:
                collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(0))
            refusals.append(str(caught.value))
            assert {path.name for path in (tmp_path / "data" / WORK).iterdir()} == before

    collect(FAMILY, TINY, tmp_path / "data", progress=intrude)
    assert len(refusals) == 1
    assert "delete" not in refusals[0]
    assert fingerprint(tmp_path / "data") == fingerprint(whole)


def test_what_another_process_has_collected_meanwhile_is_taken(tmp_path, whole, monkeypatch):
    """A dataset that is there when the lock is had is not collected again."""
    asked = []

    def absent_at_first(folder, record):
        asked.append(folder)
        return len(asked) > 1

    monkeypatch.setattr("selectrl.behaviour.collect._is_complete", absent_at_first)
    collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(0))
    assert len(asked) == 2


def test_a_link_in_place_of_the_work_folder_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "data" / WORK).symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match="symbolic link"):
        collect(FAMILY, TINY, tmp_path / "data")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_kill_before_the_last_cleaning_costs_nothing_but_the_cleaning(tmp_path):
    collect(FAMILY, TINY, tmp_path / "data")
    (tmp_path / "data" / WORK).mkdir()
    collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(0))
    assert not (tmp_path / "data" / WORK).exists()


@pytest.mark.parametrize("name", ["part_000000080.safetensors", "state.safetensors"])
def test_remains_that_cannot_be_read_are_not_called_damaged(tmp_path, name):
    with pytest.raises(Stop):
        collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(130))
    (tmp_path / "data" / WORK / name).unlink()
    os.mkfifo(tmp_path / "data" / WORK / name)
    with pytest.raises(UnreadableError, match="a pipe") as caught:
        collect(FAMILY, TINY, tmp_path / "data")
    assert "delete" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_update_never_waits_for_the_gpu(tmp_path):
    collection = LockstepCollection(FAMILIES.build(FAMILY), TINY, range(4), tmp_path, "cuda")
    collection.resume()
    for _ in range(TINY.warmup + 5):
        collection.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        collection.train()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_complete_dataset_is_returned_at_once(whole):
    collect(FAMILY, TINY, whole, progress=stop_at(1))


@pytest.mark.parametrize(
    ("family", "behaviour", "field"),
    [
        (FAMILY, attrs.evolve(TINY, lr=0.5), r"behaviour\.lr is 0\.0001, expected 0\.5"),
        (PointRobotConfig(tasks=4, step_size=0.2), TINY, r"env_config\.step_size is 0\.1, expected"),
    ],
)
def test_another_configuration_is_refused(tmp_path, whole, family, behaviour, field):
    with pytest.raises(InputError, match=field):
        collect(family, behaviour, whole)
    with pytest.raises(Stop):
        collect(FAMILY, TINY, tmp_path / "begun", progress=stop_at(5))
    with pytest.raises(InputError, match=field):
        collect(family, behaviour, tmp_path / "begun")


def test_missing_episodes_are_refused(tmp_path):
    with pytest.raises(Stop):
        collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(130))
    (tmp_path / "data" / WORK / "part_000000080.safetensors").unlink()
    with pytest.raises(RunError, match="task 0 has 0 episodes of checkpoint 80, expected 3"):
        collect(FAMILY, TINY, tmp_path / "data")
    assert not (tmp_path / "data" / "manifest.json").exists()


@pytest.mark.parametrize("name", ["part_000000080.safetensors", "state.safetensors"])
def test_damaged_remains_are_refused(tmp_path, name):
    with pytest.raises(Stop):
        collect(FAMILY, TINY, tmp_path / "data", progress=stop_at(130))
    (tmp_path / "data" / WORK / name).write_bytes(b"half")
    with pytest.raises(RunError, match=rf"{name} cannot be read .*delete"):
        collect(FAMILY, TINY, tmp_path / "data")


def test_a_damaged_dataset_is_not_taken_for_a_complete_one(tmp_path):
    collect(FAMILY, TINY, tmp_path / "data")
    (tmp_path / "data" / "task_001.safetensors").write_bytes(b"half")
    with pytest.raises(DataError, match=r"task 1.*delete"):
        collect(FAMILY, TINY, tmp_path / "data")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test wants missing")
def test_a_missing_device_is_refused(tmp_path):
    with pytest.raises(InputError, match="torch has no CUDA device"):
        collect(FAMILY, TINY, tmp_path / "data", device="cuda")
    assert not (tmp_path / "data").exists()


def test_unregistered_family(tmp_path):
    with pytest.raises(InputError, match="not registered"):
        collect(TINY, TINY, tmp_path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"first_label": 70}, "first_label"),
        ({"first_label": 20}, "first_label"),
        ({"last_label": 40}, "last_label"),
        ({"steps": 100}, "last_label"),
        ({"log_std_max": -5.0}, "log_std_max"),
        ({"hidden": ()}, "hidden"),
        ({"gamma": 1.5}, "gamma"),
        ({"batch": 0}, "batch"),
    ],
)
def test_config_refuses(change, field):
    with pytest.raises(FieldError, match=rf"SacBehaviourConfig\.{field}: expected"):
        attrs.evolve(TINY, **change)


@pytest.mark.parametrize(
    ("change", "field"), [({"period": 10}, "period"), ({"steps": 119}, "steps"), ({"keep_warmup": 3}, "warmup")]
)
def test_config_that_does_not_fit_the_horizon(tmp_path, change, field):
    with pytest.raises(FieldError, match=rf"SacBehaviourConfig\.{field}: expected"):
        collect(FAMILY, attrs.evolve(TINY, **change), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def preset(name, env="point_robot"):
    return build_collection([shipped_layer("envs", env), shipped_layer("behaviour", name)]).behaviour


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_says_every_number(path):
    config = preset(path.stem)
    config.check_horizon(200 if path.stem in ("small", "gpu") else 20)
    assert len(config.labels) == {"laptop": 14, "paper": 14, "small": 11, "gpu": 18}[path.stem]
    bound = re.findall(r"^behaviour\.sac\.(\w+) =", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(bound) == attrs.asdict(config).keys()


def test_the_published_preset_is_the_default():
    assert preset("paper") == SacBehaviourConfig()


@pytest.mark.parametrize(
    ("env", "labels"),
    [
        ("half_cheetah_vel", 18),
        ("ant_goal", 18),
        ("humanoid_dir", 19),
        ("hopper_rand_params", 19),
        ("walker_rand_params", 19),
    ],
)
def test_the_published_checkpoints_of_each_robot(env, labels):
    config = preset("paper", env)
    assert len(config.labels) == labels
    assert (config.steps, config.period, config.labels[-1]) == (1_000_000, 50_000, 950_000)


def test_policies_learn(tmp_path):
    config = SacBehaviourConfig(
        hidden=(32, 32), batch=64, lr=3e-3, init_temperature=0.02, steps=1420, warmup=400, period=200,
        first_label=400, last_label=1400, episodes=10,
    )  # fmt: skip
    returns = OfflineDataset.open(collect(FAMILY, config, tmp_path / "data")).summary()["mean_return_by_label"]
    assert returns["400"] < -12
    assert returns["1400"] > -7


def test_a_checkpoint_right_after_the_warmup(tmp_path):
    config = attrs.evolve(TINY, period=40, first_label=40, last_label=80, steps=121)
    manifest = OfflineDataset.open(collect(FAMILY, config, tmp_path / "data")).manifest
    assert [behaviour.label for behaviour in manifest.tasks[0].returns] == [0, 40, 80]
