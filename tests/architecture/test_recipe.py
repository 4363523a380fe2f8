"""One more part costs what CONTRIBUTING.md says: a copy with one more of each kind, by its recipe, stays green."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import selectrl.experiment.config  # noqa: F401  all rooms register their parts
from selectrl.registry import REGISTRIES

ROOT = Path(__file__).parents[2]
HEAD = '"""Added by the recipe."""\n\nfrom __future__ import annotations\n\n'
PAPER = "SELECT, AAMAS 2025"


@attrs.frozen(kw_only=True)
class Recipe:
    """The edits that add a part: its class, its config, its registration, its test, and a gin file where it needs one.

    Attributes:
        kind: the registry.
        room: the folder of the room that registers it.
        part: module and class, below the package.
        module: the text of that module.
        config: the folder of the ``configs.py`` that gets its config.
        fields: the lines of the config below its docstring.
        base: the config's base class.
        tested: the file of its test; a part with objectives has its oracle there.
        test: the text of that file.
        gin: a gin file and its text.
    """

    kind: str
    room: str
    part: tuple[str, str]
    module: str
    config: str
    fields: str = ""
    base: str = ""
    tested: str
    test: str
    gin: tuple[str, str] | None = None

    @property
    def config_name(self) -> str:
        """The class of the config."""
        return f"Toy{self.kind.capitalize()}Config"

    def carry_out(self, tree: Path) -> set[str]:
        """Add the part to a tree; returns the files that were written or changed."""
        module, name = self.part
        package = tree / "selectrl"
        path = package / f"{module.replace('.', '/')}.py"
        path.write_text(HEAD + self.module)
        configs = package / self.config / "configs.py"
        body = self.fields or f'    """The config of a toy of the kind {self.kind}."""\n'
        base = f"({self.base})" if self.base else ""
        text = f"\n\n@attrs.frozen(kw_only=True)\nclass {self.config_name}{base}:\n{body}"
        configs.write_text(configs.read_text() + text)
        registration = package / self.room / "__init__.py"
        text = registration.read_text()
        source = f"selectrl.{self.config.replace('/', '.')}.configs"
        text = text.replace("\nif TYPE_CHECKING:\n", f"\nif TYPE_CHECKING:\n    from selectrl.{module} import {name}\n")
        text = text.replace("\nelse:\n", f'\nelse:\n    {name} = Deferred("selectrl.{module}:{name}")\n')
        text = text.replace(
            "from selectrl.registry", f"from {source} import {self.config_name}\nfrom selectrl.registry"
        )
        registry = "FAMILIES" if self.kind == "envs" else self.kind.upper()
        text += f'{registry}.add("toy", {self.config_name}, {name}, paper="{PAPER}", summary="a toy")\n'
        registration.write_text(text)
        test = tree / "tests" / self.tested
        test.write_text(HEAD + self.test)
        files = {path, configs, registration, test}
        if self.gin:
            files.add(tree / "gin" / self.gin[0])
            (tree / "gin" / self.gin[0]).write_text(self.gin[1])
        return {file.relative_to(tree).as_posix() for file in files}


ENCODER = '''
from selectrl.encoders.sets.configs import ToyEncodersConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.protocols import Agent, Objective
from selectrl.structs import Batch, Losses


class ToyEncoder(SetEncoder[ToyEncodersConfig]):
    """Keeps the task variables short."""

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the squared length of z, a mean over tasks."""
        length = batch.latent.z.square().sum(-1).mean()
        return Losses(self.config.weight * length, {"length": length})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objective."""
        return (Objective(name="encoder", loss=self.loss, moves=self.optims),)
'''

CRITIC = '''
from torch import Tensor

from selectrl.critics.configs import ToyCriticsConfig
from selectrl.critics.qv import QVNetworks
from selectrl.functional.values import twin_td_loss
from selectrl.protocols import Agent, Objective, Optim, Policy, Track
from selectrl.structs import Batch, Losses


class ToyCritic(QVNetworks[ToyCriticsConfig]):
    """Twin Q and V on one target, that of V's copy."""

    def v(self, obs: Tensor, z: Tensor, policy: Policy) -> Tensor:
        """Return V(s, z), (task, batch)."""
        return self.v_net(obs, z)

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The TD loss of both Q, and V's."""
        rl, z = batch.draws["rl"], batch.latent.z
        target = self.backup(rl, agent.target(self.v_net)(rl.next_obs, batch.latent.z_next))
        td = twin_td_loss(self.q(rl.obs, rl.action, z), target)
        value = (self.v_net(rl.obs, z.detach()) - target).square().mean()
        return Losses(td + value, {"td": td, "value": value})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective."""
        optims = Optim(lr=self.config.q_lr), Optim(lr=self.config.v_lr)
        moves = dict(zip(("critic.q_net", "critic.v_net"), optims, strict=True))
        return (Objective(name="critic", loss=self.loss, moves=moves, draws=(self.rows,)),)

    def tracks(self) -> tuple[Track, ...]:
        """Return the target V."""
        return (Track(source="critic.v_net", tau=self.config.tau),)
'''

ACTOR = '''
from selectrl.actors.configs import ToyActorsConfig
from selectrl.actors.soft import SoftActor
from selectrl.protocols import Agent, Objective, Optim
from selectrl.structs import Batch, Losses


class ToyActor(SoftActor[ToyActorsConfig]):
    """The soft actor under another name."""

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The policy's loss."""
        return Losses(self.soft_loss(agent, batch, self.sample(agent, batch)), {})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the policy's objective."""
        moves = {"policy": Optim(lr=self.config.lr)}
        return (Objective(name="policy", loss=self.loss, moves=moves, draws=(self.rows,), noise=(self.noise,)),)
