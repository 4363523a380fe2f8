from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import many_episodes

from selectrl.data.actions import ActionRule
from selectrl.data.minari_files import export_minari, import_minari
from selectrl.data.store import Episodes, OfflineDataset, write_manifest, write_task
from selectrl.errors import DataError, InputError

NAMESPACE = "selectrl/point-robot"


@pytest.fixture
def exported(ragged: OfflineDataset, tmp_path: Path) -> Path:
    export_minari(ragged, NAMESPACE, root=tmp_path / "minari")
    return tmp_path / "minari"


def metadata(root: Path, task: int = 2) -> Path:
    return root / NAMESPACE / f"task{task:03d}-v0" / "data" / "metadata.json"


def hdf5(root: Path, task: int = 2) -> Path:
    return metadata(root, task).with_name("main_data.hdf5")


def change(root: Path, alter: Callable[[Any], object], task: int = 2) -> None:
    content = json.loads(metadata(root, task).read_text())
    alter(content)
    metadata(root, task).write_text(json.dumps(content))


class TestRoundTrip:
    @settings(max_examples=15)
    @given(st.lists(many_episodes(), min_size=1, max_size=3))
    def test_is_exact(self, tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[Episodes, Any]]) -> None:
        folder = tmp_path_factory.mktemp("minari")
        spec = drawn[0][1]._replace(horizon=9)
        same = [(i, episodes) for i, (episodes, shapes) in enumerate(drawn) if shapes[:2] == spec[:2]]
        entries = [write_task(folder / "a", 2 * i, [0.1 * i, 1 / 3], episodes) for i, episodes in same]
        write_manifest(
            folder / "a",
            env="e",
            env_id="selectrl/E-v0",
            env_config={"step": 0.1, "sizes": [1, 2]},
            spec=spec,
            tasks=entries,
            behaviour={"lr": 3e-4, "labels": [0, 1]},
            split={"train": [entry.task for entry in entries], "test": []},
            source="imported from elsewhere",
            versions={"mujoco": "1.31"},
        )
        before = OfflineDataset.open(folder / "a")
        export_minari(before, "n-s/one", root=folder / "root")
        out = import_minari("n-s/one", folder, name="b", root=folder / "root")
        after = OfflineDataset.open(out)
        assert out == folder / "e" / "b"
        assert after.manifest == before.manifest
        assert (out / "manifest.json").read_bytes() == (folder / "a" / "manifest.json").read_bytes()
        for entry in entries:
            for name, expected, got in zip(
                Episodes._fields, before.task(entry.task), after.task(entry.task), strict=True
            ):
                assert expected.numpy().tobytes() == got.numpy().tobytes(), name
        assert after.verify() == []

    def test_the_environment_variable_is_where(self, ragged: OfflineDataset, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MINARI_DATASETS_PATH", "there")
        assert export_minari(ragged, "one").ids == [f"one/task{i:03d}-v0" for i in range(4)]
        assert import_minari("one", Path("data")) == Path("data/point_robot/one")
        assert (tmp_path / "there/one/task003-v0/data/main_data.hdf5").is_file()
        assert OfflineDataset.open(Path("data/point_robot/one")).fingerprint == ragged.fingerprint
        assert os.environ["MINARI_DATASETS_PATH"] == "there"


class TestMinariItself:
    def test_opens_what_was_exported(self, exported: Path, ragged: OfflineDataset, monkeypatch: Any) -> None:
        import minari
        from minari.namespace import list_local_namespaces

        monkeypatch.setenv("MINARI_DATASETS_PATH", str(exported))
        assert list(minari.list_local_datasets()) == [f"{NAMESPACE}/task{i:03d}-v0" for i in range(4)]
        assert list_local_namespaces() == ["selectrl", NAMESPACE]
        loaded = minari.load_dataset(f"{NAMESPACE}/task000-v0")
        assert (loaded.total_episodes, loaded.total_steps) == (3, 9)
        assert loaded.observation_space.shape == (3,)
        assert loaded.action_space.shape == (2,)
        stored = ragged.task(0)
        assert [episode.rewards.shape[0] for episode in loaded] == [5, 1, 3] == stored.length.tolist()
        for i, episode in enumerate(loaded):
            steps = int(stored.length[i])
            assert np.array_equal(episode.observations, stored.obs[i, : steps + 1])
            assert np.array_equal(episode.actions, stored.action[i, :steps])
            assert np.array_equal(episode.rewards, stored.reward[i, :steps])
            assert episode.terminations.tolist() == [False] * (steps - 1) + [steps < 5]
            assert episode.truncations.tolist() == [False] * (steps - 1) + [steps == 5]
            assert "EpisodeData" in repr(episode)
        labels = [metadata["label"] for metadata in loaded.storage.get_episode_metadata(range(3))]
        assert labels == stored.label.tolist()
        assert loaded.storage.metadata["selectrl"]["parameter"] == [0.0]

    def test_another_dataset_in_the_same_namespace_above_is_left_alone(
        self, exported: Path, ragged: OfflineDataset, monkeypatch: Any
    ) -> None:
        before = {path: path.stat().st_mtime_ns for path in exported.rglob("*") if path.is_file()}
        export_minari(ragged, "selectrl/other", root=exported)
        assert {path: path.stat().st_mtime_ns for path in before} == before


def drop_episodes(root: Path) -> None:
    with h5py.File(hdf5(root), "a") as opened:
        del opened["episode_1"]


def replace(field: str, value: Any) -> Callable[[Path], None]:
    def replace(root: Path) -> None:
        with h5py.File(hdf5(root), "a") as opened:
            del opened["episode_1"][field]
            opened["episode_1"].create_dataset(field, data=value)

    return replace


def relabel(root: Path) -> None:
    with h5py.File(hdf5(root), "a") as opened:
        opened["episode_1"].attrs["label"] = -5


def regroup(name: str) -> Callable[[Path], None]:
    """Put a group in the place of a dataset."""

    def regroup(root: Path) -> None:
        with h5py.File(hdf5(root), "a") as opened:
            del opened[name]
            opened.create_group(name)

    return regroup


def remove(name: str) -> Callable[[Path], None]:
    def remove(root: Path) -> None:
        with h5py.File(hdf5(root), "a") as opened:
            del opened[name]

    return remove


def flatten(root: Path) -> None:
    """Put a dataset in the place of an episode's group."""
    with h5py.File(hdf5(root), "a") as opened:
        del opened["episode_1"]
        opened["episode_1"] = np.zeros(2, "f4")


def rename(root: Path) -> None:
    with h5py.File(hdf5(root), "a") as opened:
        opened.move("episode_1", "episode_7")


def label_of_a_strange_type(root: Path) -> None:
    with h5py.File(hdf5(root), "a") as opened:
        del opened["episode_1"].attrs["label"]
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(opened["episode_1"].id, b"label", h5py.h5t.UNIX_D32LE, space)


def external(root: Path) -> None:
    """Keep the rewards in a file next to the dataset's folder, which holds numbers of its own."""
    secret = root / "secret.bin"
    secret.write_bytes(np.array([5, 7], "f4").tobytes())
    with h5py.File(hdf5(root), "a") as opened:
        del opened["episode_1/rewards"]
        opened.create_dataset("episode_1/rewards", (2,), "f4", external=[(str(secret), 0, 8)])


def link_within(root: Path, target: Path) -> None:
    with h5py.File(hdf5(root), "a") as opened:
        del opened["episode_1/rewards"]
        opened["episode_1/rewards"] = h5py.ExternalLink(str(target), "/episode_1/rewards")


def link(path: Path, target: Path) -> None:
    """Put a link in the place of a file or folder, which moves to another place."""
    path.rename(target)
    path.symlink_to(target)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def circle(root: Path) -> None:
    hdf5(root).unlink()
    hdf5(root).symlink_to(hdf5(root))


def label_as(value: Any) -> Callable[[Path], None]:
    def label_as(root: Path) -> None:
        with h5py.File(hdf5(root), "a") as opened:
            opened["episode_1"].attrs["label"] = value

    return label_as


def box(root: Path, low: float, high: float, tasks: Iterable[int] = range(4)) -> None:
    """Say other bounds of the actions."""
    space = {"type": "Box", "dtype": "float32", "shape": [2], "low": [low] * 2, "high": [high] * 2}
    for task in tasks:
        change(root, lambda content: content.update(action_space=json.dumps(space)), task)


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata of ours": (
        lambda r: change(r, lambda m: m.pop("selectrl")),
        "expected the entry 'selectrl' with the task",
    ),
    "no json": (lambda r: metadata(r).write_text("{"), "is not valid JSON"),
    "a list": (lambda r: metadata(r).write_text("[]"), "expected a JSON object"),
    "arrow": (lambda r: change(r, lambda m: m.update(data_format="arrow")), "only HDF5 storage is read"),
    "no space": (lambda r: change(r, lambda m: m.pop("action_space")), "field action_space is missing"),
    "a strange space": (lambda r: change(r, lambda m: m.update(action_space="[]")), "text of a Box of 2 numbers, got"),
    "schema": (lambda r: change(r, lambda m: m["selectrl"].update(schema=2)), "schema: expected 1, .* got 2"),
    "task": (lambda r: change(r, lambda m: m["selectrl"].update(task="2")), "task: expected an int from 0 to 999,999"),
    "twice": (lambda r: change(r, lambda m: m["selectrl"].update(task=1)), "lacks task 2"),
    "unknown field": (lambda r: change(r, lambda m: m["selectrl"].update(x=1)), "unknown field 'x'"),
    "a path as env": (lambda r: change(r, lambda m: m["selectrl"].update(env="../up")), "env: expected a name"),
    "another env": (lambda r: change(r, lambda m: m["selectrl"].update(env="ant")), "differ in env; a dataset belongs"),
    "other versions": (lambda r: change(r, lambda m: m["selectrl"]["versions"].update(a="1")), "differ in versions"),
    "time": (lambda r: change(r, lambda m: m["selectrl"].update(time=99)), "time: expected at most the horizon 5"),
    "too short": (lambda r: change(r, lambda m: m["selectrl"].update(time=1)), "it has 2 steps, expected 1 to 1"),
    "no episodes": (lambda r: change(r, lambda m: m.update(total_episodes=0)), "holds 2 episodes, its metadata say 0"),
    "missing episode": (drop_episodes, "holds 1 episodes, its metadata say 2"),
    "no hdf5": (lambda r: hdf5(r).unlink(), "cannot read .*No such file"),
    "cut": (lambda r: hdf5(r).write_bytes(hdf5(r).read_bytes()[:500]), "cannot be read"),
    "widths": (
        replace("observations", np.zeros((3, 7), "f4")),
        r"observations: expected .* got float32 \(3, 7\)",
    ),
    "dtype": (replace("actions", np.zeros((2, 2))), r"actions: expected float32 .* got float64 \(2, 2\)"),
    "lengths": (replace("actions", np.zeros((3, 2), "f4")), r"episode 1: actions: expected .* got float32 \(3, 2\)"),
    "nan": (replace("rewards", np.array([1, np.nan], "f4")), "task 2: episode 1, step 1: reward is nan"),
    "no end": (replace("truncations", np.zeros(2, bool)), "episode 1: expected a termination or truncation"),
    "two ends": (replace("truncations", np.ones(2, bool)), "episode 1: expected a termination or truncation"),
    "label": (relabel, "episode 1: label is .*-5.*, expected a checkpoint step"),
    "a label beyond 64 bits": (label_as(np.uint64(2**63)), "episode 1: label is .*9223372036854775808"),
    "a text as label": (label_as("0"), "episode 1: label is .*, expected a checkpoint step"),
    "labels": (label_as([0, 1]), "episode 1: label is .*, expected a checkpoint step"),
    "rewards as text": (replace("rewards", ["a", "b"]), r"episode 1: rewards: expected float32 .* got object \(2,\)"),
    **{
        f"{name} as a group": (
            regroup(f"episode_1/{name}"),
            f"data: episode 1: expected a dataset called '{name}', got a group; restore it or export",
        )
        for name in ("observations", "actions", "rewards", "terminations", "truncations")
    },
    "no rewards": (remove("episode_1/rewards"), "episode 1: expected a dataset called 'rewards', got nothing"),
    "no actions": (remove("episode_1/actions"), "episode 1: expected a dataset called 'actions', got nothing"),
    "an episode as a dataset": (flatten, "expected a group called 'episode_1', got a dataset; restore it"),
    "an episode of another name": (rename, "expected a group called 'episode_1', got nothing"),
    "one reward": (replace("rewards", np.float32(1)), "episode 1: it has 0 steps, expected 1 to"),
    "empty rewards": (replace("rewards", h5py.Empty("f4")), "episode 1: it has 0 steps, expected 1 to"),
    "empty actions": (replace("actions", h5py.Empty("f4")), "episode 1: actions: expected float32 .* got float32 None"),
    "rewards in columns": (replace("rewards", np.zeros((2, 1), "f4")), r"rewards: expected .* got float32 \(2, 1\)"),
    "an empty label": (label_as(h5py.Empty("i8")), "episode 1: label is .*, expected a checkpoint step"),
    "a label of records": (label_as(np.zeros((), "i4,i4")), "episode 1: label is .*, expected a checkpoint step"),
    "a label of a strange type": (label_of_a_strange_type, "episode 1: the attribute 'label' is of a type that cannot"),
    "values in another file": (external, "'/episode_1/rewards' keeps its values in another file"),
    "a link to another file": (lambda r: link_within(r, hdf5(r, 1)), "'/episode_1/rewards' is a link to another file"),
    "a link to a pipe": (lambda r: link_within(r, r / "pipe"), "'/episode_1/rewards' is a link to another file"),
    "a pipe as data": (lambda r: pipe(hdf5(r)), "main_data.hdf5: it is a pipe, a socket or a device"),
    "a pipe as metadata": (lambda r: pipe(metadata(r)), "metadata.json: it is a pipe, a socket or a device"),
    "data outside": (lambda r: link(hdf5(r), r.with_name("moved")), "main_data.hdf5 is a link that leads out of"),
    "metadata outside": (
        lambda r: link(metadata(r), r.with_name("moved")),
        "metadata.json is a link that leads out",
    ),
    "a task outside": (
        lambda r: link(metadata(r).parents[1], r.with_name("moved")),
        "metadata.json is a link that leads out",
    ),
    "a namespace outside": (
        lambda r: link(r / NAMESPACE, r.with_name("moved")),
        "point-robot is a link that leads out of",
    ),
    "a link in a circle": (circle, "cannot read .*main_data.hdf5: Too many levels of symbolic links"),
    "another box": (lambda r: box(r, -2, 2.0), "action_space: expected Minari's text of a Box of 2 numbers"),
    "a wider box": (lambda r: box(r, -2.0, 2.0), r"logged in the box \[\[-2.0, 2.0\], .*; give --actions rescale"),
    "boxes that differ": (lambda r: box(r, -2.0, 2.0, [2]), "differ in their actions' box; import each on its own"),
    "actions beyond": (
        replace("actions", np.array([[0, 2], [1, 0]], "f4")),
        "task002-v0/data: episode 1: 1 of 34 rows of the import have an action outside -1 to 1, up to 2; give --",
    ),
    "a task is gone": (lambda r: shutil.rmtree(metadata(r).parents[1]), "lacks task 2; restore it"),
    "all are gone": (lambda r: shutil.rmtree(r / "selectrl"), "no folder .*check namespace and MINARI_DATASETS_PATH"),
}


