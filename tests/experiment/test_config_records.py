"""The Experiment as JSON: it alone rebuilds a run, and its key stands for what trained weights depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selectrl.collectors.configs import OnlineConfig
from selectrl.critics.configs import TwinQVConfig
from selectrl.encoders.sets.configs import FocalConfig
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import (
    Experiment,
    config_classes,
    experiment_from_record,
    from_record,
    to_record,
)
from selectrl.gin_edge import build_experiment, experiment_layers


def build(*bindings: str, name: str = "select") -> Experiment:
    return build_experiment(experiment_layers(method="select", env="point_robot", settings=bindings), name)


@pytest.fixture
def record() -> dict[str, Any]:
    return json.loads(json.dumps(to_record(build())))


class TestKey:
    @pytest.mark.parametrize(
        "binding",
        [
            "experiment.name=other",
            "collectors.proximal.sigma=0.5",
            "experiment.collector=@collectors.online()",
            "test.budget=80",
            "test.repeats=1",
            "test.prior=centroid",
            "test.seed=3",
        ],
    )
    def test_leaves_out_name_collector_and_test(self, binding: str) -> None:
        assert build(binding).key == build().key

    @pytest.mark.parametrize(
        "binding",
        [
            "train.steps=5",
            "train.order=['club']",
            "train.test_every=7",
            "data.name=other",
            "data.terminals=paper",
            "data.split=tuning",
            "train.hold_tasks=200",
            "envs.point_robot.step_size=0.2",
            "encoders.csro.lr=1e-4",
            "encoders.csro.next_obs=True",
            "weights.binary.threshold=0.1",
            "experiment.actor=@actors.brac()",
            "critics.dual_target.value=@values.min_target_q()",
        ],
    )
    def test_knows_all_that_weights_depend_on(self, binding: str) -> None:
        assert build(binding).key != build().key

    @pytest.mark.parametrize(
        ("path", "one", "other"),
        [
            ("critics.dual_target.reward_scale", "100", "100.0"),
            ("critics.dual_target.reward_scale", "100", "1e2"),
            ("encoders.csro.club_weight", "7", "7.0"),
            ("weights.binary.threshold", "0", "0.0"),
            ("encoders.csro.lr", "0.001", "1e-3"),
        ],
    )
    def test_does_not_depend_on_how_a_number_is_written(self, path: str, one: str, other: str) -> None:
        assert build(f"{path}={one}").key == build(f"{path}={other}").key
        assert to_record(build(f"{path}={one}")) == to_record(build(f"{path}={other}"))
        assert json.dumps(to_record(build(f"{path}={one}"))) == json.dumps(to_record(build(f"{path}={other}")))

    def test_is_sixteen_digits_that_do_not_change_between_versions(self) -> None:
        key = build().key
        assert len(key) == 16
        assert int(key, 16) >= 0
        assert key == build().key

    def test_of_recorded_runs_stays_though_fields_were_added(self, records: Path) -> None:
        """Every shipped run's record gives its recorded key, and is written again as it stands."""
        paths = sorted(records.rglob("experiment.json"))
        assert paths
        for path in paths:
            record = json.loads(path.read_text())
            experiment = experiment_from_record(record["experiment"])
            assert experiment.key == record["key"], path
            assert to_record(experiment) == record["experiment"], path

    def test_a_float_field_that_may_be_none_is_a_float_too(self) -> None:
        record = to_record(build("collectors.proximal.clip=1"))
        assert isinstance(record["collector"]["clip"], float)