'''

COLLECTOR = '''
from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import ToyCollectorsConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class ToyCollector(PolicyCollector[ToyCollectorsConfig]):
    """Acts on half of the policy's mode."""

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return half of the policy's mode, (world, action)."""
        return policy.mode(obs, z) / 2
'''

VALUE = '''
from torch import Tensor

from selectrl.critics.configs import ToyValuesConfig
from selectrl.critics.values import SingleValue, TargetQ
from selectrl.protocols import Agent
from selectrl.structs import Batch


class ToyValue(SingleValue[ToyValuesConfig]):
    """V on a fraction of the critic's own y."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return y / 2, (task, batch)."""
        return td_target / 2
'''

WEIGHT = '''
from torch import Tensor

from selectrl.actors.configs import ToyWeightsConfig


class ToyWeight:
    """Half of every action."""

    def __init__(self, config: ToyWeightsConfig) -> None:
        self.config = config

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return ½, shaped as the advantage."""
        return advantage.new_full(advantage.shape, 0.5)
'''

AGGREGATION = '''
import torch
from torch import Tensor

from selectrl.encoders.aggregations.configs import ToyAggregationsConfig
from selectrl.encoders.aggregations.pooling import SoftmaxAggregation


class ToyAggregation(SoftmaxAggregation):
    """A mean under equal weights."""

    def __init__(self, config: ToyAggregationsConfig, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.config = config

    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        """Return zeros, (…, 1)."""
        return torch.zeros_like(rows[..., :1])
'''

ENV = '''
from collections.abc import Sequence
from typing import Any

import numpy as np

from selectrl.envs.configs import ToyEnvsConfig
from selectrl.envs.point_robot import PointRobotWorlds, point_robot_reward
from selectrl.envs.split import interleave_tasks
from selectrl.structs import Spec


class Toy:
    """Goals on a line."""

    env_id = "toy/Toy-v0"
    arena = None

    def __init__(self, config: ToyEnvsConfig) -> None:
        self.config = config
        self.spec = Spec(obs=2, action=2, horizon=config.horizon, dynamics_vary=False)
        line = np.linspace(-1.0, 1.0, config.tasks)
        self.parameters: Any = np.stack((line, 0 * line), -1)  # (task, 2)
        self.train_tasks, self.test_tasks = interleave_tasks(config.tasks)

    def reward(self, parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
        """Return the reward of transitions."""
        return point_robot_reward(parameters, next_obs)

    def reference_returns(self, tasks: Sequence[int]) -> None:
        """Return nothing: they are not known."""

    def worlds(self, tasks: Sequence[int], render_mode: str | None = None, *, threads: int = 1) -> Any:
        """Return one world per entry of tasks."""
        family: Any = self
        return PointRobotWorlds(family, tasks, render_mode)
'''

IMPORTS = "import torch\n\nfrom selectrl import registry\n"
TESTS = {
    "encoders": """
import numpy as np

from oracles import oracle, latent, Scene
from oracles.aggregations import set_latent
from selectrl.encoders.sets.configs import ToyEncodersConfig


latent("encoders.toy")(lambda scene, held, draw: set_latent(scene, held))


@oracle("encoders.toy", "encoder")
def encoder(scene: Scene) -> float:
    assert isinstance(scene.encoder, ToyEncodersConfig)
    return scene.encoder.weight * np.mean(np.sum(scene.z(held=False) ** 2, -1))
""",
    "critics": """
import numpy as np

from oracles import oracle, Scene
from selectrl.critics.configs import ToyCriticsConfig