class TestActions:
    """Of the 34 rows of the four tasks, an action is put beyond the box."""

    @pytest.fixture
    def beyond(self, exported: Path) -> Path:
        replace("actions", np.array([[0, 2], [1, 0]], "f4"))(exported)
        return exported

    def test_clipped(self, beyond: Path, tmp_path: Path) -> None:
        out = import_minari(NAMESPACE, tmp_path / "data", root=beyond, actions=ActionRule(kind="clip"))
        dataset = OfflineDataset.open(out)
        assert dataset.task(2).action[1, :2].tolist() == [[0, 1], [1, 0]]
        assert dataset.manifest.behaviour["imported_actions"] == {"rule": "clip", "rows": 34, "clipped": 1}
        export_minari(dataset, "again", root=beyond)  # what was done stays known on the way
        again = OfflineDataset.open(import_minari("again", tmp_path / "data", root=beyond))
        assert again.manifest == dataset.manifest

    def test_rescaled_from_the_box_that_is_logged(self, beyond: Path, tmp_path: Path) -> None:
        box(beyond, -2.0, 2.0)
        out = import_minari(NAMESPACE, tmp_path / "data", root=beyond, actions=ActionRule(kind="rescale"))
        dataset = OfflineDataset.open(out)
        assert dataset.task(2).action[1, :2].tolist() == [[0, 1], [0.5, 0]]
        done = dataset.manifest.behaviour["imported_actions"]
        assert done == {"rule": "rescale", "rows": 34, "box": [[-2.0, 2.0]] * 2}

    def test_rescaled_from_a_box_that_is_given(self, beyond: Path, tmp_path: Path) -> None:
        rule = ActionRule(kind="rescale", box=((-4.0, 4.0),))
        out = import_minari(NAMESPACE, tmp_path / "data", root=beyond, actions=rule)
        assert OfflineDataset.open(out).task(2).action[1, :2].tolist() == [[0, 0.5], [0.25, 0]]


