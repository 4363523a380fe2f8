"""Rules of the house that no tool checks."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from selectrl import structs

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "selectrl"
MODULES = sorted(PACKAGE.rglob("*.py"))
GIN_FILES = sorted((ROOT / "gin").rglob("*.gin"))
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(name: str) -> list[Path]:
    found = sorted((PACKAGE / name).rglob("*.py"))
    assert found
    return found


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


class TestSizes:
    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_no_module_has_over_400_lines(self, path: Path) -> None:
        assert lines(path) <= 400

    def test_the_median_module_is_short(self) -> None:
        assert statistics.median(map(lines, MODULES)) <= 130

    def test_the_loop_has_at_most_200_lines(self) -> None:
        assert lines(PACKAGE / "trainer" / "loop.py") <= 200

    def test_a_protocol_has_at_most_five_methods(self) -> None:
        for node in (*classes(PACKAGE / "protocols.py"), *classes(PACKAGE / "pieces.py")):
            bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
            if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in bases):
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                assert len(methods) <= 5, node.name


def classes(path: Path) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


class TestAxes:
    """Shapes in comments, ``# (task, batch, obs)``, are written with the declared words."""

    SHAPE = re.compile(r"#:? (?:[^(]*, )?\(([\w…]+(?: [+*] \w+)?,(?: [\w…+* ]+,?)*)\)")
    WORDS = frozenset(structs.AXES)

    @classmethod
    def unknown(cls, line: str) -> list[str]:
        """Return the words of a shape that are not declared; empty where the line has no shape."""
        found = cls.SHAPE.search(line)
        words = re.findall(r"[a-z_]+", found.group(1)) if found else []
        return [word for word in words if word not in cls.WORDS] if words and words[0] in cls.WORDS else []

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_are_of_the_declared_list(self, path: Path) -> None:
        wrong = {line: words for line in path.read_text().splitlines() if (words := self.unknown(line))}
        assert not wrong

    def test_see_a_word_that_is_not_declared(self) -> None:
        assert self.unknown("z = 1  # (task, sample, obs)") == ["sample"]
        assert self.unknown("z = 1  # values, (task, episode * time, …)") == []


class TestWords:
    """Names say what they hold, and a public class has its name alone."""

    BANNED = frozenset({"one", "found", "told", "said", "made", "odd", "known", "strangers"})

    @classmethod
    def banned(cls, source: str) -> set[str]:
        """Return the banned names that a source binds: variables, arguments, functions, attributes of classes."""
        bound = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                bound.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                bound.add(node.name)
        return bound & cls.BANNED

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_no_name_is_a_pronoun_or_a_participle_without_a_noun(self, path: Path) -> None:
        assert not self.banned(path.read_text())

    def test_a_banned_name_is_seen(self) -> None:
        assert self.banned("for one in range(3):\n    self.found = one\ndef told(said): ...") == {
            "one",
            "found",
            "told",
            "said",
        }

    def test_public_classes_have_names_of_their_own(self) -> None:
        names = [node.name for path in MODULES for node in classes(path) if not node.name.startswith("_")]
        assert sorted({name for name in names if names.count(name) > 1}) == []

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_docstrings_start_with_a_verb_or_a_noun(self, path: Path) -> None:
        nodes = (node for node in ast.walk(ast.parse(path.read_text())))
        documented = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        starts = [(ast.get_docstring(node) or "").split(" ")[0] for node in documented]
        assert not {"What", "Where", "Whose", "How"} & set(starts)


class TestNames:
    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_no_module_is_called_as_one_of_the_standard_library(self, path: Path) -> None:
        names = {path.stem, path.parent.name} - {"__init__", "__main__"}
        assert not names & sys.stdlib_module_names

    @pytest.mark.parametrize("path", [path for path in MODULES if path != PACKAGE / "arrays.py"], ids=relative)
    def test_array_types_have_the_names_of_one_module(self, path: Path) -> None:
        assert not re.search(r"NDArray\[|np\.ndarray\[", path.read_text())

    def test_the_package_itself_is_not(self) -> None:
        assert PACKAGE.name not in sys.stdlib_module_names

    def test_gin_is_the_library_and_not_our_folder(self) -> None:
        assert not list((ROOT / "gin").rglob("*.py"))
        code = "import gin; print(gin.__file__)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert "site-packages" in done.stdout

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_every_folder_of_modules_is_a_package(self, path: Path) -> None:
        assert (path.parent / "__init__.py").is_file()


