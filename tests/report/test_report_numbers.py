from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from selectrl.errors import InputError
from selectrl.report.analyse import Analysis, analyse
from selectrl.report.group import difference, group
from selectrl.report.load import load
from selectrl.report.style import DARK, LIGHT, hue, marks
from selectrl.report.tables import cost
from selectrl.report.words import clock, digits_for, gained, interval, join, notes, number, order, sentence, verdict

Make = Callable[..., Path]


def edit(file: Path, **changes: object) -> None:
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | changes))


def replanted(folder: Path, label: str, final: np.ndarray) -> None:
    """Give an evaluation the final returns (task,), the same in every repeat, and -15 before."""
    file = folder / "evaluations" / f"{label}.json"
    record = json.loads(file.read_text())
    returns = np.full((10, record["repeats"], len(record["context_steps"])), -15.0)
    returns[..., -1] = final[:, None]
    file.write_text(json.dumps(record | {"returns": returns.tolist()}))


def planted(make_run: Make, root: Path, finals: dict[str, list[np.ndarray]]) -> Analysis:
    """Methods whose final returns are (seed, task) arrays."""
    for method, seeds in finals.items():
        for seed, final in enumerate(seeds):
            replanted(make_run(root, method, seed, repeats=1), "proximal", final)
    families, omissions = group(load([root])[0])
    assert not omissions
    return analyse(families[0])


def noise(seed: int, scale: float = 0.3) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=10)


def test_rows_hold_the_numbers_of_the_files(two_methods: Path) -> None:
    runs, omissions = load([two_methods])
    assert [(run.method, run.seed, run.own["equal_budget"]) for run in runs] == [
        ("focal", 0, "prior"),
        ("focal", 1, "prior"),
        ("select", 0, "proximal"),
        ("select", 1, "proximal"),
    ]
    families, odd = group(runs)
    assert not omissions
    assert not odd
    (family,) = families
    assert family.title == "Point-Robot"
    assert [(row.method, row.label, row.own) for row in family.rows] == [
        ("focal", "prior", True),
        ("select", "proximal", True),
        ("select", "non_prior", False),
        ("select", "offline", False),
    ]
    files = [two_methods / f"point_robot/select/seed{seed}/evaluations/proximal.json" for seed in (0, 1)]
    returns = np.array([json.loads(file.read_text())["returns"] for file in files])  # (seed, task, repeat, point)
    analysis = analyse(family)
    select = next(one for one in analysis.methods if one.row.method == "select")
    assert select.mean == pytest.approx(returns[..., -1].mean())
    assert select.std == pytest.approx(np.std(returns[..., -1].mean(axis=(1, 2)), ddof=1))
    assert select.context_free == pytest.approx(returns[..., 0].mean())
    assert select.gain.value == pytest.approx((returns[..., -1] - returns[..., 0]).mean())
    steps = np.array(family.rows[1].evaluation.context_steps)
    assert select.area == pytest.approx(np.trapezoid(returns.mean(axis=(0, 1, 2)), steps) / 400)
    offline = next(one for one in analysis.summaries if one.row.label == "offline")
    assert select.gap is not None
    assert select.gap.value == pytest.approx(offline.mean - select.mean)
    assert analysis.methods[0] is select
    assert analysis.unbeaten == ("select",)


def test_a_planted_difference_is_said_and_with_few_seeds_only_of_these_runs(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + noise(s) for s in range(2)], "beta": [-8 + noise(s + 9) for s in range(2)]}
    analysis = planted(make_run, tmp_path, finals)
    (pair,) = analysis.verdicts
    assert order(analysis) == verdict(pair, 2)
    assert verdict(pair, 2).startswith(
        f"alpha scores above beta by {pair.effect.value:.2f} in these runs (95% interval "
    )
    assert verdict(analysis.comparisons["beta", "alpha"], 2).startswith("beta scores below alpha by ")
    assert pair.improvement > 0.95
    assert pair.wins == 10
    assert any(note.startswith("With as few as 2 seeds to a method") for note in notes(analysis))


