"""The example package: installed beside us it adds a part and a method, and README shows its very text."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import write_dataset

import selectrl

ROOT = Path(__file__).parents[2]
OURS = Path(selectrl.__file__).parents[1]  # the package that is tested, wherever it is imported from
EXAMPLE = ROOT / "examples" / "my_encoder"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Add your own")[2].partition("\n## ")[0]
SIZES = {
    "envs.point_robot.tasks": 8,
    "data.name": "tiny",
    "train.steps": 6,
    "train.meta_batch": 4,
    "train.batch": 8,
    "train.context": 8,
    "encoders.my_encoder.hidden": (8, 8),
    "critics.dual_target.hidden": (8, 8),
    "policies.deterministic.hidden": (8, 8),
    "test.budget": 20,
    "test.repeats": 1,
}
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed, and with a package that cannot be imported."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    arguments = ["--no-build-isolation", "--no-index", "--target", str(folder), str(EXAMPLE)]
    done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package whose import fails."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "rotten.py").write_text("raise ValueError('no such sensor\\nand more')\n")
    about = folder / "rotten_parts-2.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rotten-parts\nVersion: 2.1\n")
    (about / "entry_points.txt").write_text("[selectrl.components]\nrotten = rotten\n")
    return folder


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Run Python with some folders on its path."""

    def call(*arguments: object, path: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (*path, OURS)))}
        words = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return call


def test_list_and_doctor_show_it(place: Path, call: Call) -> None:
    done = call("-m", "selectrl", "list", "--json", path=(place,))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "my_encoder" in [part["name"] for part in found["parts"]["encoders"]]
    assert found["methods"]["my_encoder"]["encoder"] == "my_encoder"
    done = call("-m", "selectrl", "doctor", "--json", path=(place,))
    assert json.loads(done.stdout)["plugins"]["my_encoder"] == "my-encoder 0.1.0"


def test_it_is_found_when_registries_are_read_and_not_before(place: Path, call: Call) -> None:
    code = """import selectrl.encoders, sys
from selectrl.registry import ENCODERS
assert "my_encoder" not in sys.modules
one = selectrl.compose("my_encoder", "point_robot", settings=["encoders.my_encoder.temperature=0.2"])
from selectrl.experiment.config import experiment_from_record, to_record
assert experiment_from_record(to_record(one)) == one and one.encoder.temperature == 0.2
"""
    done = call("-c", code, path=(place,))
    assert done.returncode == 0, done.stderr


