"""One record of each kind, and the file that it is written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selectrl.runs.diagnostics import DiagnosticsRecord, DonorPair, DonorSwap
from selectrl.runs.evaluation import EvaluationRecord, TestedState
from selectrl.runs.execution import DatasetRecord, ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.fairness import ComparedRow, FairnessCheck, FairnessDifference, FairnessRecord

CODE: dict[str, Any] = {
    "versions": {"selectrl": "0.1.0", "python": "3.11.7"},
    "plugins": {"theirs": "1.0"},
    "sources": {"encoders.theirs": "ab"},
}
EXPERIMENT = ExperimentRecord(
    name="select",
    seed=2**63 - 1,
    key="0123456789abcdef",
    experiment={
        "env": {"part": "envs.point_robot", "tasks": 40},
        "collector": {"part": "collectors.proximal", "sigma": 0.2, "clip": None},
        "train": {"part": "train", "steps": 30},
    },
)
EXECUTION = ExecutionRecord(
    **CODE,
    threads=1,
    device="cpu",
    engine="eager",
    population=1,
    dataset=DatasetRecord(name="tiny", fingerprint="f" * 64, keep_warmup=0),
    notes=("the data were made with mujoco 3",),
    phases={"vae": 5, "rl": 30},
    command="selectrl train --name 'a b'",
    wall_seconds=1.25,
    peak_rss_mib=700.0,
)
EVALUATION = EvaluationRecord(
    label="proximal",
    env="point_robot",
    collector={"part": "collectors.proximal", "sigma": 0.2},
    train_step=30,
    checkpoint=TestedState(step=35, digest="d" * 32),
    seed=0,
    key=EXPERIMENT.key,
    protocol="equal_budget",
    budget=20,
    block=20,
    repeats=2,
    prior="zero",
    test_seed=0,
    tasks=(2, 6),
    context_steps=(0, 20),
    returns=(((-3.0, -2.0), (-3.5, -2.5)), ((-4.0, -1.0), (-4.5, -1.5))),
    final_return=-1.75,
    interval=(-2.0, -1.5),
    context_free=-3.75,
    curve=(-3.75, -1.75),
    area=-2.75,
    return_per_task=(-2.25, -1.25),
    return_per_repeat=(-1.5, -2.0),
    env_steps={"collection": 20, "scored": 40},
    **CODE,
)
DIAGNOSTICS = DiagnosticsRecord(
    train_step=30,
    checkpoint=TestedState(step=35, digest="d" * 32),
    donor_swap=DonorSwap(pairs=(DonorPair(task=2, donor=6, follow=None),), follow=0.5),
    dataset="f" * 64,
    **CODE,
)
FAIRNESS = FairnessRecord(
    same={"data.name": "tiny"},
    differs=(FairnessDifference(what="actor", values={"select": "actors.weighted_bc", "focal": None}),),
    checks=(FairnessCheck(what="the same data", ok=True, detail="fingerprints f"),),
    rows={"select": ComparedRow(policy="select-01", collector={"part": "collectors.prior"}, test={"seed": 0})},
)

RECORDS: dict[str, Any] = {
    "experiment.json": EXPERIMENT,
    "execution.json": EXECUTION,
    "evaluations/proximal.json": EVALUATION,
    "diagnostics.json": DIAGNOSTICS,
    "fairness.json": FAIRNESS,
}


def write(folder: Path, name: str) -> Path:
    """Write a record as its own kind does, and return its file."""
    RECORDS[name].write(folder)
    return folder / name