class TestRecords:
    def test_hold_plain_values_alone(self, record: dict[str, Any]) -> None:
        assert record == to_record(build())
        assert record["part"] == "experiment"
        assert record["encoder"]["part"] == "encoders.csro"

    @pytest.mark.parametrize("field", ["encoder", "train", "name", "test"])
    def test_a_missing_field_is_named(self, record: dict[str, Any], field: str) -> None:
        del record[field]
        with pytest.raises(InputError, match=f"experiment lacks the field '{field}'"):
            experiment_from_record(record)

    def test_a_missing_inner_field_is_named_with_its_place(self, record: dict[str, Any]) -> None:
        del record["actor"]["policy"]["hidden"]
        with pytest.raises(InputError, match=r"experiment\.actor\.policy: policies\.deterministic lacks .*'hidden'"):
            experiment_from_record(record)

    def test_a_field_with_a_default_is_not_guessed(self, record: dict[str, Any]) -> None:
        del record["train"]["log_every"]
        with pytest.raises(InputError, match=r"experiment\.train: train lacks the field 'log_every'"):
            experiment_from_record(record)

    def test_an_unknown_field_is_named_with_the_known_ones(self, record: dict[str, Any]) -> None:
        record["encoder"]["latent_dims"] = 5
        with pytest.raises(InputError, match=r"experiment\.encoder: .*'latent_dims'; did you mean 'latent_dim'"):
            experiment_from_record(record)

    @pytest.mark.parametrize("part", ["encoders.csroo", "", None, 5, ["encoders.csro"], {}])
    def test_an_unknown_part_is_named(self, record: dict[str, Any], part: object) -> None:
        record["encoder"]["part"] = part
        with pytest.raises(InputError, match=r"^experiment\.encoder: no part named"):
            experiment_from_record(record)

    @pytest.mark.parametrize("value", [20.0, "20", None, True, [20], {"part": "test"}, -1, 2**70])
    def test_a_wrong_value_is_refused(self, record: dict[str, Any], value: object) -> None:
        record["encoder"]["latent_dim"] = value
        with pytest.raises(InputError):
            experiment_from_record(record)

    @pytest.mark.parametrize("other", ["train", "collector", "critic"])
    def test_a_part_in_the_wrong_place_is_refused(self, record: dict[str, Any], other: str) -> None:
        record["encoder"] = record[other]
        with pytest.raises(InputError, match=r"Experiment\.encoder: expected one of @encoders\.focal"):
            experiment_from_record(record)

    @pytest.mark.parametrize("value", [None, 5, "experiment", [], [1], True, {}, {"part": "train"}])
    def test_what_is_no_experiment_is_refused(self, value: object) -> None:
        with pytest.raises(InputError):
            experiment_from_record(value)

    def test_the_record_of_another_config_is_no_experiment(self) -> None:
        assert from_record(to_record(TestConfig())) == TestConfig()
        with pytest.raises(InputError, match="expected the record of an experiment"):
            experiment_from_record(to_record(TestConfig()))

    def test_a_swapped_part_comes_back_as_itself(self) -> None:
        swapped = attrs.evolve(build(), encoder=FocalConfig(), critic=TwinQVConfig(), collector=OnlineConfig())
        assert from_record(json.loads(json.dumps(to_record(swapped)))) == swapped

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["part", "name", "steps"]) | st.text(), inner)
            ),
            max_leaves=10,
        )
    )
    def test_any_json_is_an_experiment_or_an_input_error(self, value: object) -> None:
        with pytest.raises(InputError):
            experiment_from_record(value)

    @given(data=st.data())
    def test_any_damage_to_a_record_is_harmless(self, data: st.DataObject) -> None:
        """Replace one value anywhere in a record by another: the record is refused or rebuilds what it says."""
        record = to_record(build())
        at, path = record, []
        while isinstance(at, dict):
            path.append(data.draw(st.sampled_from(sorted(at))))
            parent, at = at, at[path[-1]]
        parent[path[-1]] = data.draw(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({}),
            label=str(path),
        )
        try:
            rebuilt = experiment_from_record(record)
        except InputError:
            return
        assert experiment_from_record(json.loads(json.dumps(to_record(rebuilt)))) == rebuilt


def numeric_fields() -> list[tuple[str, str]]:
    """Return every numeric field of every config, by the config's name."""
    return [
        (name, field.name)
        for name, cls in config_classes().items()
        for field in attrs.fields(cls)
        if str(field.type).split(" ")[0] in ("int", "float")
    ]


NUMBERS = (
    st.integers() | st.integers(0, 300) | st.floats() | st.floats(0, 2) | st.integers().map(lambda n: 10 ** (n % 500))
)


class TestNumericFields:
    def test_there_are_many(self) -> None:
        assert len(numeric_fields()) > 40

    @pytest.mark.parametrize(("name", "field"), numeric_fields())
    @settings(max_examples=30)
    @given(value=NUMBERS)
    def test_any_number_builds_and_round_trips_or_is_an_input_error(self, name: str, field: str, value: float) -> None:
        cls = config_classes()[name]
        try:
            built = cls(**{field: value})
        except InputError as error:
            sentence = str(error)
        else:
            sentence = f"{cls.__name__}.{field}: taken"
            record = to_record(built)
            rebuilt = from_record(json.loads(json.dumps(record, allow_nan=False)))
            assert to_record(rebuilt) == record
            assert getattr(rebuilt, field) == pytest.approx(value, rel=1e-15, abs=0)  # ints beyond 2**53 are rounded
        assert sentence.startswith(f"{cls.__name__}.")
        assert "\n" not in sentence