class TestRefusals:
    def test_links_that_stay_inside_are_followed(self, exported: Path, tmp_path: Path) -> None:
        folder = metadata(exported).parents[1]
        link(folder, folder.with_name(".kept"))
        link(exported, tmp_path / "elsewhere")  # the root itself may be a link
        folder.unlink()
        folder.symlink_to(".kept")
        assert len(OfflineDataset.open(import_minari(NAMESPACE, tmp_path, root=exported)).manifest.tasks) == 4

    @pytest.mark.parametrize("case", DAMAGED)
    def test_damage_is_one_sentence_and_leaves_nothing(self, case: str, exported: Path, tmp_path: Path) -> None:
        damage, sentence = DAMAGED[case]
        damage(exported)
        if case == "no end":
            replace("terminations", np.zeros(2, bool))(exported)
        with pytest.raises(InputError, match=sentence):
            import_minari(NAMESPACE, tmp_path / "data", root=exported)
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("namespace", ["", "a", "/etc", "../up", "a b/c", "aa//bb", "aa/", "aa/.hidden", 200 * "x"])
    def test_a_malformed_namespace(self, namespace: str, ragged: OfflineDataset, tmp_path: Path) -> None:
        for work in (
            lambda: export_minari(ragged, namespace, root=tmp_path / "minari"),
            lambda: import_minari(namespace, tmp_path / "data", root=tmp_path / "minari"),
        ):
            with pytest.raises(InputError, match=r"--namespace .*expected 2 to 100 letters"):
                work()
        assert not (tmp_path / "minari").exists()

    def test_a_namespace_that_is_there(self, exported: Path, ragged: OfflineDataset) -> None:
        before = sorted(exported.rglob("*"))
        with pytest.raises(InputError, match="exists already; choose another name"):
            export_minari(ragged, NAMESPACE, root=exported)
        assert sorted(exported.rglob("*")) == before

    def test_a_failed_export_leaves_nothing(self, ragged: OfflineDataset, tmp_path: Path) -> None:
        (ragged.folder / "task_003.safetensors").unlink()
        with pytest.raises(DataError, match="task 3"):
            export_minari(ragged, NAMESPACE, root=tmp_path / "minari")
        assert not (tmp_path / "minari").exists()

    @pytest.mark.parametrize("package", ["minari", "h5py"])
    def test_a_missing_package(self, package: str, ragged: OfflineDataset, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        works = [lambda: export_minari(ragged, NAMESPACE), lambda: import_minari(NAMESPACE, tmp_path)]
        for work in works[: 1 if package == "minari" else 2]:  # it is not needed for reading
            with pytest.raises(InputError, match=rf"{package} is not installed; pip install 'selectrl\[minari\]'"):
                work()
