from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import many_episodes

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
        same = [(i, one) for i, (one, other) in enumerate(drawn) if other[:2] == spec[:2]]
        entries = [write_task(folder / "a", 2 * i, [0.1 * i, 1 / 3], one) for i, one in same]
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
            made_with={"mujoco": "1.31"},
        )
        before = OfflineDataset.open(folder / "a")
        export_minari(before, "n-s/one", root=folder / "root")
        out = import_minari("n-s/one", folder, name="b", root=folder / "root")
        after = OfflineDataset.open(out)
        assert out == folder / "e" / "b"
        assert after.manifest == before.manifest
        assert (out / "manifest.json").read_bytes() == (folder / "a" / "manifest.json").read_bytes()
        for entry in entries:
            for name, one, other in zip(Episodes._fields, before.task(entry.task), after.task(entry.task), strict=True):
                assert one.numpy().tobytes() == other.numpy().tobytes(), name
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
        found = minari.load_dataset(f"{NAMESPACE}/task000-v0")
        assert (found.total_episodes, found.total_steps) == (3, 9)
        assert found.observation_space.shape == (3,)
        assert found.action_space.shape == (2,)
        stored = ragged.task(0)
        assert [episode.rewards.shape[0] for episode in found] == [5, 1, 3] == stored.length.tolist()
        for i, episode in enumerate(found):
            steps = int(stored.length[i])
            assert np.array_equal(episode.observations, stored.obs[i, : steps + 1])
            assert np.array_equal(episode.actions, stored.action[i, :steps])
            assert np.array_equal(episode.rewards, stored.reward[i, :steps])
            assert episode.terminations.tolist() == [False] * (steps - 1) + [steps < 5]
            assert episode.truncations.tolist() == [False] * (steps - 1) + [steps == 5]
            assert "EpisodeData" in repr(episode)
        labels = [one["label"] for one in found.storage.get_episode_metadata(range(3))]
        assert labels == stored.label.tolist()
        assert found.storage.metadata["selectrl"]["parameter"] == [0.0]

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


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata of ours": (lambda r: change(r, lambda m: m.pop("selectrl")), "no 'selectrl' entry says what task"),
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
    "another env": (lambda r: change(r, lambda m: m["selectrl"].update(env="ant")), "differ in env; a dataset is"),
    "other versions": (lambda r: change(r, lambda m: m["selectrl"]["versions"].update(a="1")), "differ in made_with"),
    "time": (lambda r: change(r, lambda m: m["selectrl"].update(time=99)), "time: expected at most the horizon 5"),
    "too short": (lambda r: change(r, lambda m: m["selectrl"].update(time=1)), "it has 2 steps, expected 1 to 1"),
    "no episodes": (lambda r: change(r, lambda m: m.update(total_episodes=0)), "holds 2 episodes, its metadata say 0"),
    "missing episode": (drop_episodes, "holds 1 episodes, its metadata say 2"),
    "no hdf5": (lambda r: hdf5(r).unlink(), "cannot read .*No such file"),
    "cut": (lambda r: hdf5(r).write_bytes(hdf5(r).read_bytes()[:500]), "cannot be read"),
    "widths": (
        replace("observations", np.zeros((3, 7), "f4")),
        r"observations are float32 \(3, 7\), expected",
    ),
    "dtype": (replace("actions", np.zeros((2, 2))), r"actions are float64 \(2, 2\), expected float32"),
    "lengths": (replace("actions", np.zeros((3, 2), "f4")), r"episode 1: actions are float32 \(3, 2\), expected"),
    "nan": (replace("rewards", np.array([1, np.nan], "f4")), "task 2: episode 1, step 1: reward is nan"),
    "no end": (replace("truncations", np.zeros(2, bool)), "episode 1: expected a termination or truncation"),
    "two ends": (replace("truncations", np.ones(2, bool)), "episode 1: expected a termination or truncation"),
    "label": (relabel, "episode 1: label is .*-5.*, expected a checkpoint step"),
    "a task is gone": (lambda r: shutil.rmtree(metadata(r).parents[1]), "lacks task 2; restore it"),
    "all are gone": (lambda r: shutil.rmtree(r / "selectrl"), "no folder .*check namespace and MINARI_DATASETS_PATH"),
}


class TestRefusals:
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
        with pytest.raises(InputError, match="is there already; choose another name"):
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
