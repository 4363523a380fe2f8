"""What is fuzzed: for each kind of file, how sound ones are written, and everything of ours that reads them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from commands import SETTINGS, write_dataset
from report.conftest import write_run
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from trees import write_tree

from fuzz import hostile
from selectrl.cli import data as commands
from selectrl.data.minari_files import export_minari, import_minari
from selectrl.data.npy_trees import find_files, import_tree
from selectrl.data.rows import RowStore
from selectrl.data.store import OfflineDataset
from selectrl.envs.point_robot import PointRobotConfig
from selectrl.errors import InputError
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import train
from selectrl.files import write_json
from selectrl.gin_edge import SHIPPED, build_collection, build_experiment, experiment_layers, shipped_layer, user_layers
from selectrl.json_text import remove_seal
from selectrl.registry import FAMILIES
from selectrl.report import build_report
from selectrl.report.analysis.analyse import analyse
from selectrl.report.analysis.group import group
from selectrl.report.load import load
from selectrl.report.pages.export import write_numbers, write_table
from selectrl.report.pages.tables import tables
from selectrl.runs import checkpoint

CONFIG = PointRobotConfig(tasks=4)
SMALL = [f"{path}={value}" for path, value in {**SETTINGS, "train.steps": 6, "test.budget": 20}.items()]


def _take_seal(victim: Path) -> None:
    """Take the seal off a record, whatever else is wrong with it."""
    victim.write_bytes(re.sub(rb',\s*"seal": "[0-9a-f]+"', b"", victim.read_bytes()))


class Target(NamedTuple):
    """One kind of file.

    Attributes:
        write: fills a folder with sound files.
        victims: patterns of those that are damaged.
        read: (folder, out) -> reads them as the package does; what it writes lies below either.
        mend: makes checksums fit a damaged file, as one does who means harm.
        cases: of a long run, which takes some minutes a kind.
        damage: (victim, bait, rng) -> does the damage in place of :func:`fuzz.mutate.damaged`.
        never: a damaged file must never be read.
    """

    write: Callable[[Path], object]
    victims: tuple[str, ...]
    read: Callable[[Path, Path], object]
    mend: Callable[[Path], object] = _take_seal
    cases: int = 10_000
    damage: Callable[[Path, Path, Random], object] | None = None
    never: bool = False


def _mend_manifest(victim: Path) -> None:
    """Write size and checksum of a damaged file of a task into the manifest."""
    manifest = remove_seal(json.loads((victim.parent / "manifest.json").read_text()))
    content = victim.read_bytes()
    for entry in manifest["tasks"]:
        if entry["file"] == victim.name:
            entry.update(bytes=max(1, len(content)), sha256=hashlib.sha256(content).hexdigest())
    write_json(victim.parent / "manifest.json", manifest)


def _mend_checkpoint(victim: Path) -> None:
    """Make the digest of a checkpoint fit what it now holds."""
    with contextlib.suppress(SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        with safe_open(victim, framework="pt") as handle:
            about = handle.metadata()["about"]
            state = {name: handle.get_tensor(name).clone() for name in handle.keys()}  # noqa: SIM118
        save_file(state, victim, {"about": about, "digest": checkpoint.digest(state, about)})


def _write_data(folder: Path) -> None:
    write_dataset(folder / "data", tasks=4)


def _read_data(folder: Path, out: Path) -> None:
    dataset = OfflineDataset.open(folder / "data")
    with contextlib.redirect_stdout(io.StringIO()):
        commands.info(folder / "data")
    family = FAMILIES.build(PointRobotConfig(tasks=4))
    dataset = OfflineDataset.open(folder / "data", env="point_robot", spec=family.spec)
    store = RowStore(dataset, family.train_tasks)
    local = torch.arange(len(family.train_tasks))
    found = store.gather(local, torch.zeros(len(local), 1, dtype=torch.int64), ("obs", "action", "reward", "next_obs"))
    if not all(value.isfinite().all() for value in found):
        raise AssertionError("values that are not finite came through")


def write_trained(folder: Path) -> None:
    write_dataset(folder / "data" / "point_robot" / "tiny")
    layers = experiment_layers(method="select", env="point_robot", settings=SMALL)
    run = Run(folder / "run", build_experiment(layers, "select"), 0, Execution(data=folder / "data"))
    train([run])


def _read_trained(folder: Path, out: Path) -> None:
    run = Run.open(folder / "run", Execution(data=folder / "data"))
    agent, _ = run.agent()
    if not all(value.isfinite().all() for value in agent.state_dict().values()):
        raise AssertionError("parameters that are not finite came through")
    train([run])


def _write_runs(folder: Path) -> None:
    labels = ("proximal", "offline")
    for seed in (0, 1):
        write_run(folder / "runs", "select", seed, labels=labels, follow=0.2, steps=1000, repeats=2)
    write_run(folder / "runs", "csro", 0, skill=0.4, labels=labels, steps=1000, repeats=2)
    checks = [{"what": "one dataset", "ok": True, "detail": "5f3a"}]
    differs = [{"what": "actor", "values": {"select": "weighted_bc", "csro": "brac"}}]
    write_json(folder / "runs" / "point_robot" / "fairness.json", {"same": {}, "differs": differs, "checks": checks})


def _read_records(folder: Path, out: Path) -> None:
    """Do all that a report does but for figures and page."""
    runs, _ = load([folder / "runs"])
    families, _ = group(runs)
    analyses = list(map(analyse, families))
    for analysis in analyses:
        for table in tables(analysis).values():
            write_table(table, out / "tables")
    if analyses:
        write_numbers(analyses, [], out)


def _read_tree(folder: Path, out: Path) -> None:
    import_tree(find_files(folder, 4), CONFIG, out / "data", source="elsewhere")
    OfflineDataset.open(out / "data")


def _write_minari(folder: Path) -> None:
    export_minari(OfflineDataset.open(write_dataset(folder / "data", tasks=4)), "fuzz/robot", root=folder / "minari")


def _read_minari(folder: Path, out: Path) -> None:
    OfflineDataset.open(import_minari("fuzz/robot", out / "data", root=folder / "minari"))


def _write_imports(folder: Path) -> None:
    _write_minari(folder)
    write_tree(folder / "tree", FAMILIES.build(CONFIG), episodes=1)


def _read_imports(folder: Path, out: Path) -> None:
    """Read all that comes from others, and a dataset."""
    _read_tree(folder / "tree", out / "tree")
    _read_minari(folder, out / "minari")
    OfflineDataset.open(folder / "data")


def _write_gin(folder: Path) -> None:
    folder.mkdir(parents=True)
    for kind in ("methods", "envs", "behaviour", "ablations", "profiles"):
        for path in sorted((SHIPPED / kind).glob("*.gin")):
            (folder / f"{kind}-{path.name}").write_bytes(path.read_bytes())


def _read_gin(folder: Path, out: Path) -> None:
    """Build of every file that differs from the shipped one what it is a layer of."""
    for path in sorted(folder.glob("*.gin")):
        kind, _, name = path.name.partition("-")
        if path.read_bytes() == (SHIPPED / kind / name).read_bytes():
            continue
        given = user_layers(path, [])
        if kind == "behaviour":
            build_collection([shipped_layer("envs", "point_robot"), *given])
        method = None if kind == "methods" else "select"
        build_experiment([*experiment_layers(method=method, env="point_robot"), *given], "fuzzed")
        _as_settings(path)


def _as_settings(path: Path) -> None:
    """Give the file's bindings one by one, as ``--set`` would."""
    for line in path.read_text(encoding="utf-8").splitlines()[:40]:
        with contextlib.suppress(InputError):
            build_experiment(experiment_layers(method="select", env="point_robot", settings=[line]), "fuzzed")