def test_five_seeds_carry_a_claim(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + noise(s) for s in range(5)], "beta": [-8 + noise(s + 9) for s in range(5)]}
    analysis = planted(make_run, tmp_path, finals)
    assert order(analysis).startswith("alpha scores above beta by ")
    assert "in these runs" not in order(analysis)
    assert notes(analysis) == []


def test_a_planted_tie_is_called_a_tie(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + noise(s) for s in range(2)], "beta": [-5 - noise(s) for s in range(2)]}
    analysis = planted(make_run, tmp_path, finals)
    (pair,) = analysis.verdicts
    said = order(analysis) + verdict(pair, 2)
    assert f"{pair.a} and {pair.b} are not told apart: the difference is +" in said
    assert " above " not in said
    assert " below " not in said
    assert pair.improvement_interval[0] < 0.5 < pair.improvement_interval[1]
    assert set(analysis.unbeaten) == {"alpha", "beta"}


def test_shared_luck_of_a_seed_is_not_mistaken_for_many_tasks_agreeing(tmp_path: Path, make_run: Make) -> None:
    """One seed better, one worse, by the same amount on all ten tasks: a tie, whatever the tasks say."""
    finals = {"alpha": [np.full(10, -4.0), np.full(10, -6.5)], "beta": [np.full(10, -5.0), np.full(10, -5.0)]}
    assert "not told apart" in order(planted(make_run, tmp_path, finals))


def test_three_methods_of_which_two_share_the_top(tmp_path: Path, make_run: Make) -> None:
    clear = {"a": [-5 + noise(0)] * 2, "b": [-7 - noise(0)] * 2, "c": [-9 + noise(3)] * 2}
    said = order(planted(make_run, tmp_path / "clear", clear))
    assert said == "a scores above every other method in these runs: the 95% interval of each difference excludes zero."
    finals = {"a": [-5 + noise(0)] * 2, "b": [-5 - noise(0)] * 2, "c": [-9 + noise(3)] * 2}
    said = order(planted(make_run, tmp_path / "shared", finals))
    assert said in (
        "No method is shown to be above a or b; c is below at least one.",
        "No method is shown to be above b or a; c is below at least one.",
    )


def test_one_shared_seed_tells_no_methods_apart(tmp_path: Path, make_run: Make) -> None:
    """Ten tasks of one seed agree, and that may be the seed's luck."""
    analysis = planted(make_run, tmp_path, {"a": [-5 + noise(0)], "b": [-9 + noise(1)], "c": [-13 + noise(2)]})
    assert all(pair.sign == 0 and pair.effect.sign == 1 for pair in analysis.verdicts)
    assert verdict(analysis.verdicts[0], 2).endswith("It takes two shared seeds to tell a method from a seed’s luck.")
    assert order(analysis) == "a, b and c are not told apart, some of them for want of shared seeds."


def test_context_that_does_nothing_or_harm_is_said_so(tmp_path: Path, make_run: Make) -> None:
    finals = {"harm": [-18 + noise(s) for s in range(2)], "idle": [-15 + noise(1), -15 - noise(1)]}
    analysis = planted(make_run, tmp_path, finals)
    said = {one.row.method: gained(one.gain, 2) for one in analysis.methods}
    assert said["harm"].startswith("Context lowers it by ")
    assert said["idle"].startswith("No effect of context could be shown (")


def test_one_seed_has_no_interval_over_seeds_and_the_sentence_says_so(tmp_path: Path, make_run: Make) -> None:
    analysis = planted(make_run, tmp_path, {"alone": [-5 + noise(0)]})
    (one,) = analysis.methods
    assert one.mean_interval is one.iqm_interval is one.std is None
    assert "(one seed, so no interval)" in sentence(analysis, one, 2)
    assert order(analysis) == ""