class TestGinFiles:
    @pytest.mark.parametrize("path", GIN_FILES, ids=relative)
    def test_begin_with_a_header(self, path: Path) -> None:
        """Two lines of comment or more: what it is, and where its numbers come from."""
        text = path.read_text(encoding="utf-8")
        head = text.partition("\n\n")[0].splitlines()
        assert len(head) >= 2
        assert all(line.startswith("# ") for line in head)
        if path.parent.name != "profiles":
            assert "Numbers: " in "\n".join(head)

    @pytest.mark.parametrize("path", GIN_FILES, ids=relative)
    def test_import_nothing_and_end_in_a_newline(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert not re.search(r"^\s*(import|from|include)\b", text, re.MULTILINE)
        assert max(map(len, text.splitlines())) <= 130

    @pytest.mark.parametrize(
        "path", [path for path in GIN_FILES if path.parent.name in ("envs", "profiles")], ids=relative
    )
    def test_environments_and_profiles_fit_every_method(self, path: Path) -> None:
        """They bind macros, the loop, the data and the test, and no method's parts."""
        bound = re.findall(r"^([\w.]+) *=", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert bound
        for name in bound:
            assert re.fullmatch(r"[A-Z_]+|(experiment|collection|train|test|data|envs)\b.*", name), name
            if name.startswith("experiment."):
                assert name in ("experiment.env", "experiment.data", "experiment.train", "experiment.test")

    def test_lie_in_the_wheel(self) -> None:
        assert CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"gin": "selectrl/gin"}


class TestRooms:
    @pytest.mark.parametrize(
        "path", [path for name in ("encoders", "critics", "actors", "functional") for path in room(name)], ids=relative
    )
    def test_a_loss_never_leaves_the_device(self, path: Path) -> None:
        """What prepares a phase may: it runs once, on the data, and is told by its argument ``store``."""
        banned = {"item", "cpu", "numpy", "tolist", "cuda"}
        tree = ast.parse(path.read_text())
        prepares = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and "store" in {one.arg for one in node.args.args}
        ]
        exempt = {id(inner) for node in prepares for inner in ast.walk(node)}
        calls = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and id(node) not in exempt
        }
        assert not calls & banned

    @pytest.mark.parametrize(
        "path", [path for name in ("encoders", "critics", "actors", "collectors") for path in room(name)], ids=relative
    )
    def test_a_part_makes_no_random_numbers(self, path: Path) -> None:
        """Draws and noise come with the batch."""
        assert not re.search(
            r"torch\.(rand|randn|randint|randperm|normal|manual_seed|bernoulli)\b|np\.random\.(?!Generator\b)",
            path.read_text(),
        )

    @pytest.mark.parametrize(
        "path",
        [path for name in ("trainer", "data", "evaluate") for path in room(name) if path.stem != "schedules"],
        ids=relative,  # schedules are what papers published, and say whose they are
    )
    def test_loop_data_and_harness_name_no_method(self, path: Path) -> None:
        methods = {file.stem for file in GIN_FILES if file.parent.name == "methods"}
        words = set(re.findall(r"[a-z]+", path.read_text().lower().replace("index_select", "")))
        assert not words & {*methods, "corro", "offpearl", "pearl", "borel"}

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_no_bare_assert_guards_anything(self, path: Path) -> None:
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_no_blanket_ignore(self, path: Path) -> None:
        text = path.read_text()
        assert not re.search(r"# type: ignore(?!\[)", text)
        assert not re.search(r"# noqa(?!: [A-Z]+\d+)", text)
        assert "# mypy: ignore" not in text

    def test_two_modules_alone_are_let_past_the_lint_for_safety(self) -> None:
        """One takes an unpickler apart, one calls Slurm; pyproject.toml says what is banned."""
        excused = {relative(path): re.findall(r"# noqa: (S\d+|TID251)", path.read_text()) for path in MODULES}
        assert {path: codes for path, codes in excused.items() if codes} == {
            "selectrl/data/object_files.py": ["TID251"],
            "selectrl/launch/slurm.py": ["S603"],
        }

    @pytest.mark.parametrize("path", MODULES, ids=relative)
    def test_every_error_raised_is_of_our_tree(self, path: Path) -> None:
        """Python's own errors are raised where Python's own protocols ask for them, and nowhere else."""
        ours = {"SelectRLError", "RunError", "InputError", "FieldError", "CompositionError", "DataError"}
        ours |= {"UnreadableError", "RecordError", "ConformanceError", "Interrupted", "OutputError"}
        ours |= {"read_error", "write_error"}  # functions that make an UnreadableError and an InputError
        allowed = {
            "selectrl/__init__.py": {"AttributeError"},  # module attributes
            "selectrl/cli/options.py": {"ValueError"},  # how cyclopts learns that a value is wrong
            "selectrl/json_text.py": {"ValueError"},  # as Python's own reader
            "selectrl/envs/worlds.py": {"ValueError", "ResetNeeded", "InvalidAction"},  # as Gymnasium's own
        }.get(relative(path), set())
        if path.parent.name in ("functional", "nets"):
            allowed = {"ValueError"}  # shapes that do not fit, as torch itself says it
        raised = {
            node.exc.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        }
        assert raised <= ours | allowed


