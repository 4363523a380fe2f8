"""The wheel holds the package, its gin files and nothing else; ``make wheel-test`` installs and uses it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def files(folder: str) -> set[str]:
    below = {path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {str(path.relative_to(ROOT)) for path in below}


def test_it_holds_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == files("selectrl") | {f"selectrl/{name}" for name in files("gin")}


@pytest.mark.parametrize(
    "name", ["py.typed", "report/pages/page.html", "envs/assets/ant.xml", "gin/methods/select.gin"]
)
def test_what_is_no_python_is_as_it_is_here(wheel: zipfile.ZipFile, name: str) -> None:
    ours = ROOT / name if name.startswith("gin/") else ROOT / "selectrl" / name
    assert wheel.read(f"selectrl/{name}") == ours.read_bytes()


def test_it_brings_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    about = {name.partition(".dist-info/")[2]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "selectrl = selectrl.cli:main" in wheel.read(about["entry_points.txt"]).decode()
    assert wheel.read(about["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()
