"""A run: training fills its directory, and meta-tests of what was trained are kept below it."""

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
from selectrl.experiment.labels import label_of
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
from selectrl.runs.identity import difference, identity_of, is_wanted, refuse_to_replace
from selectrl.runs.layout import DIAGNOSTICS, EVALUATIONS, EXPERIMENT, arrays_file, evaluation_file
from selectrl.runs.reading import JsonObject
from selectrl.tensor_files import write_tensors
from selectrl.trainer.agent import Agent

LATEST = sys.maxsize  # a training step after all others


class Run(RunFolder):
    """One run: its agent, its training data and its meta-tests, kept in its directory; see :class:`RunFolder`."""

    @property
    def collector_name(self) -> str:
        """The registered name of the run's own collector."""
        return registered_name(self.experiment.collector)

    def store(self, tasks: tuple[int, ...], device: str = "cpu") -> RowStore:
        """Load the rows of some tasks."""
        terminals = self.experiment.data.terminals
        return RowStore(self.dataset, tasks, terminals=terminals, reward_of=self.family.reward, device=device)

    def refuse_changed_part(self) -> None:
        """Refuse to use the trained weights with other source code of a part than they were trained with.

        Raises:
            InputError: the source code of an outside part has changed since the run began.
        """
        otherwise = "give --force to use its weights with today's code"
        refuse_changed_part(self.folder, ExecutionRecord.read_if_there(self.folder), self.experiment, otherwise)

    def agent(self, *, force: bool = False) -> tuple[Agent, int]:
        """Return the trained agent and the rl step of its checkpoint.

        Args:
            force: use the weights also with other source code of a part than they were trained with.

        Raises:
            UnreadableError: a checkpoint cannot be read.
            InputError: there is no sound checkpoint, it is of another experiment, or the source code of a part has
                changed.
        """
        agent, saved = self._agent(force)
        return agent, saved["train_step"]

    def _agent(self, force: bool) -> tuple[Agent, JsonObject]:
        """Return the trained agent, and what evaluations record of its checkpoint."""
        if not force:
            self.refuse_changed_part()
        found = checkpoint.newest(self.folder)
        if found is None:
            raise InputError(f"{self.folder} holds no sound checkpoint; train it first")
        own = ExperimentRecord.read(self.folder)
        if any(found.record.get(name, value) != value for name, value in (("key", own.key), ("seed", own.seed))):
            raise InputError(
                f"the newest checkpoint in {self.folder} is of another experiment or seed than its {EXPERIMENT}; "
                "train it again in another folder"
            )
        agent = build_agent(self.experiment, self.family.spec, self.seed)
        agent.load({n.removeprefix("agent/"): v for n, v in found.state.items() if n.startswith("agent/")})
        step = found.step - (found.total - self.experiment.train.steps)
        saved = TestedState(step=found.step, digest=checkpoint.digest(found.state, ""))
        return agent, {"train_step": step, "checkpoint": saved}

    @property
    def begun_as(self) -> Experiment:
        """The experiment of the run's record, whose collector and test labels are relative to."""
        return read_experiment(self.folder)[0]

    def identity(self, collector: CollectorConfig, test: TestConfig) -> JsonObject:
        """Return what makes a meta-test of this run the one that it is, see :func:`identity_of`."""
        reads = bool(COLLECTORS.build(collector).offline) or test.prior != "zero"
        found = source_fingerprints(*trained_parts(self.experiment), collector)
        fingerprint = self.dataset.fingerprint if reads else None
        return identity_of(to_record(collector), to_record(test), fingerprint, found)

    def refuse_label(self, label: str, collector: CollectorConfig, test: TestConfig, step: int = LATEST) -> None:
        """Refuse a label that is that of another meta-test of this run.

        Args:
            label: what the result would be called.
            collector: how context is gathered.
            test: budget, repeats, prior and seed.
            step: the training step that it would be of.

        Raises:
            InputError: an evaluation of this label is of another collector, test, dataset or source code, is of a later
                step, or cannot be read; or the run's own tests have this label, or have it on the run's own data.
        """
        own, wanted = self.begun_as, self.identity(collector, test)
        execution = ExecutionRecord.read_if_there(self.folder)
        trained_on = execution.dataset.fingerprint if execution else None
        is_of_own_label = label == label_of(collector, test, own)
        if trained_on is not None and is_of_own_label and difference(wanted, {"dataset": trained_on}):
            raise InputError(
                f"the label {label!r} is that of a meta-test on the data that {self.folder} was trained on "
                f"(fingerprint {trained_on[:12]}), not on those in {self.data_folder}; choose another --label"
            )
        for own_collector in (own.collector, OfflineConfig()):
            is_own = (collector, test) == (own_collector, own.test)
            if label == label_of(own_collector, own.test, own) and not is_own:
                raise InputError(f"the label {label!r} is that of the run's own tests; choose another --label")
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
            label: what the result is called; default: the collector's name, and what differs from the run's own test.
            collector: how context is gathered; default: the run's own.
            test: budget, repeats, prior and seed; default: the run's own.
            force: test also with other source code of a part than the run was trained with; the record names today's.

        Returns:
            The record that was written.

        Raises:
            InputError: the run has no sound checkpoint, the source code of a part has changed, the label is that of
                another meta-test or of a later training step, or the folder cannot be written to, was renamed or
                removed.
        """
        with hold(self.folder):
            return self._evaluate(label, collector, test, force)

    def _evaluate(
        self, label: str | None, collector: CollectorConfig | None, test: TestConfig | None, force: bool
    ) -> EvaluationRecord:
        warn_of_drift(self.data_folder)
        collector, test = collector or self.experiment.collector, test or self.experiment.test
        label = label or label_of(collector, test, self.begun_as)
        agent, saved = self._agent(force)
        folder = self.folder / EVALUATIONS
        with wait_and_lock(folder):  # refused before the work: a label in use, a folder that cannot be locked
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
    def diagnosed(self) -> bool:
        """Whether the diagnostics of the whole training lie there already."""
        record = DiagnosticsRecord.read_if_sound(self.folder)
        return is_wanted(record, self.experiment.train.steps, self._diagnosis)

    @property
    def _diagnosis(self) -> JsonObject:
        """Data and source code that identify diagnostics."""
        return {"dataset": self.dataset.fingerprint, "sources": source_fingerprints(*trained_parts(self.experiment))}

    def diagnose(self, *, force: bool = False) -> DiagnosticsRecord:
        """Write what the newest checkpoint's encoder makes of stored context, of training and of test tasks.

        ``diagnostics.safetensors`` holds ``train_latents`` and ``test_latents`` float32 (task, draw, latent), each the
        belief after a budget of stored episodes, and ``train_parameters`` and ``test_parameters`` float64 (task,
        parameter); ``diagnostics.json`` the donor swap, null where no reward function of transitions
        tells the tasks apart.

        Args:
            force: use the weights also with other source code of a part than they were trained with.

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
        sets = {"train": self.train_tasks, "test": self.test_tasks}
        stores = {name: self.store(tasks) for name, tasks in sets.items()}
        arrays: dict[str, Array] = {}
        with torch_threads(self.execution.threads):
            for name, tasks in sets.items():
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
        self, agent: Agent, collector: CollectorConfig, test: TestConfig, watch: Watch | None = None
    ) -> TestResult:
        """Meta-test an agent on the unseen tasks; ``watch`` sees every step.

        Raises:
            InputError: a published protocol is to be watched, whose worlds do not move in lockstep.
        """
        prior, meta_test = self.prior(agent, test), self.build_test(agent, collector, test)
        if isinstance(meta_test, MetaTest):
            return meta_test.run(prior, watch)
        if watch:
            raise InputError("test.protocol='paper' cannot be watched; leave it at 'equal_budget'")
        return meta_test.run(prior)

    def build_test(
        self, agent: Agent, collector: CollectorConfig, test: TestConfig
    ) -> MetaTest[Any] | PublishedTest[Any]:
        """Return a meta-test of an agent, which may run as often as wanted while the agent learns."""
        built, tasks = COLLECTORS.build(collector), self.test_tasks
        parts = agent.encoder, agent.policy, self.family, built, test
        stored, threads = self.store(tasks) if built.offline else None, self.execution.threads
        if test.protocol == "equal_budget":
            return MetaTest(*parts, tasks=tasks, stored=stored, threads=threads)
        protocol = published(built.offline or registered_name(collector))
        return PublishedTest(*parts, tasks=tasks, protocol=protocol, stored=stored, threads=threads)

    def sampler(self, store: RowStore) -> Sampler:
        """Return what draws the batches of a training on these rows."""
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

    def prior(self, agent: Agent, test: TestConfig) -> Tensor | None:
        """Return the mean of the training tasks' beliefs (latent,), if the test asks for it."""
        if test.prior == "zero":
            return None
        return centroid(agent.encoder, self.store(self.train_tasks), test)
