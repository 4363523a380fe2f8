"""The Experiment: one frozen value that alone rebuilds a run. Free of torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import attrs

import selectrl.actors
import selectrl.collectors
import selectrl.critics
import selectrl.encoders
import selectrl.envs  # noqa: F401  the rooms register their parts
from selectrl import plugins
from selectrl.data.config import DataConfig
from selectrl.errors import InputError, suggest
from selectrl.evaluate.config import TestConfig
from selectrl.fields import config, name, part
from selectrl.protocols import ActorConfig, CollectorConfig, CriticConfig, EncoderConfig, FamilyConfig
from selectrl.registry import ACTORS, COLLECTORS, CRITICS, ENCODERS, FAMILIES, REGISTRIES, registered_name, tag
from selectrl.trainer.config import TrainConfig


@attrs.frozen(kw_only=True)
class Experiment:
    """A method on an environment: four parts, the data, and how to train and test.

    Attributes:
        name: name of the method in folders and figures; not part of its identity.
        encoder: infers the task.
        critic: estimates action values.
        actor: trains the policy; contains its config.
        collector: gathers context at meta-test; trained weights do not depend on it.
        env: the task family.
        data: the dataset.
        train: the training loop.
        test: the meta-test; trained weights do not depend on it.
    """

    name: str = attrs.field(validator=name())
    encoder: EncoderConfig = attrs.field(validator=part(ENCODERS))
    critic: CriticConfig = attrs.field(validator=part(CRITICS))
    actor: ActorConfig = attrs.field(validator=part(ACTORS))
    collector: CollectorConfig = attrs.field(validator=part(COLLECTORS))
    env: FamilyConfig = attrs.field(validator=part(FAMILIES))
    data: DataConfig = attrs.field(factory=DataConfig, validator=config(DataConfig))
    train: TrainConfig = attrs.field(factory=TrainConfig, validator=config(TrainConfig))
    test: TestConfig = attrs.field(factory=TestConfig, validator=config(TestConfig))

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify everything that trained weights depend on, except the seed."""
        record = to_record(self)
        for field in ("name", "collector", "test"):
            del record[field]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def folder_name(self) -> str:
        """The name of its folder: its own name and the beginning of its key."""
        return f"{self.name}-{self.key[:8]}"

    @property
    def env_name(self) -> str:
        """The registered name of the task family."""
        return registered_name(self.env)


#: Config classes that are not parts, by the name that gin files and records give them.
PLAIN: dict[str, type] = {
    "experiment": Experiment,
    "train": TrainConfig,
    "test": TestConfig,
    "data": DataConfig,
}


def config_classes() -> dict[str, type]:
    """Return every config class, plugins' too, by its name in gin files and records: ``encoders.focal``, ``train``."""
    plugins.load_plugins()
    parts = {f"{registry.kind}.{entry.name}": entry.config for registry in REGISTRIES for entry in registry}
    return {**PLAIN, **parts}


def walk_parts(*configs: Any) -> Iterator[Any]:
    """Yield the configs and all nested configs, in the order of their fields."""
    for value in configs:
        if isinstance(value, tuple):
            yield from walk_parts(*value)
        elif attrs.has(type(value)):
            yield value
            yield from walk_parts(*(getattr(value, field.name) for field in attrs.fields(type(value))))


def to_record(value: Any, *, complete: bool = False) -> Any:
    """Return a config as JSON-ready values; each config is an object with its name under ``part``.

    Args:
        value: the config.
        complete: include fields that were added later and have their default, which a run's record lacks.
    """
    if isinstance(value, tuple):
        return [to_record(item, complete=complete) for item in value]
    if not attrs.has(type(value)):
        return value
    part_name = tag(value) or next(name for name, cls in PLAIN.items() if cls is type(value))
    record: dict[str, Any] = {"part": part_name}
    for field in attrs.fields(type(value)):
        item = getattr(value, field.name)
        if _added_later(field) and item == field.default and not complete:
            continue
        is_whole_float = isinstance(item, int) and not isinstance(item, bool) and str(field.type).startswith("float")
        record[field.name] = float(item) if is_whole_float else to_record(item, complete=complete)
    return record


def _added_later(field: attrs.Attribute[Any]) -> bool:
    return bool(field.metadata.get("added_later"))


def from_record(record: Any, where: str = "experiment") -> Any:
    """Rebuild a config from :func:`to_record`'s values.

    Raises:
        InputError: a name is unknown, a field is missing or unknown, or a value is invalid.
    """
    if isinstance(record, list):
        return tuple(from_record(item, where) for item in record)
    if not isinstance(record, dict):
        return record
    classes, part_name = config_classes(), record.get("part")
    if not isinstance(part_name, str) or part_name not in classes:
        raise InputError(
            f"{where}: no part named {part_name!r}; {suggest(str(part_name), classes)}{plugins.explain_problems()}"
        )
    cls = classes[part_name]
    fields = {field.name for field in attrs.fields(cls)}
    unknown = [key for key in record if key not in fields | {"part"}]
    if unknown:
        raise InputError(f"{where}: {part_name} has no field {unknown[0]!r}; {suggest(unknown[0], fields)}")
    optional = {field.name for field in attrs.fields(cls) if _added_later(field)}
    missing = sorted(fields - optional - record.keys())
    if missing:
        raise InputError(f"{where}: {part_name} lacks the field {missing[0]!r}; the record is incomplete, restore it")
    return cls(**{key: from_record(item, f"{where}.{key}") for key, item in record.items() if key != "part"})


def experiment_from_record(record: Any) -> Experiment:
    """Rebuild an experiment from its record; refuse records of other configs.

    Raises:
        InputError: the record is of another config, or a field is wrong.
    """
    value = from_record(record)
    if not isinstance(value, Experiment):
        raise InputError("expected the record of an experiment; restore the run's record")
    return value
