"""The label of a meta-test: the collector, and each setting that is not the run's own."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment
from selectrl.experiment.labels import make_label
from selectrl.gin_edge import build_experiment, experiment_layers
from selectrl.registry import COLLECTORS


def collector(name: str, **settings: Any) -> Any:
    (config,) = [entry.config for entry in COLLECTORS if entry.name == name]
    return config(**settings)


@pytest.fixture(scope="module")
def own() -> Experiment:
    """A run of SELECT whose own collector is the proximal one with half the usual noise."""
    experiment = build_experiment(experiment_layers(method="select", env="point_robot"), "select")
    return attrs.evolve(experiment, collector=collector("proximal", sigma=0.1), test=TestConfig(budget=100, repeats=5))


@pytest.mark.parametrize(
    ("name", "settings", "label"),
    [
        ("proximal", {"sigma": 0.1}, "proximal"),
        ("proximal", {"sigma": 0.5}, "proximal-sigma0.5"),
        ("proximal", {"sigma": 0.1, "clip": 1.0}, "proximal-clip1.0"),
        ("proximal", {}, "proximal-sigma0.2"),  # against the run's own, not against the defaults
        ("online", {}, "online"),
        ("non_prior", {}, "non_prior"),  # a collector of another class: against its defaults
        ("non_prior", {"random_fraction": 0.25}, "non_prior-random_fraction0.25"),
        ("return_filtered", {"quantile": 0.75}, "return_filtered-quantile0.75"),
    ],
)
def test_names_the_collector_and_its_changes(name: str, settings: dict[str, Any], label: str, own: Experiment) -> None:
    assert make_label(collector(name, **settings), own.test, own) == label


def test_names_a_collector_inside_another_and_its_changes(own: Experiment) -> None:
    other = collector("return_filtered", collector=collector("annealed", sigma_end=0.01))
    assert make_label(other, own.test, own) == "return_filtered-collectorannealed-sigma_end0.01"


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "online"),
        ({"budget": 40}, "online-budget40"),
        ({"repeats": 2, "protocol": "paper"}, "online-protocolpaper-repeats2"),  # in the order of the fields
        ({"prior": "centroid", "seed": 3}, "online-priorcentroid-seed3"),
    ],
)
def test_names_the_changes_of_the_test(changes: dict[str, Any], label: str, own: Experiment) -> None:
    assert make_label(collector("online"), attrs.evolve(own.test, **changes), own) == label


def test_different_meta_tests_have_different_labels(own: Experiment) -> None:
    collectors = [entry.config() for entry in COLLECTORS]
    tests = [own.test, *(attrs.evolve(own.test, **change) for change in ({"budget": 20}, {"gate": 1}, {"seed": 1}))]
    labels = [make_label(config, test, own) for config in collectors for test in tests]
    assert len(set(labels)) == len(labels) == 4 * len(collectors)