class TestDependencies:
    def test_the_lowest_releases_are_those_that_pyproject_allows(self) -> None:
        """``make lowest`` tests with them; torch is exempt, whose builds differ by machine."""
        project = CONFIG["project"]
        extras = [names for extra, names in project["optional-dependencies"].items() if extra not in ("dev", "docs")]
        bounds = {}
        for one in [*project["dependencies"], *(name for names in extras for name in names)]:
            found = re.fullmatch(r"([\w-]+)(?:\[\w+\])?[>=]=([\d.]+)(?:,<\d+)?", one)
            assert found, one
            bounds[found[1]] = found[2]
        del bounds["torch"]
        lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
        lowest = dict(line.split("==") for line in lines if not line.startswith("#"))
        assert lowest.keys() == bounds.keys()
        for name, bound in bounds.items():
            assert f"{lowest[name]}.".startswith(f"{bound}."), name


class TestImportContracts:
    LAYERS, *_, TORCH, GIN = CONTRACTS = CONFIG["tool"]["importlinter"]["contracts"]

    def top(self) -> set[str]:
        """Return every module and package right below ours."""
        found = {path.stem for path in PACKAGE.glob("*.py")} | {
            path.parent.name for path in PACKAGE.glob("*/__init__.py")
        }
        return found - {"__init__", "__main__"}

    def test_every_module_has_a_layer(self) -> None:
        named = re.findall(r"selectrl\.(\w+)|(?<![\w.])(\w+)(?![\w.])", " ".join(self.LAYERS["layers"]))
        assert {one or other for one, other in named} == self.top()

    def test_gin_is_forbidden_everywhere_but_at_the_edge(self) -> None:
        named = {name.removeprefix("selectrl.") for name in self.GIN["source_modules"]}
        assert named - {"__main__"} == self.top() - {"gin_edge", "gin_text"}

    def test_the_rooms_of_one_floor_are_apart(self) -> None:
        """With ``|`` between them; ``:`` would let them import each other."""
        rooms = {"encoders", "critics", "actors", "collectors", "envs", "trainer", "evaluate"}
        floors = [set(re.findall(r"(\w+)(?= *(?:\||$))", layer)) for layer in self.LAYERS["layers"]]
        assert any(rooms <= floor for floor in floors)

    def test_no_contract_makes_an_exception(self) -> None:
        for contract in self.CONTRACTS:
            assert "ignore_imports" not in contract
