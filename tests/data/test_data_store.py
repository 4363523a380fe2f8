from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from stored import many_episodes

from selectrl.data.manifest import read_manifest
from selectrl.data.store import STAMP, Episodes, OfflineDataset, write_manifest, write_task
from selectrl.errors import DataError
from selectrl.json_text import remove_seal
from selectrl.structs import Spec


def store(folder: Path, values: list[Episodes], spec: Spec) -> None:
    entries = [write_task(folder, i, [0.5, i], v) for i, v in enumerate(values)]
    split = {"train": list(range(len(values))), "test": []}
    write_manifest(
        folder, env="e", env_id="selectrl/E-v0", env_config={}, spec=spec, tasks=entries, behaviour={}, split=split
    )


def file_of(folder: Path, task: int) -> Path:
    return folder / f"task_{task:03d}.safetensors"


def flip(path: Path, *, restore_time: bool) -> None:
    """Flip one bit of the last value, which leaves the header whole."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    stamp = stat.st_mtime_ns if restore_time else stat.st_mtime_ns + 1
    os.utime(path, ns=(stat.st_atime_ns, stamp))


def edit(folder: Path, change: object) -> None:
    path = folder / "manifest.json"
    value = remove_seal(json.loads(path.read_text()))
    change(value)  # type: ignore[operator]
    path.write_text(json.dumps(value))


@settings(max_examples=40, deadline=None)
@given(many_episodes())
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Episodes, Spec]
) -> None:
    value, spec = drawn
    folder = tmp_path_factory.mktemp("store")
    store(folder, [value], spec)
    dataset = OfflineDataset.open(folder, env="e", spec=spec)
    for name, wrote, read in zip(Episodes._fields, value, dataset.task(0), strict=True):
        assert np.array_equal(wrote, read.numpy()), name
        assert wrote.dtype == read.numpy().dtype, name
    entry = dataset.manifest.tasks[0]
    assert (entry.episodes, entry.rows) == (len(value.length), value.length.sum())
    assert entry.parameter == (0.5, 0.0)
    for behaviour in entry.returns:
        mine = value.label == behaviour.label
        assert behaviour.episodes == mine.sum()
        np.testing.assert_allclose(behaviour.mean_return, value.reward[mine].sum(1).mean(), rtol=1e-4, atol=1e-5)
    assert dataset.verify() == []


@settings(max_examples=40, deadline=None)
@given(many_episodes(), st.integers(0), st.integers(1, 255))
def test_any_changed_byte_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Episodes, Spec], where: int, mask: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store(folder, [drawn[0]], drawn[1])
    path = file_of(folder, 0)
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= mask
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"task 0|cannot be read"):
        OfflineDataset.open(folder)


WRONG = {
    "a list": (lambda e: e._replace(reward=e.reward.tolist()), "reward: expected a NumPy array of float32, got list"),
    "dtype": (lambda e: e._replace(obs=e.obs.astype("f8")), "obs: expected dtype float32, got float64"),
    "trailing axis": (lambda e: e._replace(reward=e.reward[..., None]), r"reward: expected shape \(4, 5\)"),
    "states": (lambda e: e._replace(obs=e.obs[:, 1:]), r"obs: expected shape \(4, 6, 3\)"),
    "no episodes": (lambda e: Episodes(*(a[:0] for a in e)), "without empty axes"),
    "rank": (lambda e: e._replace(action=e.action[0]), "expected .episode, time . 1, obs."),
    "nan": (lambda e: put(e, "reward", (1, 2), np.nan), "episode 1, step 2: reward is nan"),
    "infinity": (lambda e: put(e, "obs", (3, 5, 1), np.inf), "episode 3, step 5, component 1: obs is inf"),
    "action": (lambda e: put(e, "action", (0, 4, 1), -1.5), "episode 0, step 4, component 1: action is -1.5"),
    "length": (lambda e: put(e, "length", (2,), 6), "episode 2: length is 6, expected 1 to 5"),
    "no length": (lambda e: put(e, "length", (2,), 0), "episode 2: length is 0, expected 1 to 5"),
    "label": (lambda e: put(e, "label", (0,), -1), "episode 0: label is -1"),
    "early terminal": (lambda e: put(e, "terminal", (1, 1), True), "episode 1, step 1: terminal is True before"),
    "padding": (lambda e: put(e, "length", (1,), 4), r"episode 1, step 5, component 0: obs is \d.0 after .* \(2 more"),
}


def put(episodes: Episodes, field: str, place: tuple[int, ...], value: float) -> Episodes:
    array = getattr(episodes, field).copy()
    array[place] = value
    return episodes._replace(**{field: array})


@pytest.mark.parametrize("case", WRONG)
def test_wrong_episodes_are_not_written(case: str, make_episodes, tmp_path: Path) -> None:
    change, sentence = WRONG[case]
    with pytest.raises(DataError, match=f"task 7: .*{sentence}"):
        write_task(tmp_path / "data", 7, [0.0], change(make_episodes()))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("case", ["nan", "action", "length", "padding", "label", "early terminal"])
def test_impossible_values_with_a_right_checksum_are_found(case: str, folder: Path) -> None:
    change, sentence = WRONG[case]
    path = file_of(folder, 2)
    bad = change(Episodes(**load_file(path)))
    save_file(bad._asdict(), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(folder, lambda m: m["tasks"][2].update(sha256=checksum))
    with pytest.raises(DataError, match=f"task 2: {sentence}"):
        OfflineDataset.open(folder)


@pytest.mark.parametrize("case", ["folder", "manifest"])
def test_missing_dataset_names_the_command(case: str, folder: Path) -> None:
    (folder / "manifest.json").unlink()
    target = folder if case == "manifest" else folder / "nowhere"
    with pytest.raises(DataError, match="selectrl collect --env point_robot"):
        OfflineDataset.open(target, env="point_robot")


def test_another_environment(folder: Path, spec: Spec) -> None:
    OfflineDataset.open(folder, env="point_robot", spec=spec)
    with pytest.raises(DataError, match=r"is of 'point_robot', expected 'ant_goal'.* --env ant_goal"):
        OfflineDataset.open(folder, env="ant_goal")
    with pytest.raises(DataError, match=r"horizon=5.*horizon=9"):
        OfflineDataset.open(folder, spec=spec._replace(horizon=9))


def test_missing_file(folder: Path) -> None:
    file_of(folder, 1).unlink()
    with pytest.raises(
        DataError, match=r"task 1: cannot read .*task_001.safetensors: No such file.* --env point_robot"
    ):
        OfflineDataset.open(folder)


def test_truncated_file(folder: Path) -> None:
    OfflineDataset.open(folder)
    content = file_of(folder, 1).read_bytes()
    file_of(folder, 1).write_bytes(content[:-1])
    with pytest.raises(DataError, match=f"task 1: .*has {len(content) - 1} bytes, expected {len(content)}"):
        OfflineDataset.open(folder)


@pytest.mark.parametrize("case", ["name", "extra", "dtype", "shape", "rubbish"])
def test_header_is_checked_at_every_opening(case: str, folder: Path) -> None:
    OfflineDataset.open(folder)
    path = file_of(folder, 1)
    arrays = load_file(path)
    if case == "name":
        arrays["rewards"] = arrays.pop("reward")
    elif case == "extra":
        arrays["extra"] = np.zeros(1)
    elif case == "dtype":
        arrays["reward"] = arrays["reward"].astype(np.float64)
    elif case == "shape":
        arrays["reward"] = arrays["reward"][..., None]
    save_file(arrays, path)
    if case == "rubbish":
        path.write_bytes(bytes(path.stat().st_size))
    stat = path.stat()
    edit(folder, lambda m: m["tasks"][1].update(bytes=stat.st_size))
    mark = {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "sha256": read_manifest(folder / "manifest.json").tasks[1].sha256,
    }
    stamp = json.loads((folder / STAMP).read_text()) | {path.name: mark}  # the stamp does not save a wrong header
    (folder / STAMP).write_text(json.dumps(stamp))
    with pytest.raises(DataError, match=r"task 1: .*header"):
        OfflineDataset.open(folder)


def test_flipped_bit_is_found_at_opening_when_the_time_differs(folder: Path) -> None:
    OfflineDataset.open(folder)
    flip(file_of(folder, 1), restore_time=False)
    with pytest.raises(DataError, match="task 1: "):
        OfflineDataset.open(folder)
    with pytest.raises(DataError, match="task 1: "):  # a failed verification leaves no stamp
        OfflineDataset.open(folder)


def test_flipped_bit_is_found_by_verify_when_the_time_was_restored(folder: Path) -> None:
    OfflineDataset.open(folder)
    flip(file_of(folder, 1), restore_time=True)
    dataset = OfflineDataset.open(folder)
    assert any("task 1: " in p and "SHA-256" in p for p in dataset.verify())
    with pytest.raises(DataError, match="task 1: "):  # from now on opening finds it too
        OfflineDataset.open(folder)


def test_verification_is_stamped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OfflineDataset.open(folder)
    monkeypatch.setattr("selectrl.data.store._content_problems", lambda path, entry: pytest.fail("read again"))
    assert OfflineDataset.open(folder).fingerprint == first.fingerprint


@pytest.mark.parametrize("content", ["", "[]", "{", '{"task_000.safetensors": 3}', "\x00"])
def test_a_broken_stamp_is_no_stamp(content: str, folder: Path) -> None:
    (folder / STAMP).write_text(content)
    assert OfflineDataset.open(folder).verify() == []


def test_a_folder_that_cannot_be_written_is_verified_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    OfflineDataset.open(folder)
    monkeypatch.undo()
    assert not (folder / STAMP).exists()


MALFORMED = {
    "not an object": (lambda m: [], "expected a JSON object"),
    "missing": (lambda m: m.pop("env_id") and None, "field env_id is missing"),
    "unknown": (lambda m: m.update(extra=1), "unknown field 'extra'"),
    "schema": (lambda m: m.update(schema=2), "schema: expected the schema version 1 .* got 2"),
    "bool for int": (lambda m: m["spec"].update(obs=True), "spec: obs: expected an int >= 1, got True"),
    "float for int": (lambda m: m["spec"].update(horizon=5.0), "spec: horizon: expected an int >= 1, got 5.0"),
    "int for bool": (lambda m: m["spec"].update(dynamics_vary=0), "dynamics_vary: expected true or false"),
    "text for int": (lambda m: m["tasks"][1].update(rows="20"), r"tasks\[1\]: rows: expected an int"),
    "int for float": (lambda m: m["tasks"][1].update(parameter=[1]), r"tasks\[1\]: parameter"),
    "nan": (lambda m: m["tasks"][1].update(parameter=[float("nan")]), "NaN is not a finite number"),
    "lengths": (lambda m: m["tasks"][1].update(parameter=[1.0, 2.0]), "tasks: expected parameters of one length"),
    "traversal": (lambda m: m["tasks"][1].update(file="../x.safetensors"), r"tasks\[1\]: file: expected a plain"),
    "absolute": (lambda m: m["tasks"][1].update(file="/x.safetensors"), r"tasks\[1\]: file: expected a plain"),
    "windows": (lambda m: m["tasks"][1].update(file="a\\x.safetensors"), r"tasks\[1\]: file: expected a plain"),
    "one file": (lambda m: m["tasks"][1].update(file="task_000.safetensors"), "its own file"),
    "hash": (lambda m: m["tasks"][1].update(sha256="abc"), r"tasks\[1\]: sha256: expected 64 hexadecimal"),
    "rows": (lambda m: m["tasks"][1].update(rows=21), r"tasks\[1\]: rows: expected from 4 to 20, got 21"),
    "labels": (lambda m: m["tasks"][1]["returns"].pop() and None, r"tasks\[1\]: returns: expected labels of 4"),
    "no such checkpoint": (
        lambda m: m["tasks"][1].update(returns=[{"label": 0, "episodes": 4, "mean_return": 0.0}]),
        "tasks: expected every checkpoint .* got 'no episodes of checkpoint 1000 in task 1'",
    ),
    "twice": (lambda m: m["tasks"][1].update(task=0), "tasks: expected one entry or more, each task once"),
    "none": (lambda m: m.update(tasks=[]), "tasks: expected one entry or more"),
    "horizon": (lambda m: m["spec"].update(horizon=4), "no time axis above the horizon 4"),
    "split overlaps": (lambda m: m["split"].update(test=[0]), "split: expected ids of stored tasks, each at most once"),
    "split unknown": (lambda m: m["split"].update(test=[9]), "split: expected ids of stored tasks"),
    "split type": (lambda m: m["split"].update(test=["3"]), "split: expected lists of task ids"),
    "warmup": (lambda m: m.update(keep_warmup=0), "keep_warmup: expected 2"),
    "versions": (lambda m: m["versions"].update(numpy=2), "versions: expected strings by name"),
    "source": (lambda m: m.update(source=""), "source: expected a text, got ''"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_manifest(case: str, folder: Path) -> None:
    change, sentence = MALFORMED[case]
    path = folder / "manifest.json"
    value = remove_seal(json.loads(path.read_text()))
    replaced = change(value)
    path.write_text(json.dumps(value if replaced is None else replaced))
    with pytest.raises(DataError, match=sentence) as caught:
        OfflineDataset.open(folder)
    assert str(path) in str(caught.value)


def test_a_manifest_from_before_sources_were_recorded(folder: Path) -> None:
    edit(folder, lambda m: m.pop("source"))
    dataset = OfflineDataset.open(folder)
    assert dataset.manifest.source == "collected" == dataset.summary()["source"]


DRIFT = {
    "the same": ({"gymnasium": "1.4", "mujoco": "4.0.0", "numpy": "1"}, None),
    "older": ({"gymnasium": "1.4", "mujoco": "3.3.2"}, "mujoco 3.3.2 (installed: 4.0.0)"),
    "unknown": (
        {"gymnasium": "unknown", "mujoco": "unknown"},
        "gymnasium unknown (installed: 1.4) and mujoco unknown (installed: 4.0.0)",
    ),
    "made without it": ({"gymnasium": "1.4"}, None),
}


@pytest.mark.parametrize("case", DRIFT)
def test_drift_between_simulators(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, expected = DRIFT[case]
    edit(folder, lambda m: m.update(versions=recorded))
    here = {"gymnasium": "1.4", "mujoco": "4.0.0", "numpy": "2"}
    monkeypatch.setattr("selectrl.data.manifest.library_versions", lambda: here)
    manifest = OfflineDataset.open(folder).manifest
    assert manifest.drift() == expected
    here.pop("mujoco")  # nothing can be simulated with what is not installed
    assert "mujoco" not in str(manifest.drift())


@pytest.mark.parametrize("content", ["", "{", "\x00", "[" * 100_000, '{"schema": ' + "9" * 5000 + "}"])
def test_manifest_that_is_not_json(content: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="manifest"):
        OfflineDataset.open(folder)


@pytest.mark.parametrize(
    "bad", [{"behaviour": {"x": object()}}, {"behaviour": {"x": float("nan")}}, {"split": {"train": [5], "test": []}}]
)
def test_write_manifest_checks_before_it_writes(bad: dict[str, object], folder: Path, spec: Spec) -> None:
    manifest = OfflineDataset.open(folder).manifest
    (folder / "manifest.json").unlink()
    given = {"env": "e", "env_id": "E-v0", "env_config": {}, "spec": spec, "tasks": manifest.tasks}
    with pytest.raises(DataError):
        write_manifest(folder, **given | {"behaviour": {}, "split": {"train": [], "test": []}} | bad)
    assert not (folder / "manifest.json").exists()


def test_tasks_are_opened_lazily(folder: Path) -> None:
    dataset = OfflineDataset.open(folder)
    assert dataset.read_tasks == frozenset()
    dataset.task(1)
    assert dataset.read_tasks == {1}
    with pytest.raises(DataError, match="holds no task 9; choose from its tasks: 0 to 3"):
        dataset.task(9)
    file_of(folder, 2).unlink()
    with pytest.raises(DataError, match=r"task 2 .*cannot be read"):
        dataset.task(2)
    assert dataset.read_tasks == {1}


def test_fingerprint_follows_the_data(folder: Path, make_dataset, tmp_path: Path) -> None:
    first = OfflineDataset.open(folder).fingerprint
    assert OfflineDataset.open(make_dataset(tmp_path / "same")).fingerprint == first
    other = make_dataset(tmp_path / "other", lengths={0: (5, 5, 5, 4)})
    assert OfflineDataset.open(other).fingerprint != first


def test_summary_is_json(folder: Path) -> None:
    summary = json.loads(json.dumps(OfflineDataset.open(folder).summary(), allow_nan=False))
    assert (summary["tasks"], summary["episodes"], summary["rows"]) == (4, 16, 80)
    assert (summary["env"], summary["keep_warmup"], summary["behaviour"]["steps"]) == ("point_robot", 2, 1000)
    # task t, episode e, step i is paid 100 t + 10 e + i: by hand, label 0 is episodes 0 and 1, mean over four tasks
    assert summary["mean_return_by_label"] == {"0": 785.0, "1000": 885.0}
    assert {"python", "selectrl", "numpy", "torch", "gymnasium", "safetensors"} <= set(summary["versions"])


def test_manifest_and_store_are_imported_without_torch() -> None:
    code = "import sys, selectrl.data.store, selectrl.data.manifest; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
