"""Turns layers of gin files and ``--set`` bindings into one frozen config value; with ``gin_text`` all that knows gin.

Layers, later ones winning: shared → method → env → profile → ablation → the user's file → ``--set``. The lowest layer
comes from the registry: each field that declares a shared number (:func:`selectrl.fields.shares`) takes it, so that a
part that is swapped in is as large as the part that it replaces.

Each layer is read once, statement by statement: ``import`` lines are refused, nothing is executed, every name and field
is checked before gin evaluates it, and an error names the file, the line, the binding and the valid choices. Bindings
that our own files make for a part that is not used are dropped in silence; in an ablation, in the user's file or in
``--set`` an unused binding is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import attrs
import gin

from selectrl import plugins
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.compare.plan import GridConfig
from selectrl.compare.tune import TuneConfig
from selectrl.errors import FieldError, InputError, suggest
from selectrl.experiment.config import Experiment, config_classes
from selectrl.fields import config as is_config
from selectrl.fields import is_name, part
from selectrl.gin_text import Binding, Layer, Macro, Part, bound_once, parse, references, swapped, text_of
from selectrl.protocols import FamilyConfig
from selectrl.registry import FAMILIES

SHIPPED = next(
    folder
    for folder in (Path(__file__).parent / "gin", Path(__file__).parents[1] / "gin")
    if (folder / "methods").is_dir()
)


@attrs.frozen(kw_only=True)
class Collection:
    """The input of ``selectrl collect``: a task family and the behaviour that fills its dataset.

    Attributes:
        env: the task family.
        behaviour: how its data are collected.
    """

    env: FamilyConfig = attrs.field(validator=part(FAMILIES))
    behaviour: SacBehaviourConfig = attrs.field(validator=is_config(SacBehaviourConfig))


def shipped(kind: str) -> dict[str, Path]:
    """Return gin files of a kind (``methods``, ``envs``, ``ablations``, …) by name: ours, then plugins'."""
    folders = [SHIPPED, *(plugin.gin for plugin in plugins.load_plugins() if plugin.gin)]
    files: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted((folder / kind).glob("*.gin"))):
        files.setdefault(path.stem, path)
    return files


def shipped_layer(kind: str, name: str) -> Layer:
    """Return one of our files, or of a plugin's, as a layer; all that an ablation binds must be used, as in a user's.

    Raises:
        InputError: there is none of this name.
    """
    files = shipped(kind)
    if name not in files:
        raise InputError(f"no {kind.rstrip('s')} named {name!r}: {suggest(name, files)}{plugins.explain_problems()}")
    ours = files[name].is_relative_to(SHIPPED)
    where = f"{kind}/{name}.gin" if ours else str(files[name])
    return Layer(where, text_of(files[name]), own=kind != "ablations")


def user_layers(file: Path | None, settings: Sequence[str]) -> list[Layer]:
    """Return the user's file and ``--set`` bindings as layers.

    Raises:
        InputError: the file cannot be read or is not UTF-8, a setting has no ``=``, or two of them bind the same.
    """
    above = [] if file is None else [Layer(str(file), text_of(file), own=False)]
    layers = []
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or setting.splitlines() != [setting]:
            raise InputError(f"--set {setting!r}: expected path=value, for example --set encoders.csro.latent_dim=10")
        binding = f"{path.strip()} = {_literal(value.strip())}"
        layers.append(Layer(f"--set {setting}", binding, own=False, numbered=False))
    bound_once(binding for layer in layers for binding in parse(layer))
    return [*above, *layers]


def shared_numbers() -> Layer:
    """Return the bindings of all fields that take a shared number, and of all default parts that have such fields."""
    lines = []
    for selector, cls in config_classes().items():
        for field in attrs.fields(cls):
            if "shared" in field.metadata:
                lines.append(f"{selector}.{field.name} = %{field.metadata['shared']}")
            elif part_name := _default_part(field):
                lines.append(f"{selector}.{field.name} = @{part_name}()")
    return Layer("the shared numbers", "\n".join(lines) + "\n", own=True, numbered=False)