def test_its_own_tests_pass(place: Path, call: Call) -> None:
    test = EXAMPLE / "test_my_encoder.py"
    done = call("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", EXAMPLE, test, path=(place,))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_it_trains(place: Path, call: Call, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data" / "point_robot" / "tiny")
    sets = [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
    done = call("-m", "selectrl", *line("train"), "--json", *sets, path=(place,))
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    record = json.loads((tmp_path / run["run"] / "experiment.json").read_text())
    assert record["experiment"]["encoder"]["part"] == "encoders.my_encoder"
    losses = [json.loads(one) for one in (tmp_path / run["run"] / "metrics.jsonl").read_text().splitlines()]
    assert any("encoder/contrast" in one.get("values", {}) for one in losses)


def test_a_run_is_of_the_source_code_that_trained_it(place: Path, call: Call, tmp_path: Path) -> None:
    """A part is edited between two calls of one command; an editable install has the same version all along."""
    installed = tmp_path / "installed"
    shutil.copytree(place, installed)
    write_dataset(tmp_path / "data" / "point_robot" / "tiny")
    sets = [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
    words = ["-m", "selectrl", *line("train"), "--json", *sets]
    first = call(*words, path=(installed,))
    assert first.returncode == 0, first.stderr
    run = tmp_path / json.loads(first.stdout)["runs"][0]["run"]
    record = json.loads((run / "execution.json").read_text())
    assert record["plugins"] == {"my-encoder": "0.1.0"}
    assert list(record["sources"]) == ["encoders.my_encoder"]
    again = call(*words, path=(installed,))
    assert json.loads(again.stdout)["runs"][0]["trained"] is False
    assert again.stderr == ""

    module = installed / "my_encoder" / "__init__.py"
    module.write_text(module.read_text() + "\n# another temperature\n")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = call(*words, path=(installed,))
    assert refused.returncode == 2
    assert refused.stdout == ""
    sentence = refused.stderr.splitlines()[-1]
    assert sentence.startswith("selectrl: the source code of encoders.my_encoder has changed since runs/point_robot/")
    assert sentence.endswith(
        "`selectrl train --force` trains it again and renames the old run, or give the new one another --name"
    )
    changed = f"the source code of encoders.my_encoder has changed since {run.relative_to(tmp_path)} was trained; "
    for command in (["evaluate"], ["evaluate", "--label", "new"], ["render", "--out", "film.gif"]):
        done = call("-m", "selectrl", *command, run.relative_to(tmp_path), path=(installed,))
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(f"selectrl: {changed}`selectrl train --force`")
        assert done.stderr.endswith("or give --force to use its weights with the current code\n")
    replacing = call("-m", "selectrl", "evaluate", "--force", run, path=(installed,))
    assert "is of another meta-test (source code of encoders.my_encoder differs)" in replacing.stderr
    assert {path: path.read_bytes() for path in before} == before

    reported = call("-m", "selectrl", "report", run.parent.relative_to(tmp_path), path=(installed,))
    assert reported.returncode == 0, reported.stderr
    assert f"selectrl: warning: {changed}its numbers are kept" in reported.stderr
    page = tmp_path / "report" / "index.html"
    assert "The source code of encoders.my_encoder has changed since " in page.read_text()
    elsewhere = call("-m", "selectrl", "report", run.parent, "--out", "elsewhere", path=())
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert "warning" not in elsewhere.stderr
    assert "The source code of" not in (tmp_path / "elsewhere" / "index.html").read_text()

    today = call("-m", "selectrl", "evaluate", "--force", "--label", "today", run, path=(installed,))
    assert today.returncode == 0, today.stderr
    tested = json.loads((run / "evaluations" / "today.json").read_text())
    assert tested["sources"] != record["sources"]
    assert call("-m", "selectrl", "report", run.parent, path=(installed,)).returncode == 0
    assert "with other source code of encoders.my_encoder than it was trained with" in page.read_text()
    own = run / "evaluations" / "proximal.json"
    own.write_bytes((run / "evaluations" / "today.json").read_bytes())
    refused = call("-m", "selectrl", "report", run.parent, path=(installed,))
    assert "unfinished: not evaluated with its own collector and test, proximal" in refused.stderr
    own.write_bytes(before[own])

    forced = call(*words, "--force", path=(installed,))
    assert forced.returncode == 0, forced.stderr
    assert json.loads(forced.stdout)["runs"][0]["trained"] is True
    assert json.loads((run / "execution.json").read_text())["sources"] != record["sources"]
    assert json.loads((run.with_name("seed0.replaced-1") / "execution.json").read_text()) == record
    assert json.loads(call(*words, path=(installed,)).stdout)["runs"][0]["trained"] is False


def test_a_package_that_cannot_be_imported_is_one_sentence(place: Path, broken: Path, call: Call) -> None:
    sentence = (
        "the plugin 'rotten' of rotten-parts 2.1 cannot be loaded (ValueError: no such sensor); "
        "repair it or uninstall rotten-parts"
    )
    done = call("-m", "selectrl", "list", path=(broken, place))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"selectrl: {sentence}"]
    assert "my_encoder" in done.stdout
    for words in (["--method", "rotten"], ["--method", "select", "--set", "experiment.encoder=@encoders.rotten()"]):
        done = call("-m", "selectrl", "train", "--env", "point_robot", "--dry-run", *words, path=(broken,))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].endswith(sentence)
    code = (
        "import selectrl; from selectrl.experiment.config import from_record; from_record({'part': 'encoders.rotten'})"
    )
    assert call("-c", code, path=(broken,)).stderr.splitlines()[-1].endswith(sentence)


# --- what README says of it -------------------------------------------------------------------------------------------


def line(command: str) -> list[str]:
    """The words of a command that the section shows, without the program."""
    (found,) = re.findall(rf"^selectrl {command} (.*)$", SECTION, re.MULTILINE)
    return [command, *found.partition("#")[0].split()]


def test_readme_shows_the_files_themselves() -> None:
    """Each block is a stretch of the file that the line before it names."""
    blocks = re.findall(r"`(examples/my_encoder/\S+)`[^\n]*\n\n```\w+\n(.*?)```", SECTION, re.DOTALL)
    assert [Path(name).suffix for name, _ in blocks] == [".py", ".gin", ".toml", ".py"]
    for name, text in blocks:
        assert text in (ROOT / name).read_text(encoding="utf-8"), name
    module = (EXAMPLE / "my_encoder" / "__init__.py").read_text(encoding="utf-8")
    assert blocks[0][1].endswith(module[module.index("ENCODERS.add(") :])
