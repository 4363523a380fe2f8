"""Measures how the package reads: names, docstrings, homonyms, import circles, sizes, owners of the run files.

Usage: ``python tools/house.py [CHECKOUT] [--json]``. It reads source text alone and imports nothing of the package, so
that it measures any checkout. It judges nothing: the limits are in ``tests/architecture``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

PACKAGE = "selectrl"
BANNED = ("one", "found", "told", "said", "made", "odd", "known", "strangers")
RUN_FILES = ("experiment.json", "metrics.jsonl")
WHAT = re.compile(r"\bwhat\b", re.IGNORECASE)
OPENING = re.compile(r"(what|where|whose)\b", re.IGNORECASE)
#: Types of which an alias only repeats an array's type.
ARRAYS = ("NDArray", "npt.NDArray", "np.ndarray", "ndarray", "ArrayLike")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Graph: TypeAlias = Mapping[str, set[str]]
Measures: TypeAlias = dict[str, object]


class Module(NamedTuple):
    """A module of the package: its dotted name, its text and its syntax tree."""

    name: str
    text: str
    tree: ast.Module
    is_package: bool

    @property
    def lines(self) -> int:
        """The number of its lines."""
        return len(self.text.splitlines())

    @property
    def room(self) -> str:
        """The first folder below the package, or the module itself."""
        return ".".join(self.name.split(".")[1:2]) or "__init__"


class Import(NamedTuple):
    """A module that another module imports, and the moment of that import."""

    target: str
    moment: str  # "start", "call" (inside a function) or "types" (under TYPE_CHECKING)


def read_modules(checkout: Path) -> list[Module]:
    """Parse every module of the package in a checkout."""
    modules = []
    for path in sorted((checkout / PACKAGE).rglob("*.py")):
        parts = path.relative_to(checkout).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        text = path.read_text(encoding="utf-8")
        modules.append(Module(".".join(parts[:-1] if is_package else parts), text, ast.parse(text), is_package))
    return modules


# Names and docstrings.


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Yield every use of a name: variables, arguments, attributes, functions and classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of the module, its classes and its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            text = ast.get_docstring(node)
            if text:
                yield text


# Names that two modules define.


def definitions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each public definition at the top level of a module."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names, kind = [node.name], "classes"
        elif isinstance(node, Function):
            names, kind = [node.name], "functions"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names, kind = [target.id for target in targets if isinstance(target, ast.Name)], "constants and aliases"
        else:
            continue
        yield from ((kind, name) for name in names if not name.startswith("_"))


def homonyms(modules: Iterable[Module]) -> dict[str, dict[str, list[str]]]:
    """Return, by kind, each public name that two modules or more define, with these modules."""
    owners: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module in modules:
        for kind, name in dict.fromkeys(definitions(module.tree)):
            owners[kind][name].append(module.name)
    return {
        kind: {name: homes for name, homes in sorted(names.items()) if len(homes) > 1}
        for kind, names in sorted(owners.items())
    }


def array_aliases(modules: Iterable[Module]) -> list[str]:
    """Return ``module.NAME`` for each alias at the top level that stands for an array type alone."""
    return [
        f"{module.name}.{node.target.id}"
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.annotation, ast.Name)
        and node.annotation.id == "TypeAlias"
        and node.value is not None
        and ast.unparse(node.value).partition("[")[0] in ARRAYS
    ]


# Import circles.


def imports(module: Module, names: set[str]) -> Iterator[Import]:
    """Yield the modules of the package that a module imports, each with its moment."""

    def walk(nodes: Iterable[ast.AST], moment: str) -> Iterator[Import]:
        for node in nodes:
            match node:
                case ast.Import():
                    yield from (Import(alias.name, moment) for alias in node.names if alias.name in names)
                case ast.ImportFrom():
                    source = absolute(module, node)
                    for alias in node.names:
                        inner = f"{source}.{alias.name}"
                        target = inner if inner in names else source
                        if target in names:
                            yield Import(target, moment)
                case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                    yield from walk(node.body, "types")
                    yield from walk(node.orelse, moment)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    yield from walk(ast.iter_child_nodes(node), "call" if moment == "start" else moment)
                case _:
                    yield from walk(ast.iter_child_nodes(node), moment)

    yield from walk(module.tree.body, "start")


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Return the dotted name from which ``from … import`` imports."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def circles(graph: Graph) -> list[list[str]]:
    """Return the strongly connected groups of two modules or more (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], order[target])
        if lowest[node] == order[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                groups.append(sorted(stack[start:]))
            del stack[start:]

    for node in graph:
        if node not in order:
            visit(node)
    return sorted(groups)


def import_circles(modules: Iterable[Module]) -> dict[str, list[list[str]]]:
    """Return the circles by the imports that they need: those at start, those in functions too, those for types too."""
    modules = list(modules)
    names = {module.name for module in modules}
    edges = {module.name: list(imports(module, names)) for module in modules}

    def graph(moments: tuple[str, ...]) -> Graph:
        return {
            name: {edge.target for edge in targets if edge.moment in moments and edge.target != name}
            for name, targets in edges.items()
        }

    return {
        "at start": circles(graph(("start",))),
        "with imports in functions": circles(graph(("start", "call"))),
        "with imports for types": circles(graph(("start", "call", "types"))),
    }


# The whole.


def measure(checkout: Path) -> Measures:
    """Return every measure of a checkout."""
    modules = read_modules(checkout)
    used = Counter(name for module in modules for name in identifiers(module.tree) if name in BANNED)
    texts = [text for module in modules for text in docstrings(module.tree)]
    sizes = {module.name: module.lines for module in modules}
    rooms: Counter[str] = Counter()
    for module in modules:
        rooms[module.room] += module.lines
    return {
        "banned identifiers": {name: used[name] for name in BANNED},
        "docstrings": {
            "all": len(texts),
            "contain what": sum(bool(WHAT.search(text)) for text in texts),
            "open with What, Where or Whose": sum(bool(OPENING.match(text)) for text in texts),
        },
        "homonyms": homonyms(modules),
        "import circles": import_circles(modules),
        "modules that name a run file": {
            file: [module.name for module in modules if file in module.text] for file in RUN_FILES
        },
        "modules": {
            "number": len(modules),
            "median lines": statistics.median(sizes.values()),
            "largest": max(sizes, key=lambda name: sizes[name]),
            "largest lines": max(sizes.values()),
        },
        "lines of rooms": dict(sorted(rooms.items())),
        "array aliases": array_aliases(modules),
    }


def rows(measures: Measures) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table: a measure and its value, a list shown as its length and its members."""
    for title, value in measures.items():
        if isinstance(value, dict):
            numbers = [inner for inner in value.values() if isinstance(inner, int)]
            if title in ("banned identifiers", "lines of rooms"):
                yield title, f"{sum(numbers)}"
            yield from ((f"{title}: {name}", show(inner)) for name, inner in value.items())
        else:
            yield title, show(value)


def show(value: object) -> str:
    """Return a value as a cell: a collection as its length and its members."""
    if isinstance(value, dict):
        return f"{len(value)}" + (f"  ({', '.join(value)})" if value else "")
    if isinstance(value, list):
        members = (" + ".join(member) if isinstance(member, list) else str(member) for member in value)
        return f"{len(value)}" + (f"  ({', '.join(members)})" if value else "")
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def main() -> int:
    """Print the measures of a checkout as a table, or as JSON."""
    parser = argparse.ArgumentParser(description="Measures how the package reads.")
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true", help="Print JSON with every name instead of a table.")
    arguments = parser.parse_args()
    if not (arguments.checkout / PACKAGE).is_dir():
        parser.error(f"{arguments.checkout} has no folder {PACKAGE}; give the path of a checkout")
    measures = measure(arguments.checkout)
    if arguments.json:
        sys.stdout.write(json.dumps(measures, indent=1) + "\n")
        return 0
    table = list(rows(measures))
    width = max(len(title) for title, _ in table)
    sys.stdout.writelines(f"{title:<{width}}  {value}\n" for title, value in table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
