"""The measures of the house, on a small package whose answers are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tool_programs import TOOLS, load_tool

house = load_tool("house")

FILES = {
    "__init__.py": '"""A package."""\n',
    "alpha/__init__.py": "",
    "alpha/first.py": '''"""What a first module is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from selectrl.alpha.second import Row as Other

Array: TypeAlias = NDArray[Any]
_HIDDEN = 1


class Row:
    """Keeps what is written to experiment.json."""

    def load(self, one: int) -> int:
        """Whatever is loaded."""
        found = one
        return found
''',
    "alpha/second.py": '''"""A second module."""

from .first import Array

Array: TypeAlias = NDArray[Any]
_HIDDEN = 2


class Row:
    """A row."""


def load() -> Array:
    """Load."""
    from selectrl import beta

    return [one for one in beta.told]
''',
    "beta.py": '"""A room of one module."""\n\nfrom selectrl.alpha.second import load as read\n',
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "selectrl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def measures(checkout: Path) -> dict:
    return house.measure(checkout)


def test_banned_identifiers_are_counted_by_use(measures):
    counts = measures["banned identifiers"]
    # an argument and its use, a comprehension's variable and its use; an assignment and its use; an attribute
    assert {name: count for name, count in counts.items() if count} == {"one": 4, "found": 2, "told": 1}


def test_docstrings_with_what_are_counted_as_words(measures):
    assert measures["docstrings"] == {"all": 8, "contain what": 2, "open with What, Where or Whose": 1}


def test_homonyms_are_public_and_at_the_top_level(measures):
    modules = ["selectrl.alpha.first", "selectrl.alpha.second"]
    assert measures["homonyms"] == {
        "classes": {"Row": modules},
        "constants and aliases": {"Array": modules},
        "functions": {},
    }


def test_import_circles_are_told_apart_by_the_moment_of_the_import(measures):
    first, second, beta = "selectrl.alpha.first", "selectrl.alpha.second", "selectrl.beta"
    assert measures["import circles"] == {
        "at start": [],
        "with imports in functions": [[second, beta]],
        "with imports for types": [[first, second, beta]],
    }


def test_the_rest(measures):
    assert measures["modules that name a run file"] == {
        "experiment.json": ["selectrl.alpha.first"],
        "metrics.jsonl": [],
    }
    assert measures["modules"]["number"] == 5
    assert measures["modules"]["largest"] == "selectrl.alpha.first"
    assert measures["lines of rooms"] == {"__init__": 1, "alpha": 22 + 17, "beta": 3}
    assert measures["array aliases"] == ["selectrl.alpha.first.Array", "selectrl.alpha.second.Array"]


def test_it_runs_on_a_checkout(checkout):
    command = [sys.executable, str(TOOLS / "house.py"), str(checkout)]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "homonyms: classes" in table
    record = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert record == json.loads(json.dumps(house.measure(checkout)))
    wrong = subprocess.run([*command[:-1], str(checkout / "selectrl")], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "give the path of a checkout" in wrong.stderr
