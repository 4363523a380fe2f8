from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import play, write_rows, write_tree

from selectrl.data import npy_trees
from selectrl.data.actions import ActionRule
from selectrl.data.npy_trees import find_files, import_tree, read_episode
from selectrl.data.store import OfflineDataset
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import DataError, InputError
from selectrl.registry import FAMILIES
from selectrl.structs import Spec

TASKS, LABELS, EPISODES = 4, (2200, 2400), 2
CONFIG = PointRobotConfig(tasks=TASKS)
FAMILY = FAMILIES.build(CONFIG)


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("tree"), FAMILY, labels=LABELS, episodes=EPISODES)


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path) -> Path:
    """A tree that a test may damage."""
    return Path(shutil.copytree(whole_tree, tmp_path / "tree"))


def bring_in(tree: Path, out: Path, *, allow_gaps: bool = False, **how: Any) -> npy_trees.TreeImport:
    return import_tree(find_files(tree, TASKS, **how), CONFIG, out, source="imported", allow_gaps=allow_gaps)


def file(tree: Path, task: int = 2, k: int = 1, label: int = 2400) -> Path:
    return tree / f"goal_idx{task}" / f"trj_evalsample{k}_step{label}.npy"


def rows(steps: int = 20, task: int = 2) -> list[list[Any]]:
    return play(FAMILY, task, np.random.default_rng(5))[:steps]


def clipped_rows() -> list[list[Any]]:
    """Return an episode in which every other action is of size 1 in each number."""
    worlds, path = FAMILY.worlds([2]), []
    obs, _ = worlds.reset(seed=[0])
    for t in range(20):
        action = np.array([1, -1] if t % 2 else [0.25, -0.5], "f4")
        after, reward, *_ = worlds.step(action[None])
        path.append([obs[0], action, np.float64(reward[0]), after[0]])
        obs = after
    return path


