"""The shipped ablations: each builds over the methods that it names, and refuses where it would change nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from selectrl import compose
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, experiment_from_record, to_record
from selectrl.gin_edge import shipped
from selectrl.registry import REGISTRIES, tag

FILES = {name: path.read_text(encoding="utf-8") for name, path in shipped("ablations").items()}
METHODS = tuple(shipped("methods"))
CONSTRAINTS = ("brac", "td3_bc", "unconstrained")


def methods(name: str) -> tuple[str, ...]:
    """The methods that the file's header names."""
    found = re.search(r"Applies to: ([^.]+)\.", FILES[name].partition("\n\n")[0].replace("\n# ", " "))
    assert found, f"the header of {name}.gin does not name its methods"
    return METHODS if found[1] == "every method" else tuple(found[1].split(", "))


CASES = [(name, method) for name in FILES for method in methods(name)]
BASE = {method: compose(method, "point_robot", profile="laptop") for method in METHODS}


def over(method: str, name: str, *settings: str) -> Experiment:
    return compose(method, "point_robot", profile="laptop", ablation=name, settings=settings)


def differs(one: Any, other: Any) -> set[str]:
    """The slots in which two experiments differ."""
    a, b = to_record(one), to_record(other)
    return {slot for slot in a if a[slot] != b[slot]}


@pytest.mark.parametrize(("name", "method"), CASES)
def test_each_builds_over_its_methods_and_its_json_alone_rebuilds_it(name: str, method: str) -> None:
    experiment = over(method, name)
    again = experiment_from_record(json.loads(json.dumps(to_record(experiment), allow_nan=False)))
    assert again == experiment
    assert experiment.name == f"{method}-{name}"


@pytest.mark.parametrize(("name", "method"), [(n, m) for n, m in CASES if n.startswith("collect_")])
def test_a_collection_is_tried_on_the_policy_that_the_method_trains(name: str, method: str) -> None:
    experiment = over(method, name)
    assert experiment.key == BASE[method].key
    assert differs(experiment, BASE[method]) <= {"name", "collector"}
    assert str(tag(experiment.collector)) == f"collectors.{name.removeprefix('collect_')}"


@pytest.mark.parametrize(("name", "method"), [(n, m) for n, m in CASES if not n.startswith("collect_")])
def test_every_other_one_changes_what_is_trained_in_one_place(name: str, method: str) -> None:
    slot = {"weight": "actor", "value": "critic", "aggregate": "encoder", "no": "encoder"}.get(
        name.partition("_")[0], "actor"
    )
    experiment = over(method, name)
    if experiment.actor != BASE[method].actor or name not in CONSTRAINTS:  # a method may have this constraint already
        assert differs(experiment, BASE[method]) == {"name", slot}
        assert experiment.key != BASE[method].key


def test_weights_and_aggregations_are_those_of_the_names() -> None:
    """The constant weight is both plain cloning and none."""
    for name in (name for name in FILES if name.startswith("weight_")):
        actor: Any = over("select", name).actor
        assert tag(actor.weight) == f"weights.{name.removeprefix('weight_')}"
    for name in (name for name in FILES if name.startswith("aggregate_")):
        encoder: Any = over("select", name).encoder
        assert tag(encoder.aggregation) == f"aggregations.{name.removeprefix('aggregate_')}"
    assert [over("select", name).actor.weight.value for name in ("td3_bc", "unconstrained")] == [1.0, 0.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in FILES if methods(name) != METHODS])
def test_over_a_method_that_lacks_the_part_it_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"^ablations/{name}\.gin:\d+: .* is bound but nothing uses it"):
        over("focal", name)


def test_the_users_settings_lie_over_it() -> None:
    assert over("select", "weight_exp", "weights.exp.clip=5.0").actor.weight.clip == 5.0  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"ablations/weight_exp\.gin:\d+: actors\.weighted_bc\.weight is bound but"):
        over("select", "weight_exp", "experiment.actor=@actors.sac()")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no ablation named 'td3_cb': did you mean 'td3_bc'"):
        over("select", "td3_cb")


@pytest.mark.parametrize("kind", ["encoder", "critic", "actor"])
def test_a_part_that_is_swapped_in_is_as_large_as_the_profile_says(kind: str) -> None:
    """BOReL's filter and decoders and CORRO's generator have widths of their own; nothing else has."""
    own = {"gru_hidden", "decoder_hidden", "latent_dim"}

    def widths(part: Any) -> Iterator[tuple[str, Any]]:
        for field in attrs.fields(type(part)):
            value = getattr(part, field.name)
            if attrs.has(type(value)):
                yield from () if field.name == "negatives" else widths(value)
            elif field.name.endswith("hidden"):
                yield field.name, value

    (registry,) = (one for one in REGISTRIES if one.kind == f"{kind}s")
    for entry in registry:
        settings = [f"experiment.{kind} = @{registry.kind}.{entry.name}()"]
        part = getattr(compose("csro", "half_cheetah_vel", profile="small", settings=settings), kind)
        skipped = own if entry.name == "borel" else {"latent_dim"}
        assert {value for name, value in widths(part) if name not in skipped} <= {(128, 128, 128)}, entry.name
        if entry.name == "corro":
            assert (part.negatives.steps, part.negatives.hidden) == (3000, (64,))
