"""The gin edge: layers of bindings become one config value, or one sentence that names the place."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import gin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selectrl.actors.configs import BracConfig
from selectrl.collectors.configs import ProximalConfig
from selectrl.critics.configs import TdTargetConfig
from selectrl.errors import FieldError, InputError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment, config_classes, experiment_from_record, to_record
from selectrl.fields import ADDED_LATER, shares
from selectrl.gin_edge import (
    Collection,
    as_layer,
    build_collection,
    build_experiment,
    build_part,
    experiment_layers,
    shipped,
    shipped_layer,
    user_layers,
)
from selectrl.gin_text import Layer, parse
from selectrl.nets.configs import DeterministicConfig
from selectrl.registry import CRITICS, FAMILIES, tag

METHODS, ENVS = sorted(shipped("methods")), sorted(shipped("envs"))
PROFILES = (None, *sorted(shipped("profiles")))


def layers(method: str = "select", env: str = "point_robot", profile: str | None = None) -> list[Layer]:
    return experiment_layers(method=method, env=env, profile=profile)


def user(text: str, *settings: str, method: str = "select") -> Experiment:
    """Build a method on Point-Robot with a user's text and settings over it."""
    return build_experiment([*layers(method), Layer("my.gin", text, own=False), *user_layers(None, settings)], "mine")


