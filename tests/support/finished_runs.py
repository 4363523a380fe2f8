"""Run directories as finished runs leave them, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selectrl.collectors.configs import OfflineConfig
from selectrl.experiment.config import to_record
from selectrl.experiment.labels import make_label
from selectrl.launch.job import Job
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import DatasetRecord, ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.identity import settings_of

FINGERPRINT = "f" * 64


def write_finished(job: Job, value: float = -1.0, *, fingerprint: str = FINGERPRINT, step: int | None = None) -> None:
    """Write the records of a finished run."""
    experiment, record = job.experiment, to_record(job.experiment)
    ExperimentRecord(name=experiment.name, seed=job.seed, key=experiment.key, experiment=record).write(job.folder)
    write_execution(job.folder, fingerprint=fingerprint)
    for collector, test in job.meta_tests:
        evaluated(job, collector, test, value, fingerprint, step).write(job.folder)


def write_execution(folder: Path, *, fingerprint: str = FINGERPRINT, **changes: Any) -> ExecutionRecord:
    """Write the record of a training, and return it."""
    record = ExecutionRecord(
        **{
            **{"versions": {}, "plugins": {}, "sources": {}, "threads": 1, "device": "cpu", "engine": "eager"},
            **{"population": 1, "notes": (), "phases": {"rl": 40}, "command": "", "wall_seconds": 1.0},
            **{"dataset": DatasetRecord(name="tiny", fingerprint=fingerprint, keep_warmup=0), "peak_rss_mib": 1.0},
            **changes,
        }
    )
    record.write(folder)
    return record


def evaluated(
    job: Job, collector: Any, test: Any, value: float, fingerprint: str, step: int | None = None
) -> EvaluationRecord:
    """A meta-test of two tasks and one point."""
    settings = settings_of(to_record(test))
    return EvaluationRecord(
        label=make_label(collector, test, job.experiment),
        env=job.experiment.env_name,
        collector=to_record(collector),
        train_step=job.experiment.train.steps if step is None else step,
        seed=job.seed,
        key=job.experiment.key,
        block=20,
        tasks=(2, 6),
        context_steps=(0,),
        returns=tuple(((value,),) * test.repeats for _ in range(2)),
        final_return=value,
        interval=(value, value),
        context_free=value,
        curve=(value,),
        area=value,
        return_per_task=(value, value),
        return_per_repeat=(value,) * test.repeats,
        env_steps={},
        dataset=fingerprint if isinstance(collector, OfflineConfig) else None,
        sources={},
        **settings,
    )
