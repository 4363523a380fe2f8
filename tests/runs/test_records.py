"""Each kind of record: what is written is what is read, and what is forged is refused by file and field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from run_records import EVALUATION, EXPERIMENT, RECORDS, write

from selectrl.errors import DamageWarning, InputError, RecordError, UnreadableError
from selectrl.json_text import add_seal, remove_seal
from selectrl.runs.diagnostics import DiagnosticsRecord
from selectrl.runs.evaluation import EvaluationRecord, RunFacts
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.fairness import FairnessRecord, fairness_file
from selectrl.runs.layout import arrays_file, evaluation_file

UNSEALED = ("execution.json", "fairness.json")


def edit(file: Path, **changes: Any) -> None:
    """Change fields of a record as a hand does that knows of the seal."""
    record = remove_seal(json.loads(file.read_text())) | changes
    file.write_text(json.dumps(record if file.name in UNSEALED else add_seal(record)))


@pytest.mark.parametrize("name", RECORDS)
class TestEveryKind:
    def test_what_is_written_is_read(self, tmp_path: Path, name: str) -> None:
        record = RECORDS[name]
        assert type(record).read_file(write(tmp_path, name)) == record

    def test_the_order_of_names_is_that_of_the_fields_and_the_seal_is_last(self, tmp_path: Path, name: str) -> None:
        names = list(json.loads(write(tmp_path, name).read_text()))
        assert names == [*RECORDS[name].to_json(), *([] if name in UNSEALED else ["seal"])]

    def test_a_changed_value_breaks_the_seal(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        if name in UNSEALED:
            pytest.skip("it has none: an export shortens paths in it, and a comparison writes it again")
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record | {"schema": 1, next(iter(set(record) - {"schema", "seal"})): 7}))
        with pytest.raises(InputError, match="its seal does not fit"):
            type(RECORDS[name]).read_file(file)

    @pytest.mark.parametrize("text", ["", "{", "null", "5", "[]", "{}", "\0\1", "[" * 100_000, '{"a": 1e999}'])
    def test_damage_names_the_file(self, tmp_path: Path, name: str, text: str) -> None:
        file = write(tmp_path, name)
        file.write_text(text)
        with pytest.raises(InputError) as caught:
            type(RECORDS[name]).read_file(file)
        assert str(file) in str(caught.value)
        assert not isinstance(caught.value, UnreadableError)
        with pytest.warns(DamageWarning, match="it counts as missing"):
            assert type(RECORDS[name]).read_file_if_sound(file) is None

    def test_every_field_is_checked(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        for field in json.loads(file.read_text()).keys() - {"seal"}:
            write(tmp_path, name)
            edit(file, **{field: ["no", object.__name__, 1.5]})
            with pytest.raises(InputError) as caught:
                type(RECORDS[name]).read_file(file)
            assert str(caught.value).startswith(f"{file}: {field}: ")

    def test_a_missing_field_is_named_unless_older_records_lack_it(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        later = {"schema", "checkpoint", "dataset", "versions", "plugins", "sources", "rows"}
        if name.startswith("evaluations/"):
            later |= {"key"}
        if name == "execution.json":
            later -= {"dataset", "versions"}
        for field in json.loads(file.read_text()).keys() - {"seal"}:
            write(tmp_path, name)
            record = remove_seal(json.loads(file.read_text()))
            del record[field]
            file.write_text(json.dumps(record))
            if field in later:
                type(RECORDS[name]).read_file(file)
                continue
            with pytest.raises(RecordError, match=f"{field}: it is missing; restore it or make it again"):
                type(RECORDS[name]).read_file(file)

    def test_what_a_later_version_adds_is_passed_over(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        edit(file, added={"later": 1})
        assert type(RECORDS[name]).read_file(file) == RECORDS[name]

    def test_another_schema_is_not_read_and_not_taken_for_damage(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        if "schema" not in json.loads(file.read_text()):
            pytest.skip("it has none")
        edit(file, schema=2)
        for read in (type(RECORDS[name]).read_file, type(RECORDS[name]).read_file_if_sound):
            with pytest.raises(UnreadableError, match="schema: expected 1, got 2 of another selectrl"):
                read(file)

    def test_what_the_system_does_not_let_read_is_neither_absent_nor_damaged(self, tmp_path: Path, name: str) -> None:
        kind, file = type(RECORDS[name]), tmp_path / name
        assert kind.read_file_if_there(file) is None
        assert kind.read_file_if_sound(file) is None
        file.parent.mkdir(exist_ok=True)
        os.mkfifo(file)
        for read in (kind.read_file, kind.read_file_if_there, kind.read_file_if_sound):
            with pytest.raises(UnreadableError, match="it is a pipe"):
                read(file)
        with pytest.raises(UnreadableError):
            RECORDS[name].write(tmp_path)

    def test_control_characters_do_not_come_through(self, tmp_path: Path, name: str) -> None:
        file = write(tmp_path, name)
        record = remove_seal(json.loads(file.read_text()))
        field = next(key for key, value in record.items() if isinstance(value, str)) if name != "fairness.json" else ""
        if not field:
            pytest.skip("its texts are inside")
        edit(file, **{field: "equal\x1b[2Jbudget"})
        try:
            found = type(RECORDS[name]).read_file(file).to_json()[field]
        except RecordError as error:
            found = str(error)
        assert "\x1b" not in found


def test_shipped_records_are_read_and_written_bit_for_bit(records: Path, tmp_path: Path) -> None:
    """Evaluations of the time before data were recorded gain their null."""
    kinds: dict[str, Any] = {
        "experiment.json": ExperimentRecord,
        "execution.json": ExecutionRecord,
        "diagnostics.json": DiagnosticsRecord,
        "evaluations/*.json": EvaluationRecord,
    }
    for pattern, kind in kinds.items():
        files = sorted(records.rglob(pattern))
        assert files
        for file in files:
            record = kind.read_file(file)
            expected = remove_seal(json.loads(file.read_text()))
            found = record.to_json()
            is_older = kind is EvaluationRecord and "dataset" not in expected
            assert json.dumps(found) == json.dumps(expected | ({"dataset": None} if is_older else {})), file
            if not is_older:
                record.write_file(tmp_path / "again.json", seal=kind is not ExecutionRecord)
                assert (tmp_path / "again.json").read_bytes() == file.read_bytes(), file


class TestExperiment:
    def test_a_folder_without_a_run_is_refused_with_what_to_give(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"contains no run \(no experiment.json\); give a run directory"):
            ExperimentRecord.read(tmp_path)

    @pytest.mark.parametrize(
        ("part", "value", "reason"),
        [
            (
                "env",
                {"part": "envs./etc/x"},
                "experiment: env: expected the name of a part, got {'part'",
            ),
            ("env", None, "experiment: env: expected the name of a part, got None"),
            ("collector", {"part": 5.5}, "experiment: collector: expected the name of a part"),
            ("train", {"steps": -1}, "experiment: train: expected steps as a whole number from 0, got -1"),
            ("train", {"steps": True}, "experiment: train: expected steps as a whole number from 0, got True"),
            ("train", [], "experiment: train: expected steps as a whole number from 0, got None"),
        ],
    )
    def test_bindings_that_every_reader_needs_are_checked(
        self, tmp_path: Path, part: str, value: Any, reason: str
    ) -> None:
        file = write(tmp_path, "experiment.json")
        bindings = json.loads(file.read_text())["experiment"]
        edit(file, experiment=bindings | {part: value})
        with pytest.raises(RecordError) as caught:
            ExperimentRecord.read(tmp_path)
        assert reason in str(caught.value)


class TestExecution:
    def test_of_a_run_that_was_never_trained_is_absent(self, tmp_path: Path) -> None:
        assert ExecutionRecord.read_if_there(tmp_path) is None
        with pytest.raises(InputError, match="No such file"):
            ExecutionRecord.read(tmp_path)

    def test_counts_steps_before_the_rl_phase(self) -> None:
        assert RECORDS["execution.json"].pretraining == 5

    def test_no_threads_are_refused(self, tmp_path: Path) -> None:
        edit(write(tmp_path, "execution.json"), threads=0)
        with pytest.raises(RecordError, match=r"execution\.json: threads: expected a whole number from 1, got 0"):
            ExecutionRecord.read(tmp_path)

    def test_a_field_inside_a_field_is_named(self, tmp_path: Path) -> None:
        file = write(tmp_path, "execution.json")
        edit(file, dataset={"name": "tiny", "fingerprint": 5, "keep_warmup": 0})
        with pytest.raises(RecordError, match="dataset: fingerprint: expected text, got 5"):
            ExecutionRecord.read(tmp_path)


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "task twice": ({"tasks": [2, 2]}, "tasks: a task is tested twice"),
    "task by name": ({"tasks": ["2", "6"]}, "tasks: expected a whole number from 0, got '2'"),
    "task before all": ({"tasks": [-1, 6]}, "tasks: expected a whole number from 0, got -1"),
    "context": ({"context_steps": [0, 40]}, "context_steps: they end at 40, beyond the budget of 20"),
    "context order": ({"context_steps": [20, 0]}, "context_steps: they do not increase"),
    "repeats": ({"repeats": 3}, "returns: they are not of 2 tasks, 3 repeats and 2 points"),
    "no returns": ({"returns": []}, "returns: they are not of 2 tasks, 2 repeats and 2 points"),
    "no tasks": ({"tasks": [], "returns": []}, "returns: they are not of 0 tasks"),
    "ragged": ({"returns": [[[1, 2], [3]], [[1, 2], [3, 4]]]}, "returns: they are not of 2 tasks"),
    "a hole": ({"returns": [[[1, 2], [3, None]], [[1, 2], [3, 4]]]}, "returns: expected a finite number, got None"),
    "protocol": ({"protocol": "../paper"}, "protocol: '../paper' is not the name of a protocol"),
    "interval": ({"interval": [1.0]}, "interval: expected a list of 2, got [1.0]"),
    "step": ({"train_step": True}, "train_step: expected a whole number from 0, got True"),
    "checkpoint": ({"checkpoint": {"step": 1}}, "checkpoint: digest: it is missing"),
}


class TestEvaluation:
    @pytest.mark.parametrize("forgery", FORGED)
    def test_fields_that_do_not_fit_each_other_are_refused(self, tmp_path: Path, forgery: str) -> None:
        changes, reason = FORGED[forgery]
        edit(write(tmp_path, "evaluations/proximal.json"), **changes)
        with pytest.raises(RecordError) as caught:
            EvaluationRecord.read(tmp_path, "proximal")
        assert reason in str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({}, None),
            ({"tasks": None}, None),
            ({"env": "ant_goal"}, "env: evaluated on point_robot, but the run is one of ant_goal"),
            ({"seed": 3}, "seed: it is 0, but that of the run is 3"),
            ({"key": "other"}, f"key: the test is of the experiment {EXPERIMENT.key}, but that of the run is other"),
            ({"steps": 40}, "train_step: half-finished, evaluated at step 30 of 40"),
            ({"steps": 20}, "train_step: 30 is beyond the run's 20 steps"),
            ({"tasks": frozenset({2, 7})}, "tasks: task 6 is not a test task of the run, which are 2, 7"),
            ({"tasks": frozenset(range(100, 200))}, "which are 100, 101, 102, 103, 104, 105, 106, 107, …, 199"),
        ],
    )
    def test_is_held_against_its_run(self, changes: dict[str, Any], reason: str | None) -> None:
        facts: dict[str, Any] = {
            "env": "point_robot",
            "seed": 0,
            "key": EXPERIMENT.key,
            "steps": 30,
            "tasks": frozenset({2, 6, 10}),
        }
        run = RunFacts(**(facts | changes))
        if reason is None:
            EVALUATION.check_run(Path("a.json"), run)
            return
        with pytest.raises(RecordError) as caught:
            EVALUATION.check_run(Path("a.json"), run)
        assert str(caught.value).startswith("a.json: ")
        assert reason in str(caught.value)

    def test_a_published_schedule_records_more(self) -> None:
        about: dict[str, Any] = {"quirks": ["a"], "gate": 0, "return_all_episodes": -1.0}
        about |= {"scored_episodes": [[1, 1], [1, 1]], "context_of_last": [[20, 20], [20, 20]]}
        record = EVALUATION.to_json() | {"protocol": "paper"} | about
        assert EvaluationRecord.from_json(record).to_json().items() >= about.items()
        assert not EVALUATION.to_json().keys() & about.keys()

    def test_files(self, tmp_path: Path) -> None:
        file = evaluation_file(tmp_path, "a.b")
        assert file == tmp_path / "evaluations" / "a.b.json"
        assert arrays_file(file) == tmp_path / "evaluations" / "a.b.safetensors"


def test_fairness_is_found_next_to_a_run_or_to_its_seeds(tmp_path: Path) -> None:
    run = tmp_path / "point_robot" / "select" / "seed0"
    run.mkdir(parents=True)
    assert fairness_file(run) is None
    write(run.parents[1], "fairness.json")
    file = fairness_file(run)
    assert file == run.parents[1] / "fairness.json"
    write(run.parent, "fairness.json")
    assert fairness_file(run) == run.parent / "fairness.json"
    assert isinstance(FairnessRecord.read_file(run.parent / "fairness.json").rows["select"].policy, str)