def refusal(text: str, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        user(text, *settings)
    return str(caught.value)


@pytest.fixture(autouse=True)
def gin_stays_clean() -> Iterator[None]:
    yield
    assert gin.config_str() == ""
    assert not gin.config._CONFIG
    assert not gin.config.current_scope()


class TestShippedFiles:
    def test_there_are_some_of_each_kind(self) -> None:
        assert {"select", "csro", "focal"} <= set(METHODS)
        assert "point_robot" in ENVS
        assert "laptop" in PROFILES

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("env", ENVS)
    @pytest.mark.parametrize("profile", PROFILES)
    def test_each_builds_and_its_json_alone_rebuilds_it(self, method: str, env: str, profile: str | None) -> None:
        experiment = build_experiment(layers(method, env, profile), method)
        again = experiment_from_record(json.loads(json.dumps(to_record(experiment), allow_nan=False)))
        assert again == experiment
        assert again.key == experiment.key
        assert experiment.name == method
        assert experiment.env_name == env

    @pytest.mark.parametrize("env", ENVS)
    @pytest.mark.parametrize("preset", sorted(shipped("behaviour")))
    def test_each_behaviour_preset_builds(self, env: str, preset: str) -> None:
        layers = [shipped_layer("envs", env), shipped_layer("behaviour", preset)]
        found = build_collection(layers)
        assert isinstance(found, Collection)
        horizon = FAMILIES.build(found.env).spec.horizon
        if preset == "laptop" and horizon > 20:  # tuned for episodes of 20 steps
            with pytest.raises(FieldError, match="period: expected at least 200"):
                found.behaviour.check_horizon(horizon)
        else:
            found.behaviour.check_horizon(horizon)

    @pytest.mark.parametrize("kind", ["methods", "envs", "profiles", "behaviour"])
    def test_an_unknown_name_is_answered_with_the_known_ones(self, kind: str) -> None:
        known = sorted(shipped(kind))
        with pytest.raises(InputError, match=f"did you mean '{known[0]}'.*{', '.join(known)}"):
            shipped_layer(kind, known[0][:-1])

    def test_methods_differ_where_they_should(self) -> None:
        built = {name: build_experiment(layers(name), name) for name in METHODS}
        assert len({one.key for one in built.values()}) == len(built)
        assert tag(built["select"].encoder) == tag(built["csro"].encoder) == "encoders.csro"
        assert built["select"].encoder == built["csro"].encoder
        assert tag(built["select"].collector) == "collectors.proximal"

    def test_a_profile_lies_over_the_environment(self) -> None:
        assert build_experiment(layers(), "x").data.name == "paper"
        assert build_experiment(layers(profile="laptop"), "x").data.name == "laptop"


@attrs.frozen(kw_only=True)
class OutsideConfig:
    """A critic's config of another package, whose fields share numbers; so do those of the part inside it."""

    hidden: tuple[int, ...] = attrs.field(default=(7,), metadata=shares("HIDDEN"))
    rate: float = attrs.field(default=0.5, metadata={**ADDED_LATER, **shares("LEARNING_RATE")})
    own: float = 0.25
    policy: Any = attrs.field(factory=DeterministicConfig)
    value: Any = attrs.field(factory=TdTargetConfig)


class TestSharedNumbers:
    @pytest.fixture(autouse=True)
    def _register(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CRITICS, "_entries", dict(CRITICS._entries))
        CRITICS.add("outside", OutsideConfig, object, paper="none", summary="a critic of another package")

    @pytest.mark.parametrize("env", ENVS)
    def test_every_environment_sets_each_number_that_a_field_declares(self, env: str) -> None:
        fields = [field for cls in config_classes().values() for field in attrs.fields(cls)]
        declared = {field.metadata["shared"] for field in fields if "shared" in field.metadata}
        assert {"HIDDEN", "LATENT_DIM", "LEARNING_RATE", "DUAL_LEARNING_RATE"} < declared
        assert declared <= {binding.path for binding in parse(shipped_layer("envs", env))}

    def test_a_part_takes_them_wherever_it_is_swapped_in(self) -> None:
        layers = experiment_layers(
            method="csro", env="point_robot", profile="small", settings=["experiment.critic=@critics.outside()"]
        )
        critic: Any = build_experiment(layers, "mine").critic
        assert critic == OutsideConfig(
            hidden=(128, 128, 128), rate=1e-3, policy=DeterministicConfig(hidden=(128, 128, 128))
        )

    def test_a_later_layer_binds_something_else(self) -> None:
        bound = user("experiment.critic = @critics.outside()", "critics.outside.rate=0.5", "HIDDEN=(3, 4)").critic
        assert (bound.rate, bound.hidden, bound.policy.hidden) == (0.5, (3, 4), (3, 4))

    def test_a_number_that_no_environment_sets_is_named(self) -> None:
        stranger = attrs.make_class("StrangerConfig", {"width": attrs.field(default=1, metadata=shares("WIDTH"))})
        CRITICS.add("stranger", stranger, object, paper="none", summary="a critic of another package")
        with pytest.raises(InputError, match=r"^the shared numbers: no macro %WIDTH is defined; "):
            user("experiment.critic = @critics.stranger()")

    def test_a_wrong_number_is_said_with_the_field_that_takes_it(self) -> None:
        assert re.match(r"the shared numbers: [\w.]+\.hidden: expected a sequence of ints", refusal("", "HIDDEN=3"))


class TestLayers:
    def test_later_ones_win(self) -> None:
        text = "train.steps = 7\ntrain.batch = 7"
        experiment = user(text, "train.batch=8", "train.context=9", "train.context=9")
        assert (experiment.train.steps, experiment.train.batch, experiment.train.context) == (7, 8, 9)

    def test_of_two_different_settings_none_wins(self) -> None:
        with pytest.raises(
            InputError, match=r"--set train.batch=9: train.batch is bound to something else in --set train"
        ):
            user("", "train.batch=8", "train.batch=9")

    def test_a_macro_of_ours_may_be_bound_anew(self) -> None:
        assert user("LATENT_DIM = 5").encoder.latent_dim == 5
        assert user("", "LATENT_DIM=6").encoder.latent_dim == 6

    def test_a_user_may_define_macros(self) -> None:
        experiment = user("W = (8, 8)\nencoders.csro.hidden = %W\ncritics.dual_target.hidden = %W")
        assert experiment.encoder.hidden == experiment.critic.hidden == (8, 8)

    def test_a_user_may_swap_a_part_and_our_bindings_of_the_old_one_vanish(self) -> None:
        experiment = user("experiment.actor = @actors.brac()\nactors.brac.policy = @policies.tanh_gaussian()")
        assert isinstance(experiment.actor, BracConfig)
        record = json.dumps(to_record(experiment))
        assert "weighted_bc" not in record
        assert "weights." not in record

    def test_our_bindings_of_the_old_part_may_not_be_the_users(self) -> None:
        text = "experiment.actor = @actors.brac()\nactors.weighted_bc.alpha = 3.0"
        assert refusal(text).startswith("my.gin:2: actors.weighted_bc.alpha is bound but nothing uses it")

    def test_a_list_becomes_a_tuple(self) -> None:
        assert user("encoders.csro.hidden = [3, 4]").encoder.hidden == (3, 4)

    def test_the_name_is_the_commands_unless_a_layer_binds_it(self) -> None:
        assert user("").name == "mine"
        assert user("experiment.name = 'other'").name == "other"

    def test_block_syntax_binds_too(self) -> None:
        assert user("encoders.csro:\n  lr = 1e-3\n  latent_dim = 4").encoder.latent_dim == 4

    @pytest.mark.parametrize(
        ("setting", "name"),
        [
            ("data.name=laptop", "laptop"),
            ("data.name='laptop'", "laptop"),
            ("data.name=my-data", "my-data"),
            ("data.name=v2.1", "v2.1"),
            (" data.name = a ", "a"),
        ],
    )
    def test_a_word_in_set_needs_no_quotes(self, setting: str, name: str) -> None:
        assert user("", setting).data.name == name

    @pytest.mark.parametrize("value", ["True", "False"])
    def test_constants_in_set_stay_constants(self, value: str) -> None:
        assert user("", f"train.replacement={value}").train.replacement is (value == "True")

    def test_none_in_set_stays_none(self) -> None:
        assert user("", "collectors.proximal.clip=0.1").collector.clip == 0.1
        assert user("collectors.proximal.clip = 0.1", "collectors.proximal.clip=None").collector.clip is None

    def test_builds_do_not_see_each_other(self) -> None:
        before = user("")
        assert user("LATENT_DIM = 3\ntrain.steps = 1").key != before.key
        assert user("") == before


#: The text of a user's file below two comment lines, and what the sentence says beside file and line.
BAD = {
    "misspelt part": ("encoders.csroo.latent_dim = 5", "no part named 'encoders.csroo'; did you mean 'encoders.csro'?"),
    "part without its kind": ("csro.latent_dim = 5", "no part named 'csro'"),
    "misspelt field": ("encoders.csro.latent_dimm = 5", "has no field 'latent_dimm'; did you mean 'latent_dim'?"),
    "wrong type": ("encoders.csro.latent_dim = 20.0", "encoders.csro.latent_dim: expected int, got 20.0"),
    "text for a number": ("encoders.csro.lr = '3e-4'", "encoders.csro.lr: expected a number > 0, got '3e-4'"),
    "out of range": ("encoders.csro.lr = -1", "encoders.csro.lr: expected a number > 0, got -1"),
    "infinite": ("encoders.csro.lr = 1e400", "encoders.csro.lr: expected a number > 0, got inf"),
    "larger than any float": ("encoders.csro.lr = 1" + 400 * "0", "encoders.csro.lr: expected a number > 0"),
    "larger than any field": ("train.steps = 0x" + 5000 * "f", "train.steps: expected int below 2**63"),
    "empty sizes": (
        "encoders.csro.hidden = []",
        "encoders.csro.hidden: expected a sequence of ints from 1 to 65536, got ()",
    ),
    "float among sizes": (
        "encoders.csro.hidden = (3, 4.0)",
        "expected a sequence of ints from 1 to 65536, got (3, 4.0)",
    ),
    "unknown choice": ("data.terminals = 'papr'", "data.terminals: expected one of true, paper (did you mean 'paper'?"),
    "int for a flag": ("train.replacement = 1", "train.replacement: expected True or False, got 1"),
    "name with a slash": ("experiment.name = 'a/b'", "experiment.name: expected a name of letters, digits"),
    "name of a parent": ("data.name = '..'", "data.name: expected a name of letters, digits"),
    "part of another kind": ("experiment.env = @test()", "experiment.env: expected one of @envs.point_robot"),
    "config of another kind": (
        "experiment.test = @train()",
        "experiment.test: expected a TestConfig, got TrainConfig(",
    ),
    "none for a part": ("experiment.encoder = None", "experiment.encoder: expected one of @encoders.focal"),
    "dead part": (
        "encoders.focal.latent_dim = 5",
        "encoders.focal.latent_dim is bound but nothing uses it; parts in use",
    ),
    "dead macro": ("MINE = 3", "MINE is bound but nothing uses it"),
    "import": ("import os", "can bind values, not import or include"),
    "import from": ("from os import path", "can bind values, not import or include"),
    "dynamic registration": ("from __gin__ import dynamic_registration", "can bind values, not import or include"),
    "include": ("include 'methods/select.gin'", "can bind values, not import or include"),
    "scope": ("a/encoders.csro.lr = 1e-3", "scopes (a/) are not used here"),
    "scoped block": ("a/encoders.csro:\n  lr = 1e-3", "scopes (a/) are not used here"),
    "scoped macro": ("encoders.csro.lr = %a/RATE", "no macro %a/RATE is defined"),
    "scoped part": ("experiment.encoder = @a/encoders.csro()", "no part named '@a/encoders.csro'"),
    "no parentheses": ("experiment.encoder = @encoders.csro", "@encoders.csro lacks its parentheses"),
    "misspelt reference": ("experiment.encoder = @encoders.csr()", "no part named '@encoders.csr'; did you mean"),
    "nested reference": ("train.order = [@encoders.csr()]", "no part named '@encoders.csr'"),
    "unknown macro": ("encoders.csro.lr = %RATE", "no macro %RATE is defined"),
    "unknown macro in a list": ("encoders.csro.hidden = (%WIDTH, 8)", "no macro %WIDTH is defined"),
    "gin's own macro": ("encoders.csro.lr = %gin.REQUIRED", "no macro %gin.REQUIRED is defined"),
    "macro of itself": ("encoders.csro.lr = %A\nA = %A", "%A contains itself"),
    "part of itself": ("weights.binary.threshold = @weights.binary()", "@weights.binary() contains itself"),
    "whole in its part": ("experiment.encoder = @experiment()", "@experiment() contains itself"),
    "misspelt block": ("encoders.csrx:\n  lr = 1e-3", "no part named 'encoders.csrx'"),
    "empty block": ("encoders.csro:\n\ntrain.steps = 5", "not a gin binding (Expected indentation."),
    "no equals": ("encoders.csro.lr 3", "not a gin binding (Couldn't parse statement, expected ':' or '=')"),
    "no value": ("encoders.csro.lr =", "not a gin binding (Unable to parse value)"),
    "sum": ("encoders.csro.lr = 1 + 1", "not a gin binding (Expected newline)"),
    "two on a line": ("train.steps = 1; train.batch = 2", "not a gin binding (Expected newline)"),
    "name for a value": ("train.steps = STEPS", "not a gin binding (the value is not plain); write selector.field"),
    "call": ("train.steps = int(5)", "not a gin binding (the value is not plain)"),
    "call of float": ('encoders.csro.lr = float("nan")', "not a gin binding (the value is not plain); write"),
    "plus": ("encoders.csro.lr = +5.0", "where value is a number such as 5, -0.5 or 1e-3"),
    "function": ("train.steps = lambda: 3", "not a gin binding (invalid syntax); write"),
    "bound twice": ("train.steps = 5\ntrain.steps = 6", "my.gin:4: train.steps is bound to something else in my.gin:3"),
    "macro bound twice": ("A = 5\nA = 6\ntrain.steps = %A", "my.gin:4: A is bound to something else in my.gin:3"),
    "bound twice in a block": ("train:\n  steps = 5\n  steps = 5.0", "train.steps is bound to something else in"),
    "open bracket": ("encoders.csro.hidden = (1,\n2", "not a gin binding (EOF in multi-line statement)"),
    "unhashable key": ("train.steps = {[]: 1}", "not a gin binding (unhashable type: 'list')"),
    "bad escape": (r"data.name = '\xZZ'", "not a gin binding"),
    "null byte": ("data.name = 'a\0b'", "not a gin binding"),
    "too many digits": ("train.steps = 1" + 5000 * "0", "not a gin binding (Exceeds the limit"),
    "a reference alone": ("@encoders.csro()", "not a gin binding"),
}


class TestBadBindings:
    @pytest.mark.parametrize("case", BAD)
    def test_ends_in_one_sentence_with_file_and_line(self, case: str) -> None:
        text, expected = BAD[case]
        sentence = refusal(f"# mine\n\n{text}\n")
        assert expected in sentence
        assert "\n" not in sentence
        place, line, _ = sentence.split(":", 2)
        assert place == "my.gin"
        lines = text.count("\n") + 1
        assert 3 <= int(line) <= 3 + lines

    @pytest.mark.parametrize("depth", [150, 330, 3000])
    @pytest.mark.parametrize("brackets", ["[]", "{}", "()"])
    def test_deep_nesting_is_refused_too(self, depth: int, brackets: str) -> None:
        opening = "{1: " if brackets == "{}" else brackets[0]
        closing = ",)" if brackets == "()" else brackets[1]
        refusal(f"train.order = {opening * depth}1{closing * depth}")
        refusal(f"A = {opening * depth}1{closing * depth}\ntrain.order = %A")

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("encoders.csro.latent_dim=20.0", "encoders.csro.latent_dim: expected int, got 20.0"),
            ("encoders.csro.lr=-1", "encoders.csro.lr: expected a number > 0, got -1"),
            ("encoders.csroo.lr=1", "no part named 'encoders.csroo'"),
            ("encoders.csro.rate=1", "has no field 'rate'"),
            ("encoders.focal.lr=1e-3", "encoders.focal.lr is bound but nothing uses it"),
            ("MINE=1", "MINE is bound but nothing uses it"),
            ("a/encoders.csro.lr=1", "scopes (a/) are not used here"),
            ("train.steps", "expected path=value, for example --set encoders.csro.latent_dim=10"),
            ("", "expected path=value"),
            ("=5", "not a gin binding"),
            ("train.steps=", "not a gin binding"),
            ("train.steps=5\ntrain.batch=6", "expected path=value"),
            ("train.steps=5\rimport os", "expected path=value"),
            ("train.steps=1 2", "not a gin binding"),
            ("encoders.csro.lr=nan", "encoders.csro.lr: expected a number > 0, got 'nan'"),
        ],
    )
    def test_in_set_the_sentence_names_the_setting(self, setting: str, expected: str) -> None:
        sentence = refusal("", setting)
        assert sentence.startswith("--set ")
        assert expected in sentence
        assert "\n" not in sentence

    def test_of_two_layers_the_one_that_won_is_named(self) -> None:
        assert refusal("train.steps = 5.5", "train.steps=-1").startswith("--set train.steps=-1: train.steps")
        assert refusal("\ntrain.steps = 5.5").startswith("my.gin:2: train.steps")

    def test_a_missing_part_is_named_with_the_remedy(self) -> None:
        with pytest.raises(InputError, match=r"^experiment\.env is required .*--method and --env"):
            build_experiment([shipped_layer("methods", "select")], "x")
        with pytest.raises(InputError, match=r"^experiment\.encoder is required"):
            build_experiment([shipped_layer("envs", "point_robot")], "x")
        with pytest.raises(InputError, match=r"^experiment\.encoder is required"):
            build_experiment([], "x")

    def test_a_name_that_no_folder_may_have_is_its_files(self) -> None:
        with pytest.raises(
            InputError, match=r"^an experiment cannot be called 'my file', as its file is: .*give --name"
        ):
            build_experiment(layers(), "my file")
        named = Layer("my.gin", "experiment.name = 'mine'", own=False)
        assert build_experiment([*layers(), named], "my file").name == "mine"

    def test_the_same_binding_twice_is_no_fault(self) -> None:
        assert user("train.steps = 7\ntrain.steps = 7").train.steps == 7

    def test_a_plugins_file_in_another_encoding_is_named_with_its_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "mine.gin"
        file.write_bytes(b"# mine\ntrain.steps = 5  # \xe9t\xe9\n")
        monkeypatch.setattr("selectrl.gin_edge.shipped", lambda _: {"mine": file})
        with pytest.raises(InputError, match=r"mine.gin:2: byte 0xe9 is not UTF-8 text; save the file as UTF-8"):
            shipped_layer("methods", "mine")

    def test_an_import_does_not_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        marker = tmp_path / "it-ran"
        (tmp_path / "side_effect.py").write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert "can bind values, not import" in refusal("import side_effect\ntrain.steps = 5")
        assert "can bind values, not import" in refusal("train.steps = 5\nimport side_effect")
        assert not marker.exists()
        assert "side_effect" not in sys.modules
        __import__("side_effect")  # so that the marker is known to work
        assert marker.exists()

    def test_an_include_is_not_opened(self, tmp_path: Path) -> None:
        included = tmp_path / "other.gin"
        included.write_text("train.steps = 5")
        assert "not import or include" in refusal(f"include '{included}'")
        assert "not import or include" in refusal(f"include '{tmp_path / 'missing.gin'}'")


