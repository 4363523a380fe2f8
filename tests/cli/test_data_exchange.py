"""Datasets from and to other formats, and a dataset as a picture, as commands."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from privileges import permissions_hold
from trees import play, write_rows, write_tree

from selectrl.data.minari_files import export_minari
from selectrl.data.store import OfflineDataset
from selectrl.envs.configs import PointRobotConfig
from selectrl.json_text import remove_seal
from selectrl.registry import FAMILIES

Call = Callable[..., Any]
TASKS = 8
ENV = ("--env", "point_robot", "--set", f"envs.point_robot.tasks={TASKS}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of the tasks that the command line's other tests train on; none may change it."""
    return write_tree(tmp_path_factory.mktemp("offline") / "point-robot", FAMILIES.build(PointRobotConfig(tasks=TASKS)))


@pytest.fixture
def refused(call: Call, listing: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command, check that it is refused and wrote nothing, and return its sentence."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: object) -> str:
        before = listing(tmp_path)
        sentence: str = call(*arguments).err
        assert listing(tmp_path) == before
        assert [line.startswith("selectrl: ") for line in sentence.splitlines()][-1:] == [True]
        assert "internal error" not in sentence
        return sentence

    return refused


class TestImport:
    def test_a_tree_becomes_a_dataset_to_train_on(
        self, tree: Path, call: Call, small: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "80")
        done = call("data", "import-csro", tree, *ENV, "--labels", "2200:2600:200")
        assert done.code == 0, done.err
        assert done.out.startswith("32 episodes in data/point_robot/csro: 0 ended before the horizon")
        assert done.err.splitlines()[-1] == "data/point_robot/csro files: 32/32 "
        shown = call("data", "info", "data/point_robot/csro").out
        assert re.search(r"^source +imported from CSRO's files *$", shown, re.MULTILINE)
        assert max(map(len, shown.splitlines())) <= 80
        assert call("data", "verify", "data/point_robot/csro").code == 0
        words = small({"train.steps": 4, "data.name": "csro"}, data=tmp_path / "data")
        done = call("train", *words, "--out", "runs", "--json")
        assert done.code == 0, done.err
        warned = [line for line in done.err.splitlines() if "warning" in line]
        assert len(warned) == 1
        here = metadata.version("gymnasium")
        assert f"data/point_robot/csro were made with gymnasium unknown (installed: {here})" in warned[0]
        (run,) = (Path(one["run"]) for one in json.loads(done.out)["runs"])
        (note,) = json.loads((run / "execution.json").read_text())["notes"]
        assert note.startswith("the data were made with gymnasium unknown")

    def test_json(self, tree: Path, call: Call, tmp_path: Path) -> None:
        own = shutil.copytree(tree, tmp_path / "tree")
        (own / "goal_idx3" / "trj_evalsample1_step2400.npy").unlink()
        words = ("data", "import-csro", own, *ENV, "--data", tmp_path / "data", "--name", "mine")
        assert "give --allow-missing" in call(*words).sentence(2)
        done = call(*words, "--allow-missing", "--json")
        assert json.loads(done.out) == {
            "folder": str(tmp_path / "data/point_robot/mine"),
            "episodes": 31,
            "terminated": 0,
            "timed_out": 31,
            "missing": ["goal_idx3 has 1 of 2 episodes of label 2400"],
            "actions": {},
        }

    def test_a_hostile_file_ends_the_import_and_is_not_run(
        self, tree: Path, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        class Exploit:
            def __reduce__(self) -> Any:
                return eval, (f"open({str(tmp_path / 'proof')!r}, 'w').close()",)

        own = shutil.copytree(tree, tmp_path / "tree")
        file = own / "goal_idx7" / "trj_evalsample1_step2400.npy"
        write_rows(file, [[Exploit()] * 4])
        found = refused("data", "import-csro", own, *ENV).splitlines()[-1]
        assert found.startswith(
            f"selectrl: {file}: it names builtins.eval, which is not part of an array, and was not run; "
        )

    def test_data_of_other_tasks(self, tree: Path, refused: Callable[..., str]) -> None:
        found = refused("data", "import-csro", tree, "--env", "point_robot")
        assert "goal_idx8 holds no trj_evalsample* file" in found

    def test_actions_beyond_the_box(self, tree: Path, call: Call, refused: Callable[..., str], tmp_path: Path) -> None:
        own = shutil.copytree(tree, tmp_path / "tree")
        rng, family = np.random.default_rng(1), FAMILIES.build(PointRobotConfig(tasks=TASKS))
        rows = [[obs, action * 2, reward, after] for obs, action, reward, after in play(family, 7, rng)]
        write_rows(own / "goal_idx7" / "trj_evalsample1_step2400.npy", rows)
        count = sum(bool(np.abs(row[1]).max() > 1) for row in rows)
        words = ("data", "import-csro", own, *ENV, "--data", "data")
        sentence = refused(*words)
        assert f": {count} of 640 rows of the import have an action outside -1 to 1, up to " in sentence
        assert (
            "give --actions clip to cut them as the environments do, or --actions rescale to map their box" in sentence
        )
        assert "the data do not record the box of their actions" in refused(*words, "--actions", "rescale")
        done = call(*words, "--actions", "clip")
        assert done.code == 0, done.err
        assert f"{count} of 640 rows had an action beyond -1 to 1, which was clipped" in done.out
        words = (*words, "--name", "b", "--actions", "rescale", "--action-box")
        assert "of the import have an action outside -1 to 1 after rescaling" in refused(*words, "-1.1:1.1")
        done = call(*words, "-2:2,-2:2", "--json")
        assert json.loads(done.out)["actions"] == {"rule": "rescale", "rows": 640, "box": [[-2.0, 2.0]] * 2}
        assert call("data", "verify", "data/point_robot/b").code == 0

    @pytest.mark.parametrize("box", ["", "1", "a:b", "1:2:3", "1,2", "2:1", "nan:1", "0:inf", "-1:1,"])
    def test_a_malformed_box(self, box: str, tree: Path, refused: Callable[..., str]) -> None:
        words = ("data", "import-csro", tree, *ENV, "--actions", "rescale", f"--action-box={box}")
        assert re.search("expected LOW:HIGH such as|expected finite bounds", refused(*words))

    def test_a_box_without_a_use(self, tree: Path, refused: Callable[..., str]) -> None:
        assert "needs --actions rescale" in refused("data", "import-csro", tree, *ENV, "--action-box=-2:2")


class TestRefusedBySystem:
    """What the operating system refuses is one sentence, also to a user who is not root."""

    @pytest.fixture
    def place(self, own_data: Path, tree: Path, tmp_path: Path) -> Path:
        """A folder with a dataset, a tree, Minari's datasets, and a closed folder."""
        shutil.move(own_data / "point_robot" / "tiny", tmp_path / "set")
        shutil.copytree(tree, tmp_path / "tree")
        export_minari(OfflineDataset.open(tmp_path / "set"), "aa", root=tmp_path / "minari")
        (tmp_path / "closed").mkdir()
        return tmp_path

    @pytest.fixture
    def sentence(self, call: Call, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
        """Run a command with some paths closed, check that it ends with code 2, and return its last sentence."""
        monkeypatch.chdir(place)
        closed: list[Path] = []

        def sentence(words: str, *close: str) -> str:
            for name in close:
                closed.append(place / name)
                closed[-1].chmod(0)
            given = words.replace("LONG", "x" * 300).split()
            with permissions_hold():
                done = call("data", *given)
            assert done.code == 2, done
            assert "internal error" not in done.err
            return str(done.err.splitlines()[-1])

        yield sentence
        for path in reversed(closed):
            path.chmod(0o700)

    @pytest.mark.parametrize(
        "words",
        [
            *("info closed/set", "info closed", "verify closed/set", "export-minari closed/set --namespace bb"),
            *("import-csro closed --env point_robot", "import-csro closed/tree --env point_robot"),
            *("import-minari aa --root closed", "import-minari aa --root closed/minari"),
        ],
    )
    def test_a_closed_folder_is_not_absent(self, words: str, sentence: Callable[..., str]) -> None:
        found = sentence(words, "closed")
        assert re.match(
            r"selectrl: cannot read closed\S*: Permission denied; ask its owner", found.replace(f"{Path.cwd()}/", "")
        )

    @pytest.mark.parametrize(
        "words",
        [
            *("info set --plot closed/a.png", "info set --plot closed/new/a.png"),
            *("export-minari set --namespace bb --out closed", "export-minari set --namespace bb --out closed/new"),
            *(f"import-csro tree {' '.join(ENV)} --data closed", f"import-csro tree {' '.join(ENV)} --data closed/new"),
            *("import-minari aa --root minari --data closed", "import-minari aa --root minari --data closed/new"),
        ],
    )
    def test_a_closed_folder_is_not_written_to(self, words: str, sentence: Callable[..., str]) -> None:
        assert re.search("cannot write .*closed.*: Permission denied; ask its owner", sentence(words, "closed"))

    @pytest.mark.parametrize(
        ("words", "path"),
        [
            ("info set", "set/manifest.json"),
            ("info set", "set/task_003.safetensors"),
            ("verify set", "set/task_003.safetensors"),
            ("export-minari set --namespace bb --out new", "set/task_003.safetensors"),
            ("import-minari aa --root minari", "minari/aa/task003-v0"),
            ("import-minari aa --root minari", "minari/aa/task003-v0/data/metadata.json"),
            ("import-minari aa --root minari", "minari/aa/task003-v0/data/main_data.hdf5"),
            (f"import-csro tree {' '.join(ENV)}", "tree/goal_idx3"),
            (f"import-csro tree {' '.join(ENV)}", "tree/goal_idx3/trj_evalsample1_step2400.npy"),
        ],
    )
    def test_a_closed_file_is_neither_absent_nor_damaged(
        self, words: str, path: str, sentence: Callable[..., str]
    ) -> None:
        assert re.search(rf"cannot read \S*{path}\S*: Permission denied; ask its owner", sentence(words, path))

    @pytest.mark.parametrize(
        "words",
        [
            *("info LONG", "verify LONG/set", "info set --plot LONG/a.png", "export-minari LONG --namespace bb"),
            *("export-minari set --namespace bb --out LONG", "import-csro LONG --env point_robot"),
            *(f"import-csro tree {' '.join(ENV)} --data LONG", "import-minari aa --root LONG"),
            "import-minari aa --root minari --data LONG",
        ],
    )
    def test_a_name_that_is_too_long(self, words: str, sentence: Callable[..., str]) -> None:
        assert re.search("File name too long|no dataset at x", sentence(words))


class TestMinari:
    def test_there_and_back(self, data: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        folder = data / "point_robot" / "tiny"
        done = call("data", "export-minari", folder, "--namespace", "selectrl/tiny", "--out", "minari", "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert found == {
            "root": str(tmp_path / "minari"),
            "ids": [f"selectrl/tiny/task{task:03d}-v0" for task in range(TASKS)],
            "unrecoverable": "",
        }
        done = call("data", "import-minari", "selectrl/tiny", "--root", "minari", "--json")
        assert done.code == 0, done.err
        dataset = OfflineDataset.open(folder)
        assert json.loads(done.out) == {
            "folder": "data/point_robot/selectrl-tiny",
            "fingerprint": dataset.fingerprint,
            "actions": {},
        }
        assert OfflineDataset.open(tmp_path / "data/point_robot/selectrl-tiny").manifest == dataset.manifest

    def test_in_words(self, data: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
        done = call("data", "export-minari", data / "point_robot" / "tiny", "--namespace", "tiny")
        assert done.out == f"8 datasets, tiny/task000-v0 to tiny/task007-v0, in {tmp_path}\n"
        assert "its level 'b' is not a name, expected 2 to 100 letters" in call(
            "data", "export-minari", data / "point_robot" / "tiny", "--namespace", "tiny/b"
        ).sentence(2)
        done = call("data", "import-minari", "tiny", "--data", tmp_path, "--name", "back")
        assert done.out.startswith(f"8 tasks in {tmp_path}/point_robot/back, fingerprint ")
        assert "exists already" in call("data", "import-minari", "tiny", "--data", tmp_path, "--name", "back").err


class TestDrift:
    @pytest.fixture
    def drifted(self, own_data: Path) -> Path:
        """A dataset that another Gymnasium made."""
        path = own_data / "point_robot" / "tiny" / "manifest.json"
        manifest = remove_seal(json.loads(path.read_text()))
        manifest["versions"] |= {"gymnasium": "0.21", "mujoco": "2.0"}
        path.write_text(json.dumps(manifest))
        return own_data

    def test_one_line_for_all_seeds_and_a_note_in_each(
        self, drifted: Path, call: Call, small: Call, tmp_path: Path
    ) -> None:
        words = small({"train.steps": 4}, data=drifted)
        done = call("train", *words, "--seeds", 2, "--jobs", 1, "--out", tmp_path, "--json")
        assert done.code == 0, done.err
        told = [line for line in done.err.splitlines() if line.startswith("selectrl: ")]
        assert len(told) == 1
        assert told[0].startswith(
            f"selectrl: warning: the data in {drifted}/point_robot/tiny were made with gymnasium 0"
        )
        for one in json.loads(done.out)["runs"]:
            (note,) = json.loads((Path(one["run"]) / "execution.json").read_text())["notes"]
            assert note.startswith("the data were made with gymnasium 0.21 (installed: ")
            done = call("evaluate", one["run"], "--data", drifted, "--json")
            assert done.err.count("selectrl: warning: the data in ") == 1, done.err

    def test_data_of_the_installed_versions_are_no_event(
        self, data: Path, call: Call, small: Call, tmp_path: Path
    ) -> None:
        done = call("train", *small({"train.steps": 4}), "--out", tmp_path, "--json")
        assert "warning" not in done.err
        (run,) = json.loads(done.out)["runs"]
        assert json.loads((Path(run["run"]) / "execution.json").read_text())["notes"] == []


class TestPlot:
    @pytest.mark.parametrize("name", ["a.png", "new/b.pdf", "c.SVG"])
    def test_draws_a_picture(self, name: str, data: Path, call: Call, tmp_path: Path) -> None:
        folder = data / "point_robot" / "tiny"
        done = call("data", "info", folder, "--plot", tmp_path / name)
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[-1] == f"Open {tmp_path / name}"
        content = (tmp_path / name).read_bytes()
        assert content[:4] in (b"\x89PNG", b"%PDF", b"<?xm")
        again = call("data", "info", folder, "--plot", tmp_path / name, "--json")
        assert json.loads(again.out)["plot"] == str(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content

    def test_refuses_other_files(self, data: Path, refused: Callable[..., str], tmp_path: Path) -> None:
        folder = data / "point_robot" / "tiny"
        assert "expected a file name ending in .png, .pdf, .svg" in refused("data", "info", folder, "--plot", "a.jpg")
        (tmp_path / "file").touch()
        assert "cannot write file/a.png" in refused("data", "info", folder, "--plot", "file/a.png")