def _default_part(field: attrs.Attribute[Any]) -> str | None:
    """Return the name of a field's default part, if that takes shared numbers; a part is bound where it is named."""
    cls = getattr(field.default, "factory", None)
    if not (isinstance(cls, type) and attrs.has(cls)):
        return None
    fields = attrs.fields(cls)
    takes = any("shared" in inner.metadata or _default_part(inner) for inner in fields)
    return next((name for name, config in config_classes().items() if config is cls), None) if takes else None


def experiment_layers(
    *,
    method: str | None = None,
    env: str | None = None,
    profile: str | None = None,
    ablation: str | None = None,
    file: Path | None = None,
    settings: Sequence[str] = (),
) -> list[Layer]:
    """Return the layers of an experiment in order; shared numbers read an environment's macros.

    Raises:
        InputError: a name is unknown, the file cannot be read, or a setting has no ``=``.
    """
    shared = [shared_numbers(), *(shipped_layer("shared", name) for name in shipped("shared"))] if env else []
    named = (("methods", method), ("envs", env), ("profiles", profile), ("ablations", ablation))
    chosen = [shipped_layer(kind, name) for kind, name in named if name]
    return [*shared, *chosen, *user_layers(file, settings)]


def default_name(method: str | None, ablation: str | None, file: Path | None) -> str:
    """Return the default name of an experiment."""
    return file.stem if file else "-".join(word for word in (method, ablation) if word) or "experiment"


def as_layer(config: Any) -> Layer:
    """Return a config, parts inside it included, as a layer of bindings: to lay others over it, or to print it."""
    selector = next(name for name, cls in _classes().items() if cls is type(config))
    own, below = [], []
    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        if attrs.has(type(value)):
            layer = as_layer(value)
            own.append(f"{selector}.{field.name} = @{layer.name}()")
            below.append(layer.text)
        else:
            own.append(f"{selector}.{field.name} = {value!r}")
    return Layer(selector, "\n".join(own) + "\n" + "".join(f"\n{text}" for text in below), own=True)


def build_experiment(layers: Sequence[Layer], name: str) -> Experiment:
    """Build the experiment that the layers bind.

    Args:
        layers: later ones win.
        name: default name of the experiment.

    Raises:
        InputError: a layer is wrong; the sentence names file, line, binding and choices.
    """
    bound = any(binding.path == "experiment.name" for layer in layers for binding in parse(layer))
    if not bound and not is_name(name):
        raise InputError(
            f"an experiment cannot be called {name!r}, as its file is: expected up to 100 letters, digits, '_', '-' "
            "and '.'; rename the file, give --name, or bind experiment.name"
        )
    named = Layer("--name", f"experiment.name = {name!r}", own=True, numbered=False)
    return cast(Experiment, _build("experiment", [named, *layers]))


def build_collection(layers: Sequence[Layer]) -> Collection:
    """Build the input of ``selectrl collect``.

    Raises:
        InputError: a layer is wrong; the sentence names file, line, binding and choices.
    """
    return cast(Collection, _build("collection", layers))


def build_part(selector: str, layers: Sequence[Layer]) -> object:
    """Build one config by its name, ``collectors.proximal`` or ``test``; raises as the others do."""
    return _build(selector, layers)


def _classes() -> dict[str, type]:
    return {
        **config_classes(),
        "collection": Collection,
        "behaviour.sac": SacBehaviourConfig,
        "tune": TuneConfig,
        "grid": GridConfig,
    }


def _literal(value: str) -> str:
    """Quote a bare word, so that ``--set data.name=my-data`` needs no quotes of its own."""
    bare = re.fullmatch(r"[A-Za-z_][\w.-]*", value) and value not in ("True", "False", "None")
    return repr(value) if bare else value


