from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from selectrl.experiment.config import config_classes, to_record
from selectrl.report import build_report

TASKS = tuple(range(2, 40, 4))
TRAIN = tuple(task for task in range(40) if task not in TASKS)
HORIZON, BUDGET = 20, 400
CONTEXT = tuple(range(0, BUDGET + 1, HORIZON))
ANGLES = np.linspace(0, np.pi, 40)
ALL_GOALS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (task, 2)
GOALS = ALL_GOALS[list(TASKS)]
UNKNOWING = np.array([0.05, 0.62])


class Robot:
    """A point robot that believes in a goal which context moves from the middle of all to the true one."""

    def __init__(self, skill: float, noise: float, wander: float, rng: np.random.Generator) -> None:
        self.skill, self.noise, self.wander, self.rng = skill, noise, wander, rng

    def belief(self, steps: int) -> np.ndarray:
        share = self.skill * (1 - np.exp(-steps / 90))
        spread = 0.04 * self.rng.normal(size=GOALS.shape) if steps else 0.0
        return (1 - share) * UNKNOWING + share * GOALS + spread

    def episode(self, target: np.ndarray, noise: float, wander: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return (task, time+1, 2) positions and (task,) returns."""
        place = np.zeros_like(target)
        path, total = [place], np.zeros(len(target))
        for _ in range(HORIZON):
            action = np.clip((target - place) / 0.1, -1, 1)
            random = self.rng.uniform(-1, 1, size=place.shape)
            jitter = np.clip(noise * self.rng.normal(size=place.shape), -2.5 * noise, 2.5 * noise)
            place = place + 0.1 * np.clip((random if wander else action) + jitter, -1, 1)
            total -= np.linalg.norm(place - GOALS, axis=1)
            path.append(place)
        return np.stack(path, axis=1), total


def embedded(goals: np.ndarray) -> np.ndarray:
    """Return latents that know a goal, (…, 2) -> (…, 5)."""
    x, y = goals[..., 0], goals[..., 1]
    return np.stack([x, 2 * y, x * y, 0.1 * x, 0.2 - y], axis=-1)


def write_diagnostics(folder: Path, follow: float, rng: np.random.Generator) -> None:
    """Write what an encoder makes of stored data: three draws a task, near the truth."""
    goals = {"train": ALL_GOALS[list(TRAIN)], "test": GOALS}
    arrays = {f"{part}_parameters": some.astype(np.float32) for part, some in goals.items()}
    for part, some in goals.items():
        drawn = some[:, None] + 0.03 * rng.normal(size=(len(some), 3, 2))
        arrays[f"{part}_latents"] = embedded(drawn).astype(np.float32)
    save_file(arrays, folder / "diagnostics.safetensors")
    swap = {"pairs": [{"task": 2, "donor": 6, "follow": follow}], "follow": follow}
    (folder / "diagnostics.json").write_text(json.dumps({"schema": 1, "train_step": 9000, "donor_swap": swap}))


def evaluation(robot: Robot, label: str, repeats: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    returns = np.zeros((len(TASKS), repeats, len(CONTEXT)))
    latents = np.zeros((*returns.shape, 5))
    scored, explored = [], []
    for point, steps in enumerate(CONTEXT):
        for repeat in range(repeats):
            belief = robot.belief(steps)
            path, total = robot.episode(belief, 0.0)
            latents[:, repeat, point] = embedded(belief)
            returns[:, repeat, point] = total
            if repeat == 0:
                scored.append(path)
        if steps < BUDGET:
            explored.append(robot.episode(robot.belief(steps), robot.noise, float(steps < robot.wander * BUDGET))[0])
    arrays = {"scored": np.stack(scored, axis=1), "parameters": GOALS, "latents": latents}
    if label != "offline":
        arrays["explored"] = np.stack(explored, axis=1)
    record = {
        "schema": 1,
        "label": label,
        "env": "point_robot",
        "seed": 0,
        "protocol": "equal_budget",
        "prior": "zero",
        "budget": BUDGET,
        "block": HORIZON,
        "repeats": repeats,
        "test_seed": 0,
        "tasks": list(TASKS),
        "train_step": 9000,
        "context_steps": list(CONTEXT),
        "returns": returns.tolist(),
        "return": returns[..., -1].mean(),
        "interval": [0.0, 0.0],
        "context_free": returns[..., 0].mean(),
        "curve": returns.mean((0, 1)).tolist(),
        "area": 0.0,
        "return_per_task": returns[..., -1].mean(1).tolist(),
        "return_per_repeat": returns[..., -1].mean(0).tolist(),
        "env_steps": {
            "collection": BUDGET,
            "scored": HORIZON * len(CONTEXT),
        },
    }
    return record, {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


COLLECTORS: dict[str, dict[str, Any]] = {
    "proximal": {"part": "collectors.proximal", "sigma": 0.2, "clip": None},
    "non_prior": {"part": "collectors.non_prior", "random_share": 0.5},
    "prior": {"part": "collectors.prior"},
    "offline": {"part": "collectors.offline"},
}


def write_run(
    root: Path,
    method: str,
    seed: int,
    *,
    skill: float = 0.9,
    env: str = "point_robot",
    own: str = "proximal",
    labels: tuple[str, ...] = ("proximal",),
    repeats: int = 3,
    steps: int = 9000,
    execution: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
    folder_name: str = "",
    follow: float | None = None,
) -> Path:
    """Write one finished run directory and return it."""
    folder = root / env / (folder_name or method) / f"seed{seed}"
    (folder / "evaluations").mkdir(parents=True)
    rng = np.random.default_rng([seed, *method.encode()])
    skill = skill + 0.02 * rng.normal()
    experiment = {
        "encoder": encoder or {"part": "encoders.csro", "latent_dim": 20, "hidden": [64, 64], "optim": {"lr": 3e-4}},
        "critic": {"part": "critics.advantage", "gamma": 0.9},
        "actor": {"part": "actors.weighted_bc", "alpha": 2.5},
        "collector": COLLECTORS[own],
        "env": to_record(config_classes()[f"envs.{env}"]()),
        "data": {"name": "laptop", "terminals": "true"},
        "train": {"steps": steps, "meta_batch": 16},
        "test": {"protocol": "equal_budget", "repeats": repeats},
    }
    record = {"schema": 1, "name": method, "seed": seed, "key": f"{seed:04x}", "experiment": experiment}
    (folder / "experiment.json").write_text(json.dumps(record))
    (folder / "execution.json").write_text(
        json.dumps(
            execution
            or {
                "versions": {"selectrl": "0.1.0", "torch": "2.13.0", "python": "3.11.2"},
                "threads": 1,
                "device": "cpu",
                "engine": "eager",
                "population": 1,
                "dataset": {
                    "fingerprint": "5f3a9bd0c1e2a4",
                    "name": "laptop",
                    "keep_warmup": 50,
                },
                "notes": [],
                "phases": {"rl": steps},
                "wall_seconds": 412.5 + 20 * seed,
                "peak_rss_mib": 700 + 100 * seed,
                "command": f"selectrl train --method {method} --env {env} --seeds 2",
            }
        )
    )
    lines: list[dict[str, Any]] = []
    for step in range(0, steps + 1, 500):
        value = -15.2 + (1 - np.exp(-step / 2200)) * (10.5 * skill) + 0.35 * rng.normal()
        values = {"critic/td": 0.5, "critic/q": -200 + step / 100}
        about = {"phase": "rl", "phase_steps": steps, "steps_per_second": 24.0 + seed}
        lines.append({"kind": "train", "step": step, "values": values, **about})
        curve = {"return": value, "context_free": -14.0, "context_steps": [0, BUDGET], "curve": [-14.0, value]}
        lines.append({"kind": "test", "step": step, "collector": own, **curve})
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    for label in labels:
        bonus = {"offline": 0.06, "non_prior": -0.12, "prior": -0.3}.get(label, 0.0)
        robot = Robot(skill + bonus, 0.2, 0.5 if label == "non_prior" else 0.0, np.random.default_rng([seed, 1]))
        test, arrays = evaluation(robot, label, repeats)
        test |= {"collector": COLLECTORS[label], "env": env, "seed": seed, "train_step": steps}
        (folder / "evaluations" / f"{label}.json").write_text(json.dumps(test))
        save_file(arrays, folder / "evaluations" / f"{label}.safetensors")
    if follow is not None:
        write_diagnostics(folder, follow, rng)
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return write_run


@pytest.fixture(scope="session")
def two_methods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, two seeds each: one that adapts, one that hardly does."""
    root = tmp_path_factory.mktemp("two") / "runs"
    for seed in (0, 1):
        write_run(root, "select", seed, labels=("proximal", "non_prior", "offline"), follow=0.1 + 0.2 * seed)
        write_run(root, "focal", seed, skill=0.35, own="prior", labels=("prior",))
    same, differs = {"data": "laptop"}, [{"what": "actor", "values": {"select": "weighted_bc", "focal": "brac"}}]
    checks = [{"what": "one dataset", "ok": True, "detail": "5f3a"}, {"what": "one budget", "ok": False, "detail": ""}]
    record = {"same": same, "differs": differs, "checks": checks}
    (root / "point_robot" / "fairness.json").write_text(json.dumps(record))
    return root


@pytest.fixture(scope="session")
def built(two_methods: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the two methods."""
    out = tmp_path_factory.mktemp("report")
    assert build_report([two_methods], out).page == out / "index.html"
    return out