class TestWhatIsWritten:
    def test_every_episode_under_its_task_and_label(self, tree: Path, tmp_path: Path) -> None:
        steps: list[tuple[int, int]] = []
        imported = import_tree(
            find_files(tree, TASKS), CONFIG, tmp_path / "out", source="x", progress=lambda *at: steps.append(at)
        )
        assert imported == (TASKS * 4, 0, [], {})
        assert steps == [(i + 1, TASKS * 4) for i in range(TASKS * 4)]
        dataset = OfflineDataset.open(tmp_path / "out", env="point_robot", spec=FAMILY.spec)
        assert dataset.verify() == []
        rng = np.random.default_rng(0)
        for task in range(TASKS):
            stored = dataset.task(task)
            assert stored.label.tolist() == [2200, 2200, 2400, 2400]
            for i in range(4):
                wrote = play(FAMILY, task, rng)  # the very episodes that the tree was made of
                assert np.array_equal(stored.obs[i, 0], wrote[0][0])
                assert np.array_equal(stored.obs[i, 1:], np.stack([row[3] for row in wrote]).astype("f4"))
                assert np.array_equal(stored.action[i], np.stack([row[1] for row in wrote]))
                assert np.array_equal(stored.reward[i], np.array([row[2] for row in wrote], "f4"))

    def test_the_manifest_tells_where_the_data_come_from(self, tree: Path, tmp_path: Path) -> None:
        bring_in(tree, tmp_path / "out")
        manifest = OfflineDataset.open(tmp_path / "out").manifest
        assert (manifest.env, manifest.env_config) == ("point_robot", attrs.asdict(CONFIG))
        assert (manifest.source, manifest.keep_warmup) == ("imported", 0)
        assert manifest.split == {"train": (0, 1, 3), "test": (2,)}
        assert manifest.behaviour["labels"] == [2200, 2400]
        assert (manifest.versions["mujoco"], manifest.versions["gymnasium"]) == ("unknown", "unknown")
        assert np.array_equal([entry.parameter for entry in manifest.tasks], FAMILY.parameters)
        assert "gymnasium unknown (installed: " in str(manifest.drift())

    def test_full_length_is_a_time_out_and_less_a_true_end(self, tree: Path, tmp_path: Path) -> None:
        write_rows(file(tree), rows(7))
        imported = bring_in(tree, tmp_path / "out")
        assert imported.terminal == 1
        stored = OfflineDataset.open(tmp_path / "out").task(2)
        assert stored.length.tolist() == [20, 20, 20, 7]
        assert [tuple(at) for at in stored.terminal.nonzero().tolist()] == [(3, 6)]
        assert not stored.obs[3, 8:].any()

    def test_episodes_in_the_order_of_their_numbers(self, tree: Path, tmp_path: Path) -> None:
        """Of names, 10 comes before 9."""
        for task in range(TASKS):
            for k in range(2, 11):
                write_rows(file(tree, task, k, 2200), rows(task=task))
                write_rows(file(tree, task, k, 2400), rows(task=task))
        paths = find_files(tree, TASKS).files[0][2200]
        assert [path.name for path in paths] == [f"trj_evalsample{k}_step2200.npy" for k in range(11)]

    def test_labels_asked_for_alone(self, tree: Path, tmp_path: Path) -> None:
        assert bring_in(tree, tmp_path / "out", labels=range(2300, 2500, 100), allow_gaps=True).episodes == 8
        assert OfflineDataset.open(tmp_path / "out").summary()["mean_return_by_label"].keys() == {"2400"}

    def test_actions_beyond_the_box(self, tree: Path, tmp_path: Path) -> None:
        """A robot that clips walks as the clipped actions say, and so do the rewards."""
        wide = [[o, a * 1.5 if np.abs(a).max() == 1 else a, r, n] for o, a, r, n in clipped_rows()]
        write_rows(file(tree), wide)
        count = sum(bool(np.abs(row[1]).max() > 1) for row in wide)
        files = find_files(tree, TASKS)
        imported = import_tree(files, CONFIG, tmp_path / "out", source="x", actions=ActionRule(kind="clip"))
        done = {"rule": "clip", "rows": 320, "clipped": count}
        assert imported.actions == done
        dataset = OfflineDataset.open(tmp_path / "out")
        assert dataset.manifest.behaviour["imported_actions"] == done
        assert np.array_equal(dataset.task(2).action[3], np.stack([row[1] for row in wide]).clip(-1, 1))

    def test_actions_of_another_box(self, tree: Path, tmp_path: Path) -> None:
        for path in tree.rglob("*.npy"):
            task = int(path.parent.name.removeprefix("goal_idx"))
            write_rows(path, [[o, a * 0.5 - 1, r, n] for o, a, r, n in rows(task=task)])
        rule = ActionRule(kind="rescale", box=((-1.5, -0.5),))
        import_tree(find_files(tree, TASKS), CONFIG, tmp_path / "out", source="x", actions=rule)
        got = OfflineDataset.open(tmp_path / "out").task(1).action[0]
        assert np.allclose(got, np.stack([row[1] for row in rows(task=1)]), atol=1e-6)

    def test_deterministic_episodes_when_asked_for(self, tree: Path, tmp_path: Path) -> None:
        write_tree(tree, FAMILY, labels=(2200,), episodes=1, kind="eval")
        assert bring_in(tree, tmp_path / "stochastic").episodes == 16
        assert bring_in(tree, tmp_path / "deterministic", deterministic=True).episodes == 4
        assert OfflineDataset.open(tmp_path / "deterministic").manifest.behaviour["policy"] == "deterministic"

    @settings(max_examples=25)
    @given(st.data())
    def test_any_family_of_any_widths(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        """One file of a family that only has shapes: what was written is what is read, as float32."""
        obs, action, horizon = (data.draw(st.integers(1, n)) for n in (5, 4, 8))
        steps = data.draw(st.integers(1, horizon))
        kind = data.draw(st.sampled_from(["f4", "f8"]))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
        states = (rng.standard_normal((steps + 1, obs)) * 100).astype(kind)
        actions, rewards = rng.uniform(-1, 1, (steps, action)).astype("f4"), rng.standard_normal(steps)
        table = [[states[t], actions[t], rewards[t], states[t + 1]] for t in range(steps)]
        path = write_rows(tmp_path_factory.mktemp("one") / "a.npy", table, data.draw(st.sampled_from([3, 4])))
        shapes: Any = Shapes(Spec(obs=obs, action=action, horizon=horizon, dynamics_vary=True))
        episode = read_episode(path, 50, shapes)
        assert np.array_equal(episode.obs, states.astype("f4"))
        assert np.array_equal(episode.action, actions)
        assert np.array_equal(episode.reward, rewards.astype("f4"))
        assert (episode.terminal, episode.label) == (steps < horizon, 50)
        assert {episode.obs.dtype, episode.action.dtype, episode.reward.dtype} == {np.dtype("f4")}


@attrs.frozen
class Shapes:
    """A family of which only the shapes matter."""

    spec: Spec


def put(steps: list[list[Any]], row: int, column: int, value: Any) -> list[list[Any]]:
    steps[row][column] = value
    return steps


FILES: dict[str, tuple[Callable[[], list[list[Any]]], str]] = {
    "of another observation": (lambda: put(rows(), 4, 0, np.zeros(3)), r"obs of row 4 has shape \(3,\)"),
    "of another action": (lambda: put(rows(), 4, 1, np.zeros(6)), r"action of row 4 has shape \(6,\), expected \(2,\)"),
    "with a vector as reward": (lambda: put(rows(), 4, 2, np.zeros(1)), r"reward of row 4 has shape \(1,\)"),
    "nan": (lambda: put(rows(), 4, 2, np.float64("nan")), "reward of row 4 is not a finite number"),
    "too large for float32": (lambda: put(rows(), 3, 3, np.full(2, 1e300)), "next_obs of row 3 is not a finite"),
    "beyond the box": (
        lambda: put(put(rows(), 4, 1, np.full(2, -1.5)), 6, 1, np.array([0.0, 1.25])),
        ": 2 of 320 rows of the import have an action outside -1 to 1, up to 1.5; .*--actions clip .*--actions rescale",
    ),
    "torn": (lambda: rows()[:5] + rows()[7:], "next_obs of row 4 is not obs of row 5, so the file is not one episode"),
    "too long": (lambda: rows() + rows()[:1], r"expected an object array of \(1 to 20, 4\), got object \(21, 4\)"),
}


class TestRefusals:
    @pytest.fixture
    def refused(self, tree: Path, tmp_path: Path) -> Callable[..., str]:
        """Import, check that it is refused and that nothing is left behind, and return the sentence."""

        def refused(**how: Any) -> str:
            before = sorted(tmp_path.rglob("*"))
            with pytest.raises((DataError, InputError)) as caught:
                bring_in(tree, tmp_path / "data" / "point_robot" / "out", **how)
            assert sorted(tmp_path.rglob("*")) == before
            return str(caught.value)

        return refused

    @pytest.mark.parametrize("case", FILES)
    def test_a_file(self, case: str, refused: Callable[..., str], tree: Path) -> None:
        make, expected = FILES[case]
        write_rows(file(tree), make())
        sentence = refused()
        assert sentence.startswith(f"{file(tree)}: ")
        assert re.search(expected, sentence), sentence

    @pytest.mark.parametrize("what", ["a file", "a folder"])
    def test_a_link_out_of_the_tree(self, what: str, refused: Callable[..., str], tree: Path, tmp_path: Path) -> None:
        path = file(tree) if what == "a file" else tree / "goal_idx2"
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
        assert refused().startswith(f"{path} is a link that leads out of {tree}; put the file itself there")

    def test_a_link_that_stays_inside(self, tree: Path, tmp_path: Path) -> None:
        file(tree).unlink()
        file(tree).symlink_to(file(tree, k=0))
        tree.rename(tmp_path / "moved")
        tree.symlink_to(tmp_path / "moved")
        assert bring_in(tree, tmp_path / "out").episodes == 16

    def test_a_pipe(self, refused: Callable[..., str], tree: Path) -> None:
        file(tree).unlink()
        os.mkfifo(file(tree))
        assert refused().startswith(f"cannot read {file(tree)}: it is a pipe, a socket or a device")

    def test_a_cut_file(self, refused: Callable[..., str], tree: Path) -> None:
        file(tree).write_bytes(file(tree).read_bytes()[:-40])
        assert refused().startswith(f"{file(tree)}: not a readable pickle of arrays")

    def test_a_task_of_another_family(self, refused: Callable[..., str], tree: Path) -> None:
        """No shape shows it: the goals are others."""
        shutil.rmtree(tree / "goal_idx1")
        shutil.copytree(tree / "goal_idx3", tree / "goal_idx1")
        assert "goal_idx1: its rewards are those of task 3 of point_robot" in refused()

    def test_tasks_of_another_family(self, refused: Callable[..., str], tree: Path) -> None:
        """The same shapes, and goals twice as far away."""
        for path in (tree / "goal_idx1").iterdir():
            far = [[o, a, -np.linalg.norm(n - 2 * FAMILY.parameters[1]), n] for o, a, _, n in rows()]
            write_rows(path, far)
        assert "goal_idx1: its rewards are not those of task 1 of point_robot (typical error " in refused()

    def test_neighbouring_tasks_are_told_apart(self, tmp_path: Path) -> None:
        """Of forty goals, random data of one look much like those of the next."""
        config = PointRobotConfig()
        tree = write_tree(tmp_path / "tree", FAMILIES.build(config), labels=(50,), episodes=1)
        import_tree(find_files(tree, 40), config, tmp_path / "good", source="x")
        shutil.rmtree(tree / "goal_idx21")
        shutil.copytree(tree / "goal_idx22", tree / "goal_idx21")
        with pytest.raises(DataError, match="goal_idx21: its rewards are those of task 22 of point_robot"):
            import_tree(find_files(tree, 40), config, tmp_path / "bad", source="x")

    def test_scaled_observations(self, refused: Callable[..., str], tree: Path) -> None:
        (tree / "normalizer.npz").touch()
        assert "normalizer.npz: the observations are scaled" in refused()

    def test_too_few_tasks(self, refused: Callable[..., str], tree: Path) -> None:
        shutil.rmtree(tree / "goal_idx3")
        assert "goal_idx3 holds no trj_evalsample* file, expected some for every task" in refused(allow_gaps=True)

    def test_an_empty_task(self, refused: Callable[..., str], tree: Path) -> None:
        shutil.rmtree(tree / "goal_idx0")
        (tree / "goal_idx0").mkdir()
        assert "goal_idx0 holds no trj_evalsample* file" in refused()

    def test_too_many_tasks(self, refused: Callable[..., str], tree: Path) -> None:
        (tree / "goal_idx4").mkdir()
        assert "goal_idx4: expected tasks 0 to 3" in refused()

    def test_no_such_tree(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="holds no goal_idx0"):
            find_files(tmp_path, TASKS)
        with pytest.raises(DataError, match="no folder"):
            find_files(tmp_path / "none", TASKS)

    def test_a_missing_label_unless_allowed(self, refused: Callable[..., str], tree: Path, tmp_path: Path) -> None:
        file(tree, k=0).unlink()
        file(tree, k=1).unlink()
        file(tree, task=3).unlink()
        gap = "goal_idx2 has 0 of 2 episodes of label 2400"
        assert f"is incomplete: {gap} (and 1 more like it); " in refused()
        imported = bring_in(tree, tmp_path / "out", allow_gaps=True)
        assert (imported.episodes, imported.gaps) == (13, [gap, "goal_idx3 has 1 of 2 episodes of label 2400"])
        manifest = OfflineDataset.open(tmp_path / "out").manifest
        assert manifest.behaviour["gaps"] == imported.gaps
        assert [entry.episodes for entry in manifest.tasks] == [4, 4, 2, 3]

    def test_a_label_that_is_nowhere(self, refused: Callable[..., str]) -> None:
        assert "goal_idx0 has 0 of 2 episodes of label 2600" in refused(labels=range(2200, 2800, 200))
        assert "goal_idx0 holds no trj_evalsample* file with a label of --labels" in refused(labels=range(5, 6))

    def test_label_0(self, refused: Callable[..., str], tree: Path) -> None:
        write_rows(file(tree, 0, 0, 0), rows(task=0))
        assert "label 0 is reserved for the random warm-up" in refused()

    def test_a_folder_that_is_there(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "data" / "point_robot" / "out").mkdir(parents=True)
        assert "exists already; choose another name" in refused()

    def test_a_file_in_the_way(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        assert refused().startswith("cannot write")

    def test_what_a_killed_import_left_is_swept_away(self, tree: Path, tmp_path: Path) -> None:
        left = tmp_path / ".out.selectrl-making"
        left.mkdir()
        (left / "task_099.safetensors").touch()
        bring_in(tree, tmp_path / "out")
        assert OfflineDataset.open(tmp_path / "out").verify() == []
        assert not left.exists()
        assert not (tmp_path / "out" / "task_099.safetensors").exists()