@oracle("critics.toy", "critic")
def critic(scene: Scene) -> float:
    rl, config = scene.draws["rl"], scene.critic
    assert isinstance(config, ToyCriticsConfig)
    bootstrap = scene.v(scene.held, rl.next_obs, scene.z_next(), "targets.critic_v_net")
    y = config.reward_scale * rl.reward + (1 - rl.terminal) * config.discount * bootstrap
    q = scene.q(scene.live, rl.obs, rl.action, scene.z(held=False))
    v = scene.v(scene.live, rl.obs, scene.z())
    return sum(np.mean((value - y) ** 2) for value in (q[0], q[1], v))
""",
    "actors": """
from oracles import oracle, Scene
from oracles.actors import soft
from selectrl.actors.configs import ToyActorsConfig


@oracle("actors.toy", "policy")
def actor(scene: Scene) -> float:
    assert isinstance(scene.actor, ToyActorsConfig)
    return soft(scene)[0]
""",
    "collectors": IMPORTS
    + """from selectrl.collectors.configs import ToyCollectorsConfig


def test_golden() -> None:
    class Ones:
        def mode(self, obs, z):
            return torch.ones(len(obs), 2)

    action = registry.COLLECTORS.build(ToyCollectorsConfig()).act(Ones(), torch.zeros(3, 1), None, None)
    assert action.tolist() == [[0.5, 0.5]] * 3
""",
    "values": IMPORTS
    + """from selectrl.critics.configs import ToyValuesConfig


def test_golden() -> None:
    value = registry.VALUES.build(ToyValuesConfig())
    assert value.target(None, None, torch.tensor([[4.0]]), None).tolist() == [[2.0]]
""",
    "weights": IMPORTS
    + """from selectrl.actors.configs import ToyWeightsConfig


def test_golden() -> None:
    assert registry.WEIGHTS.build(ToyWeightsConfig()).weigh(torch.tensor([[4.0]])).tolist() == [[0.5]]
""",
    "aggregations": IMPORTS
    + """from selectrl.encoders.aggregations.configs import ToyAggregationsConfig


def test_golden() -> None:
    pooling = registry.AGGREGATIONS.build(ToyAggregationsConfig(), 1)
    belief = pooling.pool(torch.tensor([[[1.0], [3.0]]]), torch.zeros(1, 2, 0))
    assert belief.z.tolist() == [[2.0]]
""",
    "envs": """from selectrl import registry
from selectrl.envs.configs import ToyEnvsConfig


def test_golden() -> None:
    assert registry.FAMILIES.build(ToyEnvsConfig(tasks=3)).parameters[:, 0].tolist() == [-1.0, 0.0, 1.0]
