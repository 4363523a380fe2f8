"""Each gate of ``make check`` is green on the tree as it is, and red once a violation is planted in a copy of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

#: The commands of ``make check``.
GATES = {
    "types": ("mypy",),
    "layers": ("lint-imports", "--no-cache"),
    "lint": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "docs": ("interrogate", "-q", "-c", "pyproject.toml", "selectrl"),
}

HEAD = '"""Planted."""\n\nfrom __future__ import annotations\n\n'
#: An encoder and its config; what stands for REGISTRATION decides whether the types fit.
PART = (
    HEAD
    + '''import attrs

from selectrl.collectors.configs import OnlineConfig, ProximalConfig
from selectrl.collectors.online import OnlineCollector
from selectrl.encoders.blind.configs import BlindConfig
from selectrl.encoders.blind.encoder import BlindEncoder
from selectrl.registry import ACTORS, COLLECTORS, ENCODERS
from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class PlantedConfig:
    """Planted."""


class Half:
    """Lacks all but this."""

    latent_dim = 5

    def __init__(self, config: PlantedConfig, spec: Spec) -> None:
        self.config = config


class Whole(BlindEncoder):
    """Is built from its own config."""

    def __init__(self, config: PlantedConfig, spec: Spec) -> None:
        super().__init__(BlindConfig(), spec)


class Narrow(BlindEncoder):
    """Takes no shapes."""

    def __init__(self, config: PlantedConfig) -> None:
        super().__init__(BlindConfig(), Spec(1, 1, 1, False))


REGISTRATION
'''
)


def registration(line: str) -> str:
    """Return the planted module with a line that registers a part."""
    return PART.replace("REGISTRATION", f'{line[:-1]}, paper="none", summary="planted")')


READS_A_NETWORK = (
    HEAD
    + '''from torch import Tensor

from selectrl.protocols import Agent


def loss(agent: Agent) -> Tensor:
    """Reach into a part."""
    return agent.critic.q_net.weight
'''
)
PREPARES_AN_AGENT = (
    HEAD
    + '''from numpy.random import Generator
from torch import Tensor

from selectrl.protocols import Agent, Phase, TrainingRows


def prepare(agent: Agent, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
    """Take the agent from the caller."""
    return {}


PHASE = Phase(name="rl", steps=1, prepare=prepare)
'''
)


@attrs.frozen
class Violation:
    """A file that breaks one rule, or lines at the end of one of ours, and what the gate says of it."""

    gate: str
    path: str
    text: str
    says: str
    code: int = 1


VIOLATIONS = {
    "a text for a number": Violation("types", "nets/planted.py", HEAD + 'width: int = "wide"\n', "nets/planted.py:5"),
    "a function without types": Violation(
        "types", "nets/planted.py", HEAD + "def double(x):\n    return 2 * x\n", "is missing a type annotation"
    ),
    "a part that misses the protocol": Violation(
        "types",
        "planted.py",
        registration('ENCODERS.add("planted", PlantedConfig, Half)'),
        'has incompatible type "type[Half]"; expected "Callable[[PlantedConfig, Spec], ContextEncoder[Any]]"',
    ),
    "a part with the config of another": Violation(
        "types",
        "planted.py",
        registration('ENCODERS.add("planted", PlantedConfig, BlindEncoder)'),
        'Argument 3 to "add" of "Registry" has incompatible type "type[BlindEncoder]"',
    ),
    "a part that is built from less": Violation(
        "types",
        "planted.py",
        registration('ENCODERS.add("planted", PlantedConfig, Narrow)'),
        'has incompatible type "type[Narrow]"; expected "Callable[[PlantedConfig, Spec], ContextEncoder[Any]]"',
    ),
    "a loss that reads a network of the critic": Violation(
        "types", "planted.py", READS_A_NETWORK, 'no attribute "q_net"'
    ),
    "a phase that prepares with another's encoder": Violation(
        "types", "planted.py", PREPARES_AN_AGENT, 'Argument "prepare" to "Phase" has incompatible type'
    ),
    "a collector registered as an encoder": Violation(
        "types",
        "planted.py",
        registration('ENCODERS.add("planted", OnlineConfig, OnlineCollector)'),
        'has incompatible type "type[OnlineCollector]"; expected "Callable[[OnlineConfig, Spec], ContextEncoder[Any]]"',
    ),
    "an encoder registered as an actor": Violation(
        "types",
        "planted.py",
        registration('ACTORS.add("planted", PlantedConfig, Whole)'),
        'has incompatible type "type[Whole]"; expected "Callable[[PlantedConfig, Spec, int], ActorLoss]"',
    ),
    "a collector with the config of another": Violation(
        "types",
        "planted.py",
        registration('COLLECTORS.add("planted", ProximalConfig, OnlineCollector)'),
        'Argument 3 to "add" of "Registry" has incompatible type "type[OnlineCollector]"',
    ),
    **{
        f"{path} imports {module}": Violation("layers", path, HEAD + f"import {module}  # noqa: F401\n", "BROKEN")
        for path, module in [
            ("encoders/planted.py", "selectrl.critics.configs"),
            ("critics/planted.py", "selectrl.actors.configs"),
            ("collectors/planted.py", "selectrl.encoders.sets.focal"),
            ("trainer/planted.py", "selectrl.evaluate.harness"),
            ("trainer/planted.py", "selectrl.encoders.sets.csro"),
            ("evaluate/planted.py", "selectrl.trainer.engine"),
            ("data/planted.py", "selectrl.experiment.config"),
            ("data/planted.py", "selectrl.nets.mlp"),
            ("functional/planted.py", "selectrl.protocols"),
            ("experiment/planted.py", "selectrl.gin_edge"),
            ("report/pages/planted.py", "selectrl.behaviour.config"),
            ("report/figures/planted.py", "selectrl.report.pages.table"),
            ("report/analysis/planted.py", "selectrl.report.figures.style"),
            ("behaviour/planted.py", "selectrl.cli.screen"),
            ("envs/planted.py", "torch"),
            ("encoders/planted.py", "gin"),
            ("trainer/planted.py", "gin"),
            ("experiment/planted.py", "gin"),
            ("report/pages/planted.py", "gin"),
            ("cli/planted.py", "gin"),
            ("functional/planted.py", "gin"),
        ]
    },
    "protocols.py imports gin": Violation("layers", "protocols.py", "\nimport gin  # noqa\n", "BROKEN"),
    "a module that no layer names": Violation(
        "layers", "planted.py", HEAD + "import selectrl.encoders.sets.configs  # noqa: F401\n", "planted"
    ),
    "an unused import": Violation("lint", "nets/planted.py", HEAD + "import os\n", "F401"),
    "a print": Violation("lint", "nets/planted.py", HEAD + 'print("here")\n', "T201"),
    **{
        line: Violation("lint", "nets/planted.py", HEAD + line.replace("; ", "\n\n") + "\n", says)
        for line, says in {
            "import pickle; pickle.loads(b'')": "S301",
            "import pickle": "TID251",
            "from pickle import Unpickler": "TID251",
            "import marshal; marshal.loads(b'')": "S302",
            "import shelve": "TID251",
            "import joblib": "TID251",
            "import yaml; yaml.load('')": "S506",
            "import torch; torch.load('weights.pt')": "TID251",
            "import torch; torch.hub.load('a', 'b')": "TID251",
            "from torch import load": "TID251",
            "import numpy as np; np.load('a.npy', allow_pickle=True)": "TID251",
            "eval('1')": "S307",
            "exec('x = 1')": "S102",
            "import os; os.system('true')": "S605",
        }.items()
    },
    "an undocumented function": Violation(
        "lint", "nets/planted.py", HEAD + "def double(x: int) -> int:\n    return 2 * x\n", "D103"
    ),
    "a line too long": Violation("lint", "nets/planted.py", HEAD + f"# {120 * 'x'}\n", "E501"),
    "a crooked line": Violation("format", "nets/planted.py", HEAD + "x = [1,2 ,  3]\n", "1 file would be reformatted"),
    "a function without a word": Violation(
        "docs", "nets/planted.py", HEAD + "def double(x: int) -> int:\n    return 2 * x\n", ""
    ),
    "a class without a word": Violation("docs", "nets/planted.py", HEAD + "class Thing:\n    pass\n", ""),
    "a module without a word": Violation("docs", "nets/planted.py", "x = 1\n", ""),
}


Check = Callable[[str], tuple[int, str]]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the gates read."""
    folder = tmp_path_factory.mktemp("tree")
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("selectrl", "gin", "tools", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def check(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Run a gate on the copy; returns its exit code and all that it said."""
    cache = tmp_path_factory.mktemp("caches") / "mypy"
    if (ROOT / ".mypy_cache").is_dir():  # warm, if somebody has run mypy here before
        shutil.copytree(ROOT / ".mypy_cache", cache, ignore_dangling_symlinks=True)

    def check(gate: str) -> tuple[int, str]:
        program, *arguments = GATES[gate]
        extra = ["--cache-dir", str(cache)] if gate == "types" else []
        done = subprocess.run(
            [str(BIN / program), *arguments, *extra],
            cwd=tree,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return check


def test_a_part_that_fits_is_registered(tree: Path, check: Check) -> None:
    path = tree / "selectrl" / "planted.py"
    path.write_text(registration('ENCODERS.add("planted", PlantedConfig, Whole)'))
    try:
        code, said = check("types")
    finally:
        path.unlink()
    assert code == 0, said


@pytest.mark.parametrize("gate", GATES)
def test_is_green(gate: str, check: Check) -> None:
    code, said = check(gate)
    assert code == 0, said


@pytest.mark.parametrize("name", VIOLATIONS)
def test_is_red_once_violated(name: str, tree: Path, check: Check) -> None:
    planted = VIOLATIONS[name]
    path = tree / "selectrl" / planted.path
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + planted.text)
    try:
        code, said = check(planted.gate)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert code == planted.code, f"the gate is green:\n{said}"
    assert planted.says in said


def test_these_are_the_commands_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in GATES.values():
        assert f"\t$(BIN)/{' '.join(command)}\n" in makefile


def test_every_gate_has_a_violation() -> None:
    assert {planted.gate for planted in VIOLATIONS.values()} == set(GATES)
