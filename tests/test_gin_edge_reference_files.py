"""Published values in the shipped gin files: the reference presets bind them, and their absence changes no record."""

from __future__ import annotations

import re
from typing import Any

import pytest

from selectrl.errors import FieldError
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.config import Experiment, to_record
from selectrl.gin_edge import build_experiment, experiment_layers, shipped
from selectrl.registry import FAMILIES
from selectrl.trainer.config import TrainConfig

#: The authors' files of hyper-parameters, by environment.
CSRO_FILES = {
    "point_robot": "point-robot.json",
    "half_cheetah_vel": "cheetah-vel.json",
    "ant_goal": "ant-goal.json",
    "humanoid_dir": "humanoid-dir.json",
    "hopper_rand_params": "hopper_rand_params.json",
    "walker_rand_params": "walker_rand_params.json",
}


def build(method: str, env: str = "point_robot") -> Experiment:
    return build_experiment(experiment_layers(method=method, env=env), method)


@pytest.mark.parametrize(("method", "updates"), [("borel_reference", 1000), ("corro_reference", 200)])
def test_reference_presets_draw_tasks_as_the_authors_do(method: str, updates: int) -> None:
    train = build(method).train
    assert (train.replacement, train.hold_tasks) == (True, updates)


def test_borels_reference_starts_its_decoders_and_orders_its_updates_as_the_authors_do() -> None:
    experiment: Any = build("borel_reference")
    assert experiment.encoder.decoder_init == "torch"
    rl = build_phases(experiment, build_agent(experiment, FAMILIES.build(experiment.env).spec, 0))[-1]
    assert [objective.name for objective in rl.objectives] == [
        "policy",
        "critic",
    ]  # the actor reads Q before its update


@pytest.mark.parametrize("method", sorted(set(shipped("methods")) - {"borel_reference", "corro_reference"}))
def test_other_methods_keep_the_records_that_they_had(method: str) -> None:
    record = to_record(build(method))
    assert "hold_tasks" not in record["train"]
    assert "decoder_init" not in record["encoder"]
    assert record["train"]["replacement"] is False


def test_a_meta_batch_is_kept_for_one_step_or_more() -> None:
    with pytest.raises(FieldError, match="hold_tasks"):
        TrainConfig(hold_tasks=0)


@pytest.mark.parametrize(("env", "file"), CSRO_FILES.items())
def test_an_environments_header_names_the_authors_file_and_what_deviates(env: str, file: str) -> None:
    header = shipped("envs")[env].read_text(encoding="utf-8").partition("\n\n")[0]
    assert re.findall(r"[\w-]+\.json", header) == [file]
    repeats = build("csro", env).test.repeats
    assert f"tested {repeats} times, not 2" in header.replace("\n# ", " ")


@pytest.mark.parametrize("method", ["csro", "focal"])
def test_a_header_says_which_ends_stop_the_bootstrap(method: str) -> None:
    assert build(method).data.terminals == "true"
    assert 'data.terminals = "paper"' in shipped("methods")[method].read_text(encoding="utf-8").partition("\n\n")[0]