""",
}


def recipe(kind: str, module: str, name: str, text: str, config: str, **options: str) -> Recipe:
    """Return the recipe of a part; parts with objectives are tested by an oracle, all others in their room."""
    room = module.partition(".")[0]
    has_objectives = kind in ("encoders", "critics", "actors")
    tested = f"oracles/toy_{kind}.py" if has_objectives else f"{room}/test_toy_{kind}.py"
    more = {"kind": kind, "room": room, "part": (module, name), "module": text.lstrip(), "config": config}
    return Recipe(**more, tested=tested, test=TESTS[kind].lstrip(), **options)  # type: ignore[arg-type]


ENCODER_FIELDS = '''    """The config of a toy encoder.

    Attributes:
        weight: of its loss.
    """

    weight: float = attrs.field(default=2.0, validator=number(0))
'''
ENV_FIELDS = '''    """The config of a toy family.

    Attributes:
        tasks: number of goals.
        horizon: steps of an episode.
        step_size: length in each axis that an action of 1 moves the robot.
    """

    tasks: int = attrs.field(default=8, validator=integer(3, MOST_TASKS))
    horizon: int = attrs.field(default=20, validator=integer(1, MOST))
    step_size: float = attrs.field(default=0.1, validator=number(0, above=True))
'''
RECIPES = {
    one.kind: one
    for one in (
        recipe(
            "encoders",
            "encoders.sets.toy",
            "ToyEncoder",
            ENCODER,
            "encoders/sets",
            base="SetConfig",
            fields=ENCODER_FIELDS,
        ),
        recipe("critics", "critics.toy", "ToyCritic", CRITIC, "critics", base="QVConfig"),
        recipe("actors", "actors.toy", "ToyActor", ACTOR, "actors", base="SacConfig"),
        recipe("collectors", "collectors.toy", "ToyCollector", COLLECTOR, "collectors"),
        recipe("values", "critics.toy_value", "ToyValue", VALUE, "critics"),
        recipe("weights", "actors.toy_weight", "ToyWeight", WEIGHT, "actors"),
        recipe("aggregations", "encoders.aggregations.toy", "ToyAggregation", AGGREGATION, "encoders/aggregations"),
        recipe("envs", "envs.toy", "Toy", ENV, "envs", fields=ENV_FIELDS),
    )
}
#: What a part of each kind costs: its class, its config, its registration and its test; a family has its gin file, too.
COST = {kind: 5 if kind == "envs" else 4 for kind in RECIPES}
#: The tests over the whole registry, and those that count parts.
CONCERNED = [
    *("test_registry.py", "test_gin_edge.py", "test_gin_edge_ablations.py", "testing/test_registry_conforms.py"),
    *("oracles", "cli/test_cite.py", "architecture/test_layout.py", "architecture/test_tree.py"),
    "readme/test_readme.py::test_tables_are_those_of_the_registry",
    *("actors", "critics", "collectors", "encoders/test_aggregations.py", "encoders/test_toy_aggregations.py"),
    *("envs/test_toy_envs.py", "evaluate/test_all_families.py"),
    "envs/test_mujoco_worlds.py::test_every_id_has_its_family",
    "envs/test_worlds_gymnasium.py::test_every_id_is_registered_with_its_familys_horizon",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's sources, with one part more of each kind."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("selectrl", "gin", "tests", "tools", "examples", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy2(path, folder)
    text = (ROOT / "gin" / "envs" / "point_robot.gin").read_text().replace("@envs.point_robot()", "@envs.toy()")
    for part in RECIPES.values():
        gin = ("envs/toy.gin", text) if part.kind == "envs" else None
        files = attrs.evolve(part, gin=gin).carry_out(folder)
        assert len(files) == COST[part.kind], files
    program = [sys.executable, "-m", "ruff"]
    subprocess.run([*program, "check", "--quiet", "--fix", "--select", "I", "."], cwd=folder, check=True)
    subprocess.run([*program, "format", "--quiet", "."], cwd=folder, check=True)
    assert run(folder, "tools/readme.py").returncode == 0  # `make readme` fills the tables
    return folder


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, whose package is the package that is imported."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_contributing_stays_short_and_names_each_step() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert len(text.splitlines()) <= 60
    for step in (
        "configs.py",
        "__init__.py",
        "Deferred",
        "bibliography.py",
        "tests/oracles/",
        "gin/envs/",
        "test_recipe",
    ):
        assert step in text, step


def test_every_part_has_a_test_of_its_room() -> None:
    """Its config or its name occurs in a test of the room, in an oracle, or among the compositions that these share."""
    shared = [*(ROOT / "tests" / "oracles").glob("*.py"), ROOT / "tests" / "support" / "fakes.py"]
    for registry in REGISTRIES:
        for entry in registry:
            room = entry.config.__module__.split(".")[1]
            files = [*shared, *(ROOT / "tests" / room).rglob("test_*.py")]
            words = re.compile(rf"\b({entry.config.__name__}|{entry.name})\b")
            assert any(words.search(file.read_text()) for file in files), f"{registry.kind}.{entry.name} has no test"


def test_each_is_listed_with_its_summary(tree: Path) -> None:
    done = run(tree, "-m", "selectrl", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"a toy"') == len(RECIPES)


def test_all_of_them_make_an_experiment_with_the_sizes_of_the_comparison(tree: Path) -> None:
    words = ["--method", "csro", "--env", "toy", "--profile", "laptop", "--dry-run"]
    kinds = {"encoder": "encoders", "critic": "critics", "actor": "actors", "collector": "collectors"}
    settings = [f"experiment.{slot}=@{kind}.toy()" for slot, kind in kinds.items()]
    settings.append("encoders.toy.aggregation=@aggregations.toy()")
    done = run(tree, "-m", "selectrl", "train", *words, *(word for one in settings for word in ("--set", one)))
    assert done.returncode == 0, done.stderr
    assert re.search(r"encoders\.toy\.hidden = \(128, 128, 128\)", done.stdout), done.stdout
    assert re.search(r"critics\.toy\.discount = 0\.9\b", done.stdout), done.stdout


def test_types_and_layers_hold(tree: Path) -> None:
    for words in (("mypy", "--no-incremental"), ("ruff", "check", "--quiet", "."), ("interrogate", "-q", "selectrl")):
        done = run(tree, "-m", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or ""
    done = subprocess.run([program, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_tests_that_concern_parts_stay_green(tree: Path) -> None:
    large = "registry_conforms or test_objectives or test_layout or TestShippedFiles or TestAnyText"
    chosen = f"toy or Toy or oracle or not ({large})"  # of the large ones the cases that the new parts add
    paths = [f"tests/{name}" for name in CONCERNED]
    done = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *paths)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
