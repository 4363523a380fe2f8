"""Labels of meta-tests below their run. Free of torch."""

from __future__ import annotations

from typing import Any

import attrs

from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment
from selectrl.registry import tag


def make_label(collector: Any, test: TestConfig, own: Experiment) -> str:
    """Return the label of a meta-test: the collector, and the differences from the run's own collector and test."""
    default = own.collector if type(collector) is type(own.collector) else type(collector)()
    words = [str(tag(collector)).removeprefix("collectors."), *_changes(collector, default), *_changes(test, own.test)]
    return "-".join(words)


def _changes(value: Any, default: Any) -> list[str]:
    changes = []
    for name in (field.name for field in attrs.fields(type(value))):
        new, old = getattr(value, name), getattr(default, name)
        if new != old and attrs.has(type(new)):
            base = old if type(new) is type(old) else type(new)()
            changes += [f"{name}{str(tag(new)).partition('.')[2]}", *_changes(new, base)]
        elif new != old:
            changes.append(f"{name}{new}")
    return changes
