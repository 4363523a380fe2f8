from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
import scipy.stats

from selectrl.errors import InputError
from selectrl.functional.estimates import two_way_interval
from selectrl.report.analysis.analyse import Analysis, analyse
from selectrl.report.analysis.formats import clock, digits_for, interval, join, number
from selectrl.report.analysis.group import difference, group
from selectrl.report.analysis.metrics import AREA, CONTEXT_FREE, GAIN, GAP, IQM, MEAN, STD
from selectrl.report.analysis.notes import notes
from selectrl.report.analysis.sentences import gained, order, sentence, verdict
from selectrl.report.figures.style import DARK, LIGHT, hue, marks
from selectrl.report.load import load
from selectrl.report.pages.run_tables import cost

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
        ("focal", 2, "prior"),
        ("select", 0, "proximal"),
        ("select", 1, "proximal"),
        ("select", 2, "proximal"),
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
    files = [two_methods / f"point_robot/select/seed{seed}/evaluations/proximal.json" for seed in (0, 1, 2)]
    returns = np.array([json.loads(file.read_text())["returns"] for file in files])  # (seed, task, repeat, point)
    analysis = analyse(family)
    select = next(one for one in analysis.methods if one.row.method == "select")
    assert select.mean == pytest.approx(returns[..., -1].mean())
    assert select[STD].value == pytest.approx(np.std(returns[..., -1].mean(axis=(1, 2)), ddof=1))
    assert select[CONTEXT_FREE].value == pytest.approx(returns[..., 0].mean())
    assert select[GAIN].value == pytest.approx((returns[..., -1] - returns[..., 0]).mean())
    steps = np.array(family.rows[1].evaluation.context_steps)
    assert select[AREA].value == pytest.approx(np.trapezoid(returns.mean(axis=(0, 1, 2)), steps) / 400)
    offline = next(one for one in analysis.summaries if one.row.label == "offline")
    assert select[GAP].value == pytest.approx(offline.mean - select.mean)
    assert analysis.methods[0] is select
    assert analysis.unbeaten == ("select",)


def test_a_planted_difference_is_said_and_with_few_seeds_only_of_these_runs(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + noise(s) for s in range(3)], "beta": [-8 + noise(s + 9) for s in range(3)]}
    analysis = planted(make_run, tmp_path, finals)
    (pair,) = analysis.verdicts
    assert order(analysis) == verdict(pair, 2)
    assert verdict(pair, 2).startswith(
        f"alpha scores above beta by {pair.effect.value:.2f} in these runs (95% interval "
    )
    assert verdict(analysis.comparisons["beta", "alpha"], 2).startswith("beta scores below alpha by ")
    assert pair.improvement > 0.95
    assert pair.wins == 10
    assert any(note.startswith("With 3 seeds of a method it cannot be checked") for note in notes(analysis))


def test_five_seeds_carry_a_claim(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + noise(s) for s in range(5)], "beta": [-8 + noise(s + 9) for s in range(5)]}
    analysis = planted(make_run, tmp_path, finals)
    assert order(analysis).startswith("alpha scores above beta by ")
    assert "in these runs" not in order(analysis)
    assert notes(analysis) == []


def test_a_planted_tie_is_called_a_tie(tmp_path: Path, make_run: Make) -> None:
    finals = {"alpha": [-5 + 9 * noise(s) for s in range(3)], "beta": [-5 - 9 * noise(s) for s in range(3)]}
    analysis = planted(make_run, tmp_path, finals)
    (pair,) = analysis.verdicts
    said = order(analysis) + verdict(pair, 2)
    assert f"No significant difference between {pair.a} and {pair.b}: +" in said
    assert " above " not in said
    assert " below " not in said
    assert pair.improvement_interval[0] < 0.5 < pair.improvement_interval[1]
    assert set(analysis.unbeaten) == {"alpha", "beta"}


def test_shared_luck_of_a_seed_is_not_mistaken_for_many_tasks_agreeing(tmp_path: Path, make_run: Make) -> None:
    """One seed better, one worse, by the same amount on all ten tasks: a tie, whatever the tasks say."""
    finals = {"alpha": [np.full(10, value) for value in (-4.0, -6.5, -5.5)], "beta": [np.full(10, -5.0)] * 3}
    assert order(planted(make_run, tmp_path, finals)).startswith("No significant difference between beta and alpha: ")


def test_three_methods_of_which_two_share_the_top(tmp_path: Path, make_run: Make) -> None:
    clear = {"a": [-5 + noise(0)] * 3, "b": [-7 - noise(0)] * 3, "c": [-9 + noise(3)] * 3}
    said = order(planted(make_run, tmp_path / "clear", clear))
    assert said == "a scores above every other method in these runs: the 95% interval of each difference excludes zero."
    luck = (np.full(10, value) for value in (-1.0, 0.0, 1.0))
    finals = {"a": [-5 + noise(0)] * 3, "b": [-5 - noise(0) + shift for shift in luck], "c": [-9 + noise(3)] * 3}
    said = order(planted(make_run, tmp_path / "shared", finals))
    assert said in (
        "No method is shown to be above a or b; c is below at least one.",
        "No method is shown to be above b or a; c is below at least one.",
    )


