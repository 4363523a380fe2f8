"""A run: its trained agent, its meta-tests and its diagnostics, in its directory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from torch import Tensor

from selectrl.arrays import Array
from selectrl.collectors.configs import OfflineConfig
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.diagnose import DRAWS, donor_swap, offline_latents
from selectrl.evaluate.harness import MetaTest, TestResult, Watch
from selectrl.evaluate.published import PublishedTest
from selectrl.evaluate.schedules import published
from selectrl.evaluate.stored import centroid
from selectrl.experiment.build import build_agent
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.drift import warn_of_drift
from selectrl.experiment.labels import make_label
from selectrl.experiment.provenance import describe_code, refuse_changed_part, source_fingerprints, trained_parts
from selectrl.experiment.records import evaluation_record
from selectrl.experiment.run_folder import RunFolder
from selectrl.experiment.stored import read_experiment
from selectrl.experiment.torch_settings import torch_threads
from selectrl.locks import hold, wait_and_lock
from selectrl.protocols import CollectorConfig
from selectrl.registry import COLLECTORS, registered_name
from selectrl.runs import checkpoint
from selectrl.runs.diagnostics import DiagnosticsRecord, DonorSwap
from selectrl.runs.evaluation import EvaluationRecord, TestedState
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.identity import find_difference, identity_of, is_wanted, refuse_to_replace
from selectrl.runs.layout import DIAGNOSTICS, EVALUATIONS, EXPERIMENT, arrays_file, evaluation_file
from selectrl.runs.reading import JsonObject
from selectrl.tensor_files import write_tensors
from selectrl.trainer.agent import AgentModule

LATEST = sys.maxsize  # a training step after all others


class Run(RunFolder):
    """One run: its agent, its training data and its meta-tests, in its directory; see :class:`RunFolder`."""

    @property
    def collector_name(self) -> str:
        """The registered name of the run's own collector."""
        return registered_name(self.experiment.collector)

    def store(self, tasks: tuple[int, ...], device: str = "cpu") -> RowStore:
        """Load the rows of some tasks."""
        terminals = self.experiment.data.terminals
        return RowStore(self.dataset, tasks, terminals=terminals, reward_of=self.family.reward, device=device)

    def refuse_changed_part(self) -> None:
        """Refuse to use the trained weights if the source code of a part has changed since the training.

        Raises:
            InputError: the source code of an outside part has changed since the run began.
        """
        otherwise = "give --force to use its weights with the current code"
        refuse_changed_part(self.folder, ExecutionRecord.read_if_there(self.folder), self.experiment, otherwise)

    def agent(self, *, force: bool = False) -> tuple[AgentModule, int]:
        """Return the trained agent and the rl step of its checkpoint.

        Args:
            force: use the weights even if the source code of a part has changed since the training.

        Raises:
            UnreadableError: a checkpoint cannot be read.
            InputError: there is no sound checkpoint, it is of another experiment, or the source code of a part has
                changed.
        """
        agent, saved = self._agent(force)
        return agent, saved["train_step"]

    def _agent(self, force: bool) -> tuple[AgentModule, JsonObject]:
        """Return the trained agent, and the facts of its checkpoint for evaluations."""
        if not force:
            self.refuse_changed_part()
        newest = checkpoint.read_newest(self.folder)
        if newest is None:
            raise InputError(f"{self.folder} has no sound checkpoint; train it first")
        own = ExperimentRecord.read(self.folder)
        if any(newest.record.get(name, value) != value for name, value in (("key", own.key), ("seed", own.seed))):
            raise InputError(
                f"the newest checkpoint in {self.folder} is of another experiment or seed than its {EXPERIMENT}; "
                "train it again in another folder"
            )
        agent = build_agent(self.experiment, self.family.spec, self.seed)
        agent.load({n.removeprefix("agent/"): v for n, v in newest.state.items() if n.startswith("agent/")})
        step = newest.step - (newest.total - self.experiment.train.steps)
        saved = TestedState(step=newest.step, digest=checkpoint.digest(newest.state, ""))
        return agent, {"train_step": step, "checkpoint": saved}

    @property
    def first_experiment(self) -> Experiment:
        """The experiment of the run's record; labels are relative to its collector and test."""
        return read_experiment(self.folder)[0]

    def identity(self, collector: CollectorConfig, test: TestConfig) -> JsonObject:
        """Return the identity of a meta-test of this run, see :func:`identity_of`."""
        reads_data = bool(COLLECTORS.build(collector).offline) or test.prior != "zero"
        sources = source_fingerprints(*trained_parts(self.experiment), collector)
        fingerprint = self.dataset.fingerprint if reads_data else None
        return identity_of(self.experiment.key, to_record(collector), to_record(test), fingerprint, sources)

    def refuse_label(self, label: str, collector: CollectorConfig, test: TestConfig, step: int = LATEST) -> None:
        """Refuse a label that belongs to another meta-test of this run.

        Args:
            label: label of the new result.
            collector: collector of the context.
            test: budget, repeats, prior and seed.
            step: training step of the new result.

        Raises:
            InputError: an evaluation of this label has another collector, test, dataset or source code or a later step,
                or cannot be read; or the label belongs to the run's own tests, or to them on the run's own data.
        """
        own, wanted = self.first_experiment, self.identity(collector, test)
        execution = ExecutionRecord.read_if_there(self.folder)
        trained_on = execution.dataset.fingerprint if execution else None
        is_own_label = label == make_label(collector, test, own)
        if trained_on is not None and is_own_label and find_difference(wanted, {"dataset": trained_on}):
            raise InputError(
                f"the label {label!r} belongs to a meta-test on the training data of {self.folder} "
                f"(fingerprint {trained_on[:12]}), not on the data in {self.data_folder}; choose another --label"
            )
        for own_collector in (own.collector, OfflineConfig()):
            is_own = (collector, test) == (own_collector, own.test)
            if label == make_label(own_collector, own.test, own) and not is_own:
                raise InputError(f"the label {label!r} belongs to the run's own tests; choose another --label")
        remedy = f"choose another --label, or move that file out of {self.folder.name}"
        record = EvaluationRecord.read_if_sound(self.folder, label)
        refuse_to_replace(evaluation_file(self.folder, label), record, wanted, step, remedy)

    def evaluate(
        self,
        label: str | None = None,
        collector: CollectorConfig | None = None,
        test: TestConfig | None = None,
        *,
        force: bool = False,
    ) -> EvaluationRecord:
        """Meta-test the newest checkpoint and write the result below the run.

        Args:
            label: label of the result; default: the collector's name and the differences from the run's own test.
            collector: collector of the context; default: the run's own.
            test: budget, repeats, prior and seed; default: the run's own.
            force: test even if the source code of a part has changed since the training; the record names the current.

        Returns:
            The record that was written.

        Raises:
            InputError: the run has no sound checkpoint, the source code of a part has changed, the label belongs to
                another meta-test or to a later training step, or the folder cannot be written to, was renamed or
                removed.
        """
        with hold(self.folder):
            return self._evaluate(label, collector, test, force)

    def _evaluate(
        self, label: str | None, collector: CollectorConfig | None, test: TestConfig | None, force: bool
    ) -> EvaluationRecord:
        warn_of_drift(self.data_folder)
        collector, test = collector or self.experiment.collector, test or self.experiment.test
        label = label or make_label(collector, test, self.first_experiment)
        agent, saved = self._agent(force)
        folder = self.folder / EVALUATIONS
        with wait_and_lock(folder):  # refuse a used label or a locked folder before the work
            self.refuse_label(label, collector, test, saved["train_step"])
        with torch_threads(self.execution.threads):
            result = self.meta_test(agent, collector, test)
        record = evaluation_record(
            result,
            test,
            self.family.spec.horizon,
            label=label,
            env=self.experiment.env_name,
            collector=to_record(collector),
            **saved,
            seed=self.seed,
            key=self.experiment.key,
            dataset=self.identity(collector, test)["dataset"],
            **describe_code(*trained_parts(self.experiment), collector),
        )
        traces: dict[str, Array] = {
            "explored": result.explored,
            "scored": result.scored,
            "latents": result.latents,
            "parameters": np.asarray(self.family.parameters[list(result.tasks)], np.float64),
        }
        with wait_and_lock(folder):  # another process may have written this label since
            self.refuse_label(label, collector, test, saved["train_step"])
            write_tensors(arrays_file(evaluation_file(self.folder, label)), traces)
            record.write(self.folder)
        return record

    @property
    def is_diagnosed(self) -> bool:
        """Whether there are diagnostics of the complete training."""
        record = DiagnosticsRecord.read_if_sound(self.folder)
        return is_wanted(record, self.experiment.train.steps, self._diagnosis)

    @property
    def _diagnosis(self) -> JsonObject:
        """Data and source code that identify diagnostics."""
        return {"dataset": self.dataset.fingerprint, "sources": source_fingerprints(*trained_parts(self.experiment))}

    def diagnose(self, *, force: bool = False) -> DiagnosticsRecord:
        """Write the latents of stored context of training and test tasks, by the newest checkpoint's encoder.

        ``diagnostics.safetensors`` holds ``train_latents`` and ``test_latents`` float32 (task, draw, latent), each the
        belief after a budget of stored episodes, and ``train_parameters`` and ``test_parameters`` float64 (task,
        parameter); ``diagnostics.json`` holds the donor swap, null where the tasks do not differ in a
        reward function of transitions.

        Args:
            force: use the weights even if the source code of a part has changed since the training.

        Returns:
            The record that was written.

        Raises:
            InputError: the run has no sound checkpoint, the source code of a part has changed, the dataset is missing,
                there are diagnostics of other data or of a later training step, or the folder cannot be written to,
                was renamed or removed.
        """
        with hold(self.folder):
            return self._diagnose(force)

    def _diagnose(self, force: bool) -> DiagnosticsRecord:
        agent, saved = self._agent(force)
        self._refuse_diagnosis(saved["train_step"])
        test, encoder = self.experiment.test, agent.encoder
        task_sets = {"train": self.train_tasks, "test": self.test_tasks}
        stores = {name: self.store(tasks) for name, tasks in task_sets.items()}
        arrays: dict[str, Array] = {}
        with torch_threads(self.execution.threads):
            for name, tasks in task_sets.items():
                arrays[f"{name}_latents"] = offline_latents(encoder, stores[name], test, DRAWS)
                arrays[f"{name}_parameters"] = np.asarray(self.family.parameters[list(tasks)], np.float64)
            swap = donor_swap(encoder, stores["test"], test, DRAWS) if self.family.reward else None
        record = DiagnosticsRecord(
            **saved,
            donor_swap=DonorSwap.from_json(swap) if swap else None,
            dataset=self.dataset.fingerprint,
            **describe_code(*trained_parts(self.experiment)),
        )
        with wait_and_lock(self.folder / EVALUATIONS):  # another process may have written them since
            self._refuse_diagnosis(saved["train_step"])
            write_tensors(arrays_file(self.folder / DIAGNOSTICS), arrays)
            record.write(self.folder)
        return record

    def _refuse_diagnosis(self, step: int) -> None:
        """Refuse to replace diagnostics of other data or source code, or of a later training step."""
        record, remedy = DiagnosticsRecord.read_if_sound(self.folder), f"move that file out of {self.folder.name}"
        remedy += ", or leave --diagnose out"
        refuse_to_replace(self.folder / DIAGNOSTICS, record, self._diagnosis, step, remedy)

    def meta_test(
        self, agent: AgentModule, collector: CollectorConfig, test: TestConfig, watch: Watch | None = None
    ) -> TestResult:
        """Meta-test an agent on the unseen tasks; ``watch`` sees every step.

        Raises:
            InputError: ``watch`` is given for a published protocol, whose worlds do not step together.
        """
        prior, meta_test = self.prior(agent, test), self.build_test(agent, collector, test)
        if isinstance(meta_test, MetaTest):
            return meta_test.run(prior, watch)
        if watch:
            raise InputError("test.protocol='paper' cannot be watched; leave it at 'equal_budget'")
        return meta_test.run(prior)

    def build_test(
        self, agent: AgentModule, collector: CollectorConfig, test: TestConfig
    ) -> MetaTest[Any] | PublishedTest[Any]:
        """Return a meta-test of an agent, which may run repeatedly while the agent learns."""
        built, tasks = COLLECTORS.build(collector), self.test_tasks
        parts = agent.encoder, agent.policy, self.family, built, test
        stored, threads = self.store(tasks) if built.offline else None, self.execution.threads
        if test.protocol == "equal_budget":
            return MetaTest(*parts, tasks=tasks, stored=stored, threads=threads)
        protocol = published(built.offline or registered_name(collector))
        return PublishedTest(*parts, tasks=tasks, protocol=protocol, stored=stored, threads=threads)

    def sampler(self, store: RowStore) -> Sampler:
        """Return the sampler of training batches from these rows."""
        train = self.experiment.train
        sizes = {"rl": train.batch, "context": train.context}
        return Sampler(
            store,
            meta_batch=train.meta_batch,
            replacement=train.replacement,
            sizes=sizes,
            seed=self.seed,
            hold={"rl": train.hold_tasks},
        )

    def prior(self, agent: AgentModule, test: TestConfig) -> Tensor | None:
        """Return the mean of the training tasks' beliefs (latent,), if the test uses it as prior."""
        if test.prior == "zero":
            return None
        return centroid(agent.encoder, self.store(self.train_tasks), test)
