"""``selectrl cite`` and ``selectrl.citation``: exactly what an experiment uses, and nothing else."""

from __future__ import annotations

import json
import re

import attrs
import pytest

import selectrl
from selectrl.bibliography import PAPERS, find_papers
from selectrl.citations import citations
from selectrl.errors import InputError
from selectrl.experiment.config import to_record
from selectrl.registry import COLLECTORS, REGISTRIES
from selectrl.runs.experiment import ExperimentRecord

OURS = [(registry.kind, entry) for registry in REGISTRIES for entry in registry]
SELECT = ["--method", "select", "--env", "point_robot"]


def cited(text: str) -> dict[str, list[str]]:
    """The parts of each entry, by key."""
    found = re.findall(r"((?:% .*\n)+)@\w+\{(\w+),", text)
    return {key: re.sub(r"[%\n ]", "", comment).split(",") for comment, key in found}


@pytest.mark.parametrize(("kind", "entry"), OURS, ids=[f"{kind}.{entry.name}" for kind, entry in OURS])
def test_every_part_of_ours_names_papers_of_the_bibliography(kind, entry):
    if entry.config.__module__.startswith("selectrl."):
        assert find_papers(entry.paper), f"{kind}.{entry.name}: add {entry.paper!r} to selectrl/bibliography.py"


def test_bibliography_has_no_key_or_name_twice_and_folds_its_lines():
    for field in ("key", "short", "title"):
        values = [getattr(one, field) for one in PAPERS]
        assert len(values) == len(set(values)), field
    for paper in PAPERS:
        assert all(len(line) < 80 for line in paper.bibtex.splitlines())
        assert paper.bibtex.count("{") == paper.bibtex.count("}")
        assert str(paper.year) in paper.short


def test_several_papers_are_separated_by_semicolons():
    both = find_papers("Gao et al., NeurIPS 2023; Li, Yang & Luo, ICLR 2021")
    assert both is not None
    assert [one.key for one in both] == ["csro2023", "focal2021"]
    assert find_papers("Gao et al., NeurIPS 2023; Nobody, 1900") is None


def test_cites_what_is_used_and_nothing_else(call):
    select = cited(call("cite", *SELECT).out)
    assert select["selectrl"] == ["selectrl"]
    assert select["csro2023"] == ["encoders.csro", "envs.point_robot"]
    assert select["focal2021"] == ["aggregations.mean"]
    assert not {"sac2018", "brac2019", "corro2022", "borel2021", "pearl2019", "td3bc2021"} & select.keys()
    assert {"actors.weighted_bc", "weights.binary", "collectors.proximal"} <= set(select["select2025"])


def test_an_ablation_changes_what_is_cited(call, tmp_path):
    file = tmp_path / "collect.gin"
    file.write_text("experiment.collector = @collectors.online()\n")
    found = cited(call("cite", file, *SELECT, "--ablation", "td3_bc").out)
    assert "weights.constant" in found["td3bc2021"]
    assert "weights.binary" not in found["select2025"]
    assert "collectors.proximal" not in found["select2025"]


def test_a_run_directory_cites_its_own_experiment(call, tmp_path):
    experiment = selectrl.compose("focal", "point_robot")
    record = ExperimentRecord(name="focal", seed=0, key=experiment.key, experiment=to_record(experiment))
    record.write(tmp_path)
    outcome = call("cite", tmp_path)
    assert outcome.code == 0
    assert outcome.out.strip() == selectrl.citation(experiment)


def test_json_holds_the_same_entries(call):
    found = json.loads(call("cite", *SELECT, "--json").out)["citations"]
    assert [one["key"] for one in found] == list(cited(call("cite", *SELECT).out))
    assert all(one["bibtex"].startswith("@") for one in found)


def test_a_part_of_another_package_is_cited_by_its_own_words():
    @attrs.frozen(kw_only=True)
    class TheirsConfig:
        """A config."""

    COLLECTORS.add("theirs", TheirsConfig, object, paper="Doe, 2030", summary="a collector of another package")
    try:
        experiment = attrs.evolve(selectrl.compose("select", "point_robot"), collector=TheirsConfig())
        found = {one.key: one for one in citations(experiment)}
        assert found["theirs"].parts == ("collectors.theirs",)
        assert "Doe, 2030" in found["theirs"].bibtex
    finally:
        del COLLECTORS._entries["theirs"]


@pytest.mark.parametrize("arguments", [["nope.gin"], ["."], ["--method", "selekt", "--env", "point_robot"]])
def test_bad_input_is_one_sentence(call, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("cite", *arguments).sentence()


def test_a_run_directory_stands_alone(call, tmp_path):
    assert "leave out" in call("cite", tmp_path, "--method", "csro").sentence()


@pytest.mark.parametrize("value", [5, None, "select"])
def test_only_an_experiment_can_be_cited(value):
    with pytest.raises(InputError, match="expected an Experiment; "):
        selectrl.citation(value)
