"""Write the pages that are generated from the code: methods, parts, API and the composition matrix; MkDocs runs it."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any

import attrs
import griffe
import mkdocs_gen_files

import selectrl
from selectrl.citations import citation, walk_entries
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.config import Experiment
from selectrl.gin_edge import SHIPPED, build_experiment, experiment_layers, shared_numbers, shipped
from selectrl.protocols import Phase
from selectrl.registry import COLLECTORS, FAMILIES, REGISTRIES, Entry

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "methods"
GRID = ROOT / "results" / "grid" / "point_robot.json"
TITLES = {
    "select": "SELECT",
    "select_plus": "SELECT with a task posterior",
    "csro": "CSRO",
    "focal": "FOCAL",
    "offpearl": "OffPEARL",
    "corro": "CORRO",
    "borel": "BOReL",
}
#: Rooms in the order of the layers; ``cli`` is left out, because its reference is ``--help``.
HIDDEN = ("__main__", "cli")
#: A pipe that would end a table's cell: outside of code.
PIPE = re.compile(r"(`[^`]*`)|\|")


def write(path: str, *texts: str) -> None:
    """Write a page of the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write("\n\n".join(texts) + "\n")


def summary(folder: str, pages: dict[str, str]) -> None:
    """Write the list of a folder's pages, by title."""
    write(f"{folder}/SUMMARY.md", "\n".join(f"* [{title}]({page})" for title, page in pages.items()))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [
        columns,
        ["---"] * len(columns),
        *([PIPE.sub(lambda match: match[1] or "\\|", cell) for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Parts: one page per kind.


def meanings(config: type) -> dict[str, str]:
    """Return the description of each field from the docstrings of a config class and its bases."""
    descriptions: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        for section in griffe.Docstring(cls.__doc__ or "").parse("google"):
            if section.kind is griffe.DocstringSectionKind.attributes:
                descriptions |= {item.name: " ".join(item.description.split()) for item in section.value}
    return descriptions


def default(field: Any) -> str:
    """Return a field's default as gin writes it."""
    value = field.default
    if value is attrs.NOTHING:
        return "required"
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        value = value.factory()
    inner = list(walk_entries(value)) if attrs.has(type(value)) else []
    return f"`@{inner[0][0]}()`" if inner else f"`{value!r}`"


def part_section(kind: str, entry: Entry[..., Any]) -> str:
    """Return the section on one part."""
    path = f"{entry.config.__module__}.{entry.config.__qualname__}"
    link = f"[`{entry.config.__name__}`][{path}]" if path.startswith("selectrl.") else f"`{path}`"
    head = f"## `{kind}.{entry.name}`\n\n{entry.summary[:1].upper()}{entry.summary[1:]}. *{entry.paper}.* {link}"
    descriptions = meanings(entry.config)
    rows = [
        [f"`{field.name}`", f"{default(field)}<br>{field.type}".replace("|", "or"), descriptions.get(field.name, "")]
        for field in attrs.fields(entry.config)
    ]
    return head + ("\n\n" + table(["field", "default and type", "meaning"], rows) if rows else "\n\nIt has no fields.")


def parts() -> None:
    """Write the pages of the parts."""
    pages = {}
    for registry in REGISTRIES:
        sections = [part_section(registry.kind, entry) for entry in registry]
        if sections:
            intro = f"In gin, bind a part as `@{registry.kind}.NAME()` and a field as `{registry.kind}.NAME.FIELD = …`."
            write(f"parts/{registry.kind}.md", f"# {registry.kind.capitalize()}", intro, *sections)
            pages[registry.kind.capitalize()] = f"{registry.kind}.md"
    summary("parts", pages)


# Methods: the hand-written page, then sections from the code.

SHARED = """??? note "Numbers that all methods share"
    Fields of parts take these numbers. The environment and the profile set the values:

    ```python
{numbers}
    ```

    `shared/loop.gin`:

    ```python
    --8<-- "gin/shared/loop.gin"
    ```""".format(numbers=indent(shared_numbers().text.rstrip(), "    "))


def ours(kind: str) -> list[str]:
    """Return the names of our gin files of a kind; those of installed plugins have no page here."""
    return [name for name, path in shipped(kind).items() if path.is_relative_to(SHIPPED)]


def compositions(method: str) -> dict[str, Experiment]:
    """Return the different compositions of a method, by the environments that have them; empty where all do."""
    groups: dict[tuple[str, ...], tuple[list[str], Experiment]] = {}
    for env in ours("envs"):
        experiment = build_experiment(experiment_layers(method=method, env=env), method)
        names = tuple(name for name, _ in walk_entries(experiment) if not name.startswith("envs."))
        groups.setdefault(names, ([], experiment))[0].append(env)
    if len(groups) == 1:
        return {"": next(iter(groups.values()))[1]}
    few = sorted(groups.values(), key=lambda group: len(group[0]))
    return {
        f" on {', '.join(envs)}" if len(envs) < 3 else f" on the {len(envs)} other environments": experiment
        for envs, experiment in few
    }


def composition(experiment: Experiment) -> str:
    """Return a table of the parts of an experiment, its environment aside."""
    rows = [(name, part) for name, part in walk_entries(experiment) if not name.startswith("envs.")]
    links = [f"[`{name}`](../parts/{name.partition('.')[0]}.md#{name.replace('.', '')})" for name, _ in rows]
    return table(
        ["part", "summary", "paper"],
        [[link, part.summary, part.paper] for link, (_, part) in zip(links, rows, strict=True)],
    )


def objectives(phases: Iterable[Phase]) -> Iterator[list[str]]:
    """Go through the rows of the table of objectives, in the order in which they step."""
    for phase in phases:
        for objective in phase.objectives:
            moves = [
                f"`{prefix}` ({optim.name} {optim.lr:g}{', late' * optim.late})"
                for prefix, optim in objective.moves.items()
            ]
            draws = dict.fromkeys(
                draw.name + f" ({draw.kind})" * (draw.kind != draw.name)
                for draw in (*(phase.draws * phase.encodes), *objective.draws)
            )
            every = "every step" if objective.every == 1 else f"every {objective.every} steps"
            yield [f"`{phase.name}`", f"`{objective.name}`", ", ".join(moves), ", ".join(draws), every]


def method_sections(name: str) -> list[str]:
    """Return the sections on a method that come from the code."""
    sections, classes = [], {}
    for where, experiment in compositions(name).items():
        spec = FAMILIES.build(experiment.env).spec
        agent = build_agent(experiment, spec, 0)
        phases = build_phases(experiment, agent)
        sections += [f"## Composition{where}", composition(experiment), f"## Objectives{where}"]
        sections += ["The order is that of a step. Parameters that an objective does not move enter its loss detached."]
        sections += [table(["phase", "objective", "moves", "draws", "due"], objectives(phases))]
        tracks = [f"`{track.source}` (τ = {track.tau:g}, every {track.every})" for track in phases[-1].tracks]
        sections += [f"Polyak targets: {', '.join(tracks)}."] if tracks else []
        for part in (agent.encoder, agent.critic, agent.actor, COLLECTORS.build(experiment.collector)):
            classes[f"{type(part).__module__}.{type(part).__qualname__}"] = part
    sections += [f"## Hyper-parameters: `{name}.gin`"]
    sections += [
        "Sizes, scales and budgets are the same for all methods; names after `%` are macros of an environment."
    ]
    sections += [f'```python\n--8<-- "gin/methods/{name}.gin"\n```', SHARED]
    sections += ["## Parts, and how they differ from the authors' code"]
    options = "    options: {members: false, skip_local_inventory: true, heading_level: 3, show_bases: false}"
    sections += [f"::: {path}\n{options}" for path in classes]
    return sections


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the methods that have a page, each with its presets: variants such as ``csro_reference``."""
    presets: dict[str, list[str]] = {}
    for name in sorted(names):
        base = name.partition("_")[0]
        if base in presets and not (PAGES / f"{name}.md").exists():
            presets[base].append(name)
        else:
            presets[name] = []
    order = list(TITLES)
    return dict(sorted(presets.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def methods() -> None:
    """Write the pages of the methods; a preset is on the page of its method.

    Raises:
        FileNotFoundError: a shipped method has no page.
    """
    pages = {}
    for name, presets in families(ours("methods")).items():
        text = (PAGES / f"{name}.md").read_text(encoding="utf-8").strip()
        sections = [text, *method_sections(name)]
        for preset in presets:
            sections += [f"## Preset `{preset}`", "Its header states its purpose and its changes."]
            for where, experiment in compositions(preset).items():
                sections += [f"Composition{where}:", composition(experiment)]
            sections += [f'```python\n--8<-- "gin/methods/{preset}.gin"\n```']
        experiment = next(iter(compositions(name).values()))
        sections += ["## Cite", f"`selectrl cite --method {name} --env {experiment.env_name}` prints:"]
        sections += [f"```bibtex\n{citation(experiment)}\n```"]
        write(f"methods/{name}.md", *sections)
        pages[TITLES.get(name, name)] = f"{name}.md"
    summary("methods", pages)


# Ablations: the header of each shipped file.


def ablations() -> None:
    """Write the page of the shipped ablations."""
    rows = []
    for name in ours("ablations"):
        text = shipped("ablations")[name].read_text(encoding="utf-8")
        header = " ".join(re.match(r"(?:#.*\n)+", text)[0].replace("#", "").split())  # type: ignore[index]
        rows.append([f"`{name}`", header])
    intro = (
        "An ablation is a file that changes one thing, after method, environment and profile: `selectrl train --method "
        "select --env point_robot --ablation NAME`. An unused binding is refused, so an ablation that does not fit a "
        "method is refused, too."
    )
    write("ablations.md", "# Ablations", intro, table(["name", "change, and origin of its numbers"], rows))


# API: one page per room.


def modules(name: str) -> list[str]:
    """Return a module and all below it."""
    module = import_module(name)
    below = pkgutil.walk_packages(module.__path__, f"{name}.") if hasattr(module, "__path__") else ()
    return [name, *(module.name for module in below)]


def api() -> None:
    """Write the reference: the public interface, and one page per room."""
    rooms = [room.name for room in pkgutil.iter_modules(selectrl.__path__) if room.name not in HIDDEN]
    pages = {"selectrl": "index.md"}
    public = {name: getattr(selectrl, name) for name in selectrl.__all__ if not name.startswith("_")}
    links = {name: f"[`selectrl.{name}`][{value.__module__}.{value.__qualname__}]" for name, value in public.items()}
    names = "\n".join(f"* {link}: {first_sentence(public[name])}" for name, link in links.items())
    lines = [f"* [`selectrl.{room}`]({room}.md): {first_line(room)}" for room in rooms]
    write("api/index.md", "# selectrl", "The public interface:", names, "Everything, by room:", "\n".join(lines))
    for room in rooms:
        blocks = [
            f"::: selectrl.{name}\n    options: {{heading_level: 2, show_root_full_path: true}}"
            for name in (path.removeprefix("selectrl.") for path in modules(f"selectrl.{room}"))
        ]
        write(f"api/{room}.md", f"# selectrl.{room}", *blocks)
        pages[room] = f"{room}.md"
    summary("api", pages)


def first_line(room: str) -> str:
    """Return the first sentence of a room's docstring."""
    return first_sentence(import_module(f"selectrl.{room}"))


def first_sentence(described: object) -> str:
    """Return the first sentence of a docstring on one line, without its end."""
    sentence = re.split(r"(?<=[.:])\s", (described.__doc__ or "").strip())[0]
    return " ".join(sentence.split()).rstrip(":.")


# The composition matrix.


def matrix(grid: dict[str, Any]) -> list[str]:
    """Return the outcome of every composition, in a table per critic; then the collectors."""
    rows: list[dict[str, str]] = grid["compositions"]
    axis = {name: list(dict.fromkeys(row[name] for row in rows)) for name in ("encoder", "critic", "actor")}
    outcomes = {(row["encoder"], row["critic"], row["actor"]): row for row in rows}
    reasons = list(dict.fromkeys(row["reason"] for row in rows if row["outcome"] == "refused"))
    sections = []
    for critic in axis["critic"]:
        cells = [
            [f"`{encoder}`", *(cell(outcomes.get((encoder, critic, actor)), reasons) for actor in axis["actor"])]
            for encoder in axis["encoder"]
        ]
        sections += [f"## Critic `{critic}`", table(["encoder", *(f"`{actor}`" for actor in axis["actor"])], cells)]
    if reasons:
        sections += ["Refused:", "\n".join(f"{i}. {reason}" for i, reason in enumerate(reasons, 1))]
    tested: list[dict[str, Any]] = grid["collectors"]
    columns = list(dict.fromkeys(row["collector"] for row in tested))
    returns = {(row["encoder"], row["collector"]): row for row in tested}
    encoders = dict.fromkeys(row["encoder"] for row in tested)
    cells = [[f"`{name}`", *(returned(returns.get((name, column))) for column in columns)] for name in encoders]
    note = "Returns after such a short training are not a comparison; the table shows that every pair runs."
    return [*sections, "## Collectors", note, table(["encoder", *(f"`{column}`" for column in columns)], cells)]


def cell(row: dict[str, str] | None, reasons: list[str]) -> str:
    """Return the outcome of one composition."""
    if row is None:
        return ""
    return "trained" if row["outcome"] == "trained" else f"refused ({reasons.index(row['reason']) + 1})"


def returned(row: dict[str, Any] | None) -> str:
    """Return the result of a collector's meta-test."""
    if row is None:
        return ""
    return f"{row['return']:.1f}" if isinstance(row.get("return"), int | float) else str(row["outcome"])


def grid() -> None:
    """Write the composition matrix from the results of ``make grid``.

    Raises:
        FileNotFoundError: it has not been run.
    """
    if not GRID.exists():
        raise FileNotFoundError(f"{GRID} is missing; `make grid` writes it")
    outcomes = json.loads(GRID.read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "composition.md").read_text(encoding="utf-8").strip()
    text = text.replace("STEPS", str(outcomes["steps"])).replace("COUNT", str(len(outcomes["compositions"])))
    write("composition.md", text, *matrix(outcomes))


def main() -> None:
    """Write every generated page."""
    parts()
    methods()
    ablations()
    api()
    grid()


if __name__ == "<run_path>":  # the name under which mkdocs-gen-files runs a script
    main()