def _leading_out(damage: Callable[[Path, Path, Random], object]) -> Target:
    """Return a kind of HDF5 files that lead out of themselves."""
    return Target(_write_minari, ("minari/**/*.hdf5",), _read_minari, cases=1000, damage=damage, never=True)


IMPORTS = ("minari/**/*.hdf5", "minari/**/metadata.json", "tree/**/*.npy")
RECORDS = ("**/*.json", "**/*.jsonl", "**/evaluations/*.safetensors", "**/diagnostics.safetensors")
TARGETS = {
    "manifest": Target(_write_data, ("data/manifest.json", "data/.verified.json"), _read_data),
    "tensors": Target(_write_data, ("data/*.safetensors",), _read_data, _mend_manifest),
    "checkpoint": Target(write_trained, ("run/checkpoint-*.safetensors",), _read_trained, _mend_checkpoint),
    "experiment": Target(write_trained, ("run/experiment.json", "run/execution.json"), _read_trained, cases=5000),
    "records": Target(_write_runs, RECORDS, _read_records, cases=2000),
    "report": Target(_write_runs, RECORDS, lambda folder, out: build_report([folder / "runs"], out), cases=400),
    "npy tree": Target(
        lambda folder: write_tree(folder, FAMILIES.build(CONFIG), episodes=1), ("**/*.npy",), _read_tree
    ),
    "minari": Target(_write_minari, ("minari/**/*.hdf5", "minari/**/*.json"), _read_minari, cases=1000),
    "gin": Target(_write_gin, ("*.gin",), _read_gin),
    "external storage": _leading_out(hostile.external_storage),
    "external links": _leading_out(hostile.external_link),
    "views": _leading_out(hostile.view),
    "plugin filters": _leading_out(hostile.plugin_filter),
    "pipes": Target(_write_imports, (*IMPORTS, "data/*.*"), _read_imports, cases=1000, damage=hostile.pipe),
    "links": Target(_write_imports, IMPORTS, _read_imports, cases=1000, damage=hostile.link),
}