def test_one_shared_seed_tells_no_methods_apart(tmp_path: Path, make_run: Make) -> None:
    """Ten tasks of one seed agree, and that may be the seed's luck."""
    analysis = planted(make_run, tmp_path, {"a": [-5 + noise(0)], "b": [-9 + noise(1)], "c": [-13 + noise(2)]})
    assert all(pair.sign == 0 and pair.effect.interval is None for pair in analysis.verdicts)
    assert verdict(analysis.verdicts[0], 2).endswith("(1 shared seed × 10 tasks): too few seeds for an interval.")
    assert order(analysis) == "No order of a, b and c can be shown: too few seeds for an interval."


@pytest.mark.parametrize("seeds", [2, 3])
def test_an_interval_takes_three_seeds(tmp_path: Path, make_run: Make, seeds: int) -> None:
    finals = {name: [level + noise(10 * level + s) for s in range(seeds)] for name, level in (("a", 5), ("b", 9))}
    analysis = planted(make_run, tmp_path, finals)
    estimates = [one[metric] for one in analysis.methods for metric in (MEAN, IQM, GAIN, AREA)]
    pair = analysis.verdicts[0]
    assert {estimate.interval is None for estimate in [*estimates, pair.effect]} == {seeds < 3}
    assert (pair.improvement_interval is None) == (pair.effect.interval_other_tasks is None) == (seeds < 3)
    said = [sentence(analysis, analysis.methods[0], 2), order(analysis), *notes(analysis)]
    assert any("95% interval" in text for text in said) == (seeds >= 3)


def test_both_intervals_are_those_of_the_paired_differences(tmp_path: Path, make_run: Make) -> None:
    finals = {"a": [-5 + noise(s, 2.0) for s in range(4)], "b": [-8 + noise(s + 9, 2.0) for s in range(4)]}
    pair = planted(make_run, tmp_path, finals).comparisons["a", "b"]
    table = np.array(finals["a"]) - np.array(finals["b"])  # (seed, task)
    means = table.mean(axis=1)
    theirs = scipy.stats.t.interval(0.95, 3, means.mean(), scipy.stats.sem(means))
    assert pair.effect.interval == pytest.approx(theirs)
    assert pair.effect.interval_other_tasks == pytest.approx(two_way_interval(table))
    ends = " to ".join(f"{end:+.2f}".replace("-", "−") for end in pair.effect.interval_other_tasks)
    assert f"on these tasks, {ends} on other tasks of the family; 4 shared seeds × 10 tasks" in verdict(pair, 2)


def test_an_interval_inside_the_margin_says_equal(tmp_path: Path, make_run: Make) -> None:
    """Point-Robot's margin is 0.83."""
    finals = {name: [-5 + noise(seed + s, 0.05) for s in range(3)] for name, seed in (("a", 0), ("b", 20), ("c", 40))}
    analysis = planted(make_run, tmp_path / "near", finals)
    assert all(pair.is_equal for pair in analysis.comparisons.values())
    undecided = next(pair for pair in analysis.verdicts if pair.sign == 0)
    equal = f"{undecided.a} and {undecided.b} are equal within ±0.83: the difference is "
    assert verdict(undecided, 2).startswith(equal)
    wide = {"a": [np.full(10, value) for value in (-5.0, -6.0, -4.0)], "b": [np.full(10, -5.0)] * 3}
    (pair,) = planted(make_run, tmp_path / "wide", wide).verdicts
    assert not pair.is_equal
    assert verdict(pair, 2).startswith(f"No significant difference between {pair.a} and {pair.b}: 0.00 (95% interval ")


def test_context_that_does_nothing_or_harm_is_said_so(tmp_path: Path, make_run: Make) -> None:
    finals = {"harm": [-18 + noise(s) for s in range(3)], "idle": [-15 + noise(1), -15 - noise(1), np.full(10, -15.0)]}
    analysis = planted(make_run, tmp_path, finals)
    said = {one.row.method: gained(one[GAIN], 2) for one in analysis.methods}
    assert said["harm"].startswith("Context lowers it by ")
    assert said["idle"].startswith("No effect of context could be shown (")


def test_one_seed_has_no_interval_over_seeds_and_the_sentence_says_so(tmp_path: Path, make_run: Make) -> None:
    analysis = planted(make_run, tmp_path, {"alone": [-5 + noise(0)]})
    (one,) = analysis.methods
    assert one[MEAN].interval is one[IQM].interval is one.get(STD) is None
    assert "(1 seed, too few for an interval)" in sentence(analysis, one, 2)
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
    edit(spoil("h", "evaluated on ant_goal") / "evaluations" / "proximal.json", env="ant_goal")
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