def test_tests_that_differ_are_not_compared(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path, "alpha", 0)
    other = make_run(tmp_path, "beta", 0)
    edit(other / "evaluations" / "proximal.json", budget=800)
    families, _ = group(load([tmp_path])[0])
    analysis = analyse(families[0])
    assert analysis.comparisons["alpha", "beta"].effect is None
    assert (
        verdict(analysis.comparisons["alpha", "beta"], 2) == "alpha and beta are not compared: budget 400 against 800."
    )
    assert "are not compared: budget " in order(analysis)


def test_unfair_comparisons_are_noted(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path, "alpha", 0)
    make_run(tmp_path, "alpha", 1)
    other = make_run(tmp_path, "beta", 0, steps=8000)
    edit(other / "execution.json", dataset={"fingerprint": "other"})
    edit(other / "evaluations" / "proximal.json", prior="centroid", test_seed=3)
    said = " ".join(notes(analyse(group(load([tmp_path])[0])[0][0])))
    for part in (
        "do not have the same seeds",
        "the same data (",
        "equally many steps (",
        "different priors",
        "different noise",
    ):
        assert part in said


def test_unfinished_and_corrupt_runs_are_left_out_with_their_reason(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path, "good", 0, labels=("proximal", "non_prior"))
    reasons = {}

    def spoil(method: str, reason: str) -> Path:
        folder = make_run(tmp_path, method, 0)
        reasons[method] = reason
        return folder

    (spoil("a", "is not valid JSON") / "experiment.json").write_text("{")
    sentence = (
        "unfinished: not evaluated with its own collector and test, proximal; training reached step 9,000 of 9,000"
    )
    (spoil("b", sentence) / "evaluations" / "proximal.json").unlink()
    edit(spoil("c", "evaluated at step 4,000 of 9,000") / "evaluations" / "proximal.json", train_step=4000)
    (spoil("d", "is not valid JSON") / "evaluations" / "proximal.json").write_text('{"label": "prox')
    edit(spoil("e", "returns: they are not of 2 tasks") / "evaluations" / "proximal.json", tasks=[1, 2])
    edit(spoil("f", "not a finite number") / "evaluations" / "proximal.json", returns=[[[float("nan")]]])
    edit(spoil("g", "seed: expected a whole number from 0, got 'zero'") / "experiment.json", seed="zero")
    edit(spoil("h", "evaluated on ant_goal") / "evaluations" / "proximal.json", env="ant_goal")
    edit(spoil("i", "context_steps: they do not increase") / "evaluations" / "proximal.json", context_steps=[0] * 21)
    edit(spoil("j", "experiment: expected a JSON object, got []") / "experiment.json", experiment=[])
    edit(spoil("k", "returns: expected a list, got 1") / "evaluations" / "proximal.json", returns=[[1], [1, 2]])
    edit(spoil("m", "is not the name of a protocol") / "evaluations" / "proximal.json", protocol="../../paper")
    file = spoil("n", "returns: expected a finite number, got None") / "evaluations" / "proximal.json"
    returns = json.loads(file.read_text())["returns"]
    returns[3][1][0] = None
    edit(file, returns=returns)
    folder = spoil("l", "experiment: env: expected the name of a part")
    experiment = json.loads((folder / "experiment.json").read_text())["experiment"]
    edit(folder / "experiment.json", experiment=experiment | {"env": {"part": "envs./etc/x"}})
    runs, omissions = load([tmp_path])
    assert [run.method for run in runs] == ["good"]
    told = {one.path.parent.name: one.reason for one in omissions}
    assert told.keys() == reasons.keys()
    for method, reason in reasons.items():
        assert reason in told[method], (method, told[method])


def test_a_torn_line_and_a_lost_record_of_the_machine_cost_nothing_else(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "torn", 0)
    whole = load([tmp_path])[0][0].tested
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "test", "ste')
    (folder / "execution.json").unlink()
    (run,), omissions = load([tmp_path])
    assert run.tested == whole
    assert run.execution is None
    assert [one.path.name for one in omissions] == ["metrics.jsonl", "execution.json"]
    assert all("the run itself is kept" in one.reason for one in omissions)
    assert omissions[0].reason.startswith("line 39 is damaged")


