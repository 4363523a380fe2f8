"""Every registered part passes the conformance kit, in each variant of the parts inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

import selectrl.experiment.config  # noqa: F401  all rooms register their parts
from selectrl.errors import CompositionError, FieldError
from selectrl.nets.configs import TanhGaussianConfig
from selectrl.registry import ACTORS, COLLECTORS, CRITICS, ENCODERS, FAMILIES, REGISTRIES, WEIGHTS, Registry, tag
from selectrl.structs import Spec
from selectrl.testing import check_actor, check_collector, check_critic, check_encoder, check_env, check_weight
from selectrl.testing.scene import SPEC

VARYING = SPEC._replace(dynamics_vary=True)
REQUIRED = {"policy": TanhGaussianConfig()}
LENIENT = {"negatives.cvae": {"min_kl": 0.0}, "encoders.corro": {"min_spread": 0.0}}
"""What lets a part run that was not trained, where it would rather refuse."""


def shrunk(config: Any) -> Any:
    """The same config with hidden layers of 8 units, also in the parts inside it."""
    small: dict[str, Any] = dict(LENIENT.get(str(tag(config)), {}))
    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        if attrs.has(type(value)):
            small[field.name] = shrunk(value)
        elif field.name.endswith("hidden"):
            small[field.name] = (8,) * min(len(value), 2) if isinstance(value, tuple) else 8
    return attrs.evolve(config, **small)


def default(config: type) -> Any:
    """A small config; required fields get the simplest part."""
    required = [field.name for field in attrs.fields(config) if field.default is attrs.NOTHING]
    return shrunk(config(**{name: REQUIRED[name] for name in required}))


def variants(config: Any) -> Iterator[Any]:
    """The config, and the same with each part inside it replaced by each other one of its kind."""
    yield config
    for field in attrs.fields(type(config)):
        inside = tag(getattr(config, field.name))
        for registry in REGISTRIES:
            if inside and inside.startswith(f"{registry.kind}."):
                for entry in registry:
                    if entry.config is not type(getattr(config, field.name)):
                        try:
                            yield attrs.evolve(config, **{field.name: default(entry.config)})
                        except FieldError:  # the config itself refuses the two together
                            continue


def cases(registry: Registry[Any]) -> list[Any]:
    """All variants of all parts of a kind, for ``parametrize``."""
    parameters = []
    for entry in registry:
        for config in variants(default(entry.config)):
            inside = [tag(getattr(config, field.name)) for field in attrs.fields(type(config))]
            parameters.append(pytest.param(config, id="-".join([entry.name, *(name for name in inside if name)])))
    return parameters


KINDS: list[tuple[Registry[Any], Callable[..., None]]] = [
    (CRITICS, check_critic),
    (ACTORS, check_actor),
    (COLLECTORS, check_collector),
    (FAMILIES, check_env),
    (WEIGHTS, check_weight),
]


def skip_if_refused(config: Any, spec: Spec) -> None:
    """A composition may be refused when it is built, by one clear sentence."""
    try:
        ENCODERS.build(config, spec)
    except CompositionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("config", cases(ENCODERS))
def test_encoder(config: Any) -> None:
    skip_if_refused(config, SPEC)
    check_encoder(config)


@pytest.mark.parametrize("entry", list(ENCODERS), ids=lambda entry: entry.name)
def test_encoder_where_dynamics_vary(entry: Any) -> None:
    config = default(entry.config)
    skip_if_refused(config, VARYING)
    check_encoder(config, VARYING)


@pytest.mark.parametrize(("check", "config"), [(check, *case.values) for kind, check in KINDS for case in cases(kind)])
def test_part(check: Callable[..., None], config: Any) -> None:
    check(config)
