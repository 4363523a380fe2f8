"""Names, files and experiments as rows of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fakes
import pytest

from selectrl.api.rows import grid_rows, method_rows
from selectrl.compare.plan import ComparisonRow
from selectrl.errors import InputError

NOTHING: dict[str, Any] = {
    "ablations": (),
    "collectors": (),
    "tuned": None,
    "profile": None,
    "file": None,
    "settings": (),
}


def named(*methods: Any, env: tuple[str, ...] = ("point_robot",), **changes: Any) -> list[ComparisonRow]:
    return method_rows(methods, env, **{**NOTHING, **changes})


def names(rows: list[ComparisonRow]) -> list[str]:
    return [row.experiment.name for row in rows]


def grid(*vary: str, **changes: Any) -> list[ComparisonRow]:
    given: dict[str, Any] = {"grid": None, "profile": None, "settings": ()}
    return grid_rows("select", ("point_robot",), vary, **{**given, **changes})


class TestMethods:
    def test_names_experiments_and_gin_files_stand_side_by_side(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.gin"
        file.write_text(
            "experiment.encoder = @encoders.focal()\nexperiment.critic = @critics.twin_q_v()\n"
            "experiment.actor = @actors.sac()\nexperiment.collector = @collectors.online()\n"
        )
        experiment = fakes.experiment("csro")
        rows = named("select", experiment, str(file))
        assert names(rows) == ["select", "csro", "mine"]
        assert names(named(experiment, file, "select")) == ["csro", "mine", "select"]
        assert rows[1].experiment is experiment
        assert rows[2].experiment.env_name == "point_robot"

    def test_an_experiment_needs_no_environment_and_a_name_does(self) -> None:
        experiments = fakes.experiment("csro"), fakes.experiment("focal")
        assert names(named(*experiments, env=())) == ["csro", "focal"]
        with pytest.raises(InputError, match="select needs an environment"):
            named("select", experiments[0], env=())

    def test_ablations_are_of_the_first_method_and_collectors_of_all(self) -> None:
        rows = named("select", "focal", ablations=("td3_bc",), collectors=("online",))
        assert names(rows) == ["select", "select-online", "select-td3_bc", "select-td3_bc-online", "focal"]
        with pytest.raises(InputError, match="an ablation applies to the first method"):
            named(fakes.experiment("csro"), "select", ablations=("td3_bc",))

    def test_one_row_an_environment_is_nothing_to_compare(self) -> None:
        with pytest.raises(InputError, match="select has nothing to compare with"):
            named("select")
        both = ("point_robot", "half_cheetah_vel")
        assert [row.experiment.env_name for row in named("select", "focal", env=both)] == [
            "point_robot",
            "point_robot",
            "half_cheetah_vel",
            "half_cheetah_vel",
        ]

    def test_settings_bind_where_they_fit(self) -> None:
        select, focal = named("select", "focal", settings=("actors.weighted_bc.alpha=5.0", "PRETRAIN_STEPS=5"))
        assert select.experiment.actor.alpha == 5.0  # type: ignore[attr-defined]
        assert "weighted_bc" not in focal.gin
        with pytest.raises(InputError, match=r"encoders\.borel\.lr is bound but no row uses it"):
            named("select", "focal", settings=("encoders.borel.lr=1e-3",))

    def test_tuned_bindings_are_laid_over_and_their_budget_is_noted(self, tmp_path: Path) -> None:
        folder = tmp_path / "point_robot"
        (folder / "focal").mkdir(parents=True)
        (folder / "focal.gin").write_text("encoders.focal.lr = 0.001\n")
        (folder / "focal" / "tuned.json").write_text('{"trials": 3, "steps": 60}')
        select, focal = named("select", "focal", tuned=tmp_path)
        assert (select.tuning, focal.tuning) == ("no tuning", "3 trials of 60 steps")
        assert focal.experiment.encoder.lr == 0.001  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="has nothing for point_robot"):
            named("select", "focal", tuned=folder)


class TestGrid:
    def test_every_combination_is_a_row(self) -> None:
        rows = grid("actor=weighted_bc,td3_bc", "collector=proximal,online")
        assert names(rows) == [
            "select-weighted_bc-proximal",
            "select-weighted_bc-online",
            "select-td3_bc-proximal",
            "select-td3_bc-online",
        ]

    def test_commas_in_brackets_belong_to_a_value(self) -> None:
        rows = grid("critics.dual_target.hidden=(8,8),[16,16]")
        assert [row.experiment.critic.hidden for row in rows] == [(8, 8), (16, 16)]  # type: ignore[attr-defined]
        assert names(rows) == ["select-hidden_8_8_", "select-hidden_16_16_"]

    def test_a_file_names_its_row(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "slow.gin").write_text("critics.dual_target.q_lr = 1e-5\n")
        rows = grid("speed=~/slow.gin,weight_exp")
        assert names(rows) == ["select-slow", "select-weight_exp"]
        assert rows[0].experiment.critic.q_lr == 1e-5  # type: ignore[attr-defined]

    def test_axes_of_a_file_come_first(self, tmp_path: Path) -> None:
        file = tmp_path / "grid.gin"
        file.write_text('grid.vary = ("collector=proximal,online",)\n')
        rows = grid("test.budget=40,80", grid=file)
        assert names(rows)[:2] == ["select-proximal-budget40", "select-proximal-budget80"]

    @pytest.mark.parametrize(
        ("vary", "sentence"),
        [
            ((), "nothing varies"),
            (("actor",), "expected NAME=a,b"),
            (("actor=",), "expected NAME=a,b"),
            (("actor=brak",), "did you mean 'brac'"),
            (("word=nothing",), "no such part or ablation"),
        ],
    )
    def test_wrong_words_are_named(self, vary: tuple[str, ...], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            grid(*vary)