def test_seeds_of_another_experiment_and_second_copies_are_not_averaged_in(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path / "one", "m", 0, labels=("proximal", "prior"))
    make_run(tmp_path / "one", "m", 1, encoder={"part": "encoders.focal", "latent_dim": 5})
    odd = make_run(tmp_path / "one", "m", 2, labels=("proximal", "prior"))
    edit(odd / "evaluations" / "prior.json", prior="centroid")
    make_run(tmp_path / "two", "m", 0)
    runs, doubled = load([tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    assert next(one.reason for one in doubled).startswith("seed 0 of m is already read from")
    (family,), odd_ones = group(runs)
    assert {row.label: row.seeds for row in family.rows} == {"proximal": (0, 2), "prior": (0,)}
    assert [one.path.name for one in odd_ones] == ["seed1", "prior.json"]
    assert "encoder.part: encoders.csro against encoders.focal" in odd_ones[0].reason
    assert "prior: zero against centroid" in odd_ones[1].reason


def test_methods_are_called_by_name_and_by_folder_where_names_collide(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path, "select", 0, folder_name="select-1f")
    make_run(tmp_path, "focal", 0, folder_name="focal-2a")
    make_run(tmp_path, "focal", 0, folder_name="focal-3b")
    assert [run.method for run in load([tmp_path])[0]] == ["focal-2a", "focal-3b", "select"]


@pytest.mark.parametrize("where", ["missing", "empty"])
def test_a_path_without_runs_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"is not a folder|no run lies at or below"):
        load([tmp_path / where])


def test_small_words() -> None:
    assert number(-1234.5, 1) == "−1,234.5"
    assert number(-0.001, 2) == number(0.0, 2, sign=True) == "0.00"
    assert number(2, 1, sign=True) == "+2.0"
    assert number(None, 2) == interval(None, 2) == "–"
    assert interval((-1, 2), 1) == "−1.0 to 2.0"
    assert [digits_for(values) for values in ([], [-20.4], [300], [-4000.0])] == [2, 2, 1, 0]
    assert [join(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert [clock(s) for s in (None, 42.4, 200, 7500)] == ["–", "42 s", "3 min 20 s", "2 h 05 min"]
    assert difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert difference({"a": {"b": 1}}, {"a": {}}) == "a.b: 1 against unset"


def test_marks_are_distinct_and_the_palettes_name_the_same_colours() -> None:
    given = marks([f"m{i:02}" for i in range(24)])
    assert len({attrs.astuple(mark) for mark in given.values()}) == 24
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert hue(0) == "#3f6fdc"
    assert hue(2) == "#c8921b"
    assert hue(0, cyclic=True) == hue(1, cyclic=True)


@pytest.mark.parametrize(("palette", "least"), [(LIGHT, 3.0), (DARK, 3.0)])
def test_every_colour_stands_out_from_its_ground(palette: dict[str, str], least: float) -> None:
    """WCAG contrast: 3 for graphics, 4.5 for text."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(name: str) -> float:
        dark, bright = sorted([luminance(palette[name]), luminance(palette["ground"])])
        return (bright + 0.05) / (dark + 0.05)

    for name in palette.keys() - {"ground", "rule"}:
        assert contrast(name) >= (4.5 if name in ("ink", "muted") else least), name


def test_steps_before_the_rl_phase_count_beside_it_and_not_in_it(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "corro", 0)
    edit(folder / "execution.json", phases={"cvae": 300, "contrastive": 20_000, "rl": 9000})
    before = {"kind": "train", "phase": "contrastive", "step": 20_000, "phase_steps": 20_000}
    before |= {"steps_per_second": 900.0, "values": {}}
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(json.dumps(before) + "\n" + text)
    run = load([tmp_path])[0][0]
    assert (run.steps, run.pretraining, run.speed) == (9000, 20_300, 24.0)
    assert "20,300" in {cell.text for cell in cost(analyse(group([run])[0][0])).rows[0]}