def _build(root: str, layers: Sequence[Layer]) -> object:
    """Check all layers, let gin evaluate them, and return the root's value."""
    classes = _classes()
    if root not in classes:
        raise InputError(f"nothing is called {root!r}; {suggest(root, classes)}")
    chosen: dict[str, Binding] = {}
    for layer in layers:
        for binding in parse(layer):
            chosen[binding.path] = _check(binding, classes)
    used, parts = _reachable(root, chosen, classes)
    dead = next((binding for binding in chosen.values() if not binding.own and binding.path not in used), None)
    if dead is not None:
        in_use = ", ".join(sorted(parts))
        raise InputError(f"{dead.where}: {dead.path} is bound but nothing uses it; parts in use: {in_use}")
    gin.clear_config()
    try:
        for selector in parts:
            _register(selector, classes[selector])
        for path in used:
            binding = chosen[path]
            key = ("", binding.selector, binding.field) if binding.field else (binding.selector, "gin.macro", "value")
            gin.bind_parameter(key, swapped(binding.statement.value, lambda reference: reference.gins))
        return gin.get_configurable(classes[root])()
    except FieldError as error:
        raise InputError(_where(error, classes, chosen)) from None
    except InputError as error:  # without what gin adds to it
        raise InputError(str(error.args[0])) from None
    except RecursionError:
        raise InputError("a value is nested too deeply to be built; write a plain number, string or tuple") from None
    finally:
        gin.clear_config()


@cache
def _register(selector: str, cls: type) -> None:
    """Tell gin of a config class, once."""
    module, _, name = selector.rpartition(".")
    gin.register(name, module=module or "selectrl")(cls)


def _check(binding: Binding, classes: dict[str, type]) -> Binding:
    """Check every name in a binding, and return it."""
    if binding.statement.scope:
        raise InputError(f"{binding.where}: scopes ({binding.statement.scope}/) are not used here; remove it")
    if binding.field:
        if binding.selector not in classes:
            choices = suggest(binding.selector, classes) + plugins.explain_problems()
            raise InputError(f"{binding.where}: no part named {binding.selector!r}; {choices}")
        fields = {a.name for a in attrs.fields(classes[binding.selector])}
        if binding.field not in fields:
            raise InputError(
                f"{binding.where}: {binding.selector} has no field {binding.field!r}; {suggest(binding.field, fields)}"
            )
    for reference in references(binding.statement.value):
        if isinstance(reference, Part) and reference.selector not in classes:
            choices = suggest(reference.selector, classes) + plugins.explain_problems()
            raise InputError(f"{binding.where}: no part named {'@' + reference.selector!r}; {choices}")
        if isinstance(reference, Part) and not reference.called:
            raise InputError(f"{binding.where}: @{reference.selector} lacks its parentheses; @{reference.selector}()")
    return binding


def _reachable(root: str, chosen: dict[str, Binding], classes: dict[str, type]) -> tuple[set[str], set[str]]:
    """Return the paths of the bindings and macros that building the root reads, and the parts that it is made of.

    Raises:
        InputError: a macro is not defined, a required field is not bound, or a part or macro contains itself.
    """
    used: set[str] = set()
    done: set[Part | Macro] = set()

    def visit(reference: Part | Macro, above: tuple[Part | Macro, ...], where: str) -> None:
        if reference in above:
            raise InputError(f"{where}: {reference} contains itself; bind something else")
        if reference in done:
            return
        for binding in _read_by(reference, chosen, classes, where):
            used.add(binding.path)
            for inner in references(binding.statement.value):
                visit(inner, (*above, reference), binding.where)
        done.add(reference)

    visit(Part(root, True), (), root)
    return used, {reference.selector for reference in done if isinstance(reference, Part)}


def _read_by(
    reference: Part | Macro, chosen: dict[str, Binding], classes: dict[str, type], where: str
) -> list[Binding]:
    """Return the bindings that a part or macro reads itself."""
    if isinstance(reference, Macro):
        if reference.name not in chosen:
            macros = [path for path, binding in chosen.items() if not binding.field]
            raise InputError(f"{where}: no macro {reference} is defined; {suggest(reference.name, macros)}")
        return [chosen[reference.name]]
    paths = {f"{reference.selector}.{field.name}": field for field in attrs.fields(classes[reference.selector])}
    for path, field in paths.items():
        if path not in chosen and field.default is attrs.NOTHING:
            raise InputError(f"{path} is required but no file binds it; give --method and --env, or bind it")
    return [chosen[path] for path in paths if path in chosen]


def _where(error: FieldError, classes: dict[str, type], chosen: dict[str, Binding]) -> str:
    """Say a refused value as the user bound it, with file and line."""
    selector = next((name for name, cls in classes.items() if cls is error.owner), error.owner.__name__)
    path = f"{selector}.{error.field}"
    where = f"{chosen[path].where}: " if path in chosen else ""
    return f"{where}{path}: {error.problem}"
