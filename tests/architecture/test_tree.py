"""Tests mirror the rooms: each room has its folder of tests, and each folder of tests has its room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Folders of tests that are of the whole library, or of what is outside of it, and folders of helpers.
WHOLE = {
    "architecture",
    "docs",
    "examples",
    "fuzz",
    "learning",
    "oracles",
    "readme",
    "stress",
    "support",
    "tools",
    "wheel",
}


def faults(package: Path, tests: Path) -> Iterator[str]:
    """Yield where tests do not mirror a package."""
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    folders = {path.name for path in tests.iterdir() if path.is_dir() and path.name != "__pycache__"}
    for room in sorted(rooms):
        if not list((tests / room).glob("test_*.py")):
            yield f"the room {room} has no test in {tests.name}/{room}/"
    for folder in sorted(folders - rooms - WHOLE):
        yield f"{tests.name}/{folder}/ has no room {folder}"
    for path in sorted(tests.glob("*.py")):
        name = path.stem.removeprefix("test_")
        if path.stem != "conftest" and not any(name == module or name.startswith(f"{module}_") for module in modules):
            yield f"{tests.name}/{path.name} has no module {name}; a test of a room goes to its folder"


def test_tests_mirror_the_rooms() -> None:
    assert list(faults(ROOT / "selectrl", ROOT / "tests")) == []


def test_every_folder_of_the_whole_is_there() -> None:
    assert {name for name in WHOLE if (ROOT / "tests" / name).is_dir()} == WHOLE


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("selectrl/garden/__init__.py", "the room garden has no test in tests/garden/"),
        ("tests/garden/test_garden.py", "tests/garden/ has no room garden"),
        ("tests/test_garden.py", "tests/test_garden.py has no module garden; a test of a room goes to its folder"),
        ("tests/helpers.py", "tests/helpers.py has no module helpers; a test of a room goes to its folder"),
    ],
)
def test_it_can_fail(path: str, fault: str, tmp_path: Path) -> None:
    for name in ("selectrl/house/__init__.py", "tests/house/test_house.py", "selectrl/files.py", "tests/test_files.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(faults(tmp_path / "selectrl", tmp_path / "tests")) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert list(faults(tmp_path / "selectrl", tmp_path / "tests")) == [fault]