class TestUserFiles:
    def read(self, path: Path) -> Experiment:
        return build_experiment([*layers(), *user_layers(path, ())], "mine")

    def refused(self, path: Path) -> str:
        with pytest.raises(InputError) as caught:
            self.read(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        assert "No such file" in self.refused(tmp_path / "missing.gin")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "Is a directory" in self.refused(tmp_path)

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.gin"
        path.write_bytes("# Größe\ntrain.steps = 5\n".encode("latin-1"))
        assert "latin.gin:1: byte 0xf6 is not UTF-8 text; save the file as UTF-8" in self.refused(path)

    def test_binary(self, tmp_path: Path) -> None:
        path = tmp_path / "binary.gin"
        path.write_bytes(bytes(range(256)))
        self.refused(path)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_every_newline_and_a_byte_order_mark_are_read(self, tmp_path: Path, encoding: str, newline: str) -> None:
        path = tmp_path / "mine.gin"
        path.write_bytes(newline.join(["# Größe", "train.steps = 5", "train.batch = 6", ""]).encode(encoding))
        experiment = self.read(path)
        assert (experiment.train.steps, experiment.train.batch) == (5, 6)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty.gin").touch()
        assert self.read(tmp_path / "empty.gin") == build_experiment(layers(), "mine")

    def test_the_sentence_names_file_and_line(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.gin"
        path.write_text("\n\n\nencoders.csro.lr = -1\n")
        assert self.refused(path).startswith(f"{path}:4: encoders.csro.lr: expected a number > 0, got -1")


class TestParts:
    def test_a_part_alone(self) -> None:
        assert build_part("collectors.proximal", user_layers(None, ["collectors.proximal.sigma=.5"])) == ProximalConfig(
            sigma=0.5
        )

    def test_bindings_lie_over_a_config(self) -> None:
        base = TestConfig(budget=80, prior="centroid")
        built = build_part("test", [as_layer(base), *user_layers(None, ["test.repeats=3"])])
        assert built == attrs.evolve(base, repeats=3)

    @pytest.mark.parametrize("method", METHODS)
    def test_a_whole_experiment_as_bindings_gives_itself(self, method: str) -> None:
        experiment = build_experiment(layers(method, profile="laptop"), method)
        text = as_layer(experiment).text
        assert build_experiment([Layer("mine.gin", text, own=False)], "other") == experiment

    def test_unknown(self) -> None:
        with pytest.raises(InputError, match=r"nothing is called 'collectors\.proximl'; did you mean"):
            build_part("collectors.proximl", [])

    def test_a_binding_of_another_part_is_dead(self) -> None:
        with pytest.raises(InputError, match=r"^--set train\.steps=5: train\.steps is bound but nothing uses it"):
            build_part("test", user_layers(None, ["train.steps=5"]))


WORDS = """
    encoders.csro experiment experiment.test test .latent_dim .encoder train.steps @test() import include from a/ A B
    = @ % ( ) [ ] { } : , - / ; $ ! # ' " \''\' 1 1.5 1e5 1_0 0x None b' ...
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n", "\t", "\r", "\f", "\0", "\\", "é", "\ufeff", "\u2028"])


class TestAnyText:
    """Whatever a file holds, the answer is a value or an InputError of one line, and gin forgets it."""

    def check(self, text: str, name: str) -> None:
        try:
            built = build_experiment([*layers(), Layer(name, text, own=False)], "x")
        except InputError as error:
            sentence = str(error)
        else:
            sentence = ""
            assert experiment_from_record(json.loads(json.dumps(to_record(built)))) == built
        assert "\n" not in sentence
        assert gin.config_str() == ""
        assert not gin.config._CONFIG

    @settings(max_examples=150)
    @given(text=st.text(max_size=60))
    def test_random_characters(self, text: str) -> None:
        self.check(text, "my.gin")

    @settings(max_examples=300)
    @given(pieces=st.lists(PIECES, max_size=14), glue=st.sampled_from(["", " "]))
    def test_random_pieces_of_gin(self, pieces: list[str], glue: str) -> None:
        self.check(glue.join(pieces), "my.gin")

    @settings(max_examples=100)
    @given(
        path=st.sampled_from(["train.steps", "encoders.csro.hidden", "experiment.actor", "data.name"]), value=st.text()
    )
    def test_random_values_in_set(self, path: str, value: str) -> None:
        try:
            layer = user_layers(None, [f"{path}={value}"])[0]
        except InputError:
            return
        self.check(layer.text, layer.name)
