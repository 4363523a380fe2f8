"""Notes on a comparison: reasons why its numbers may be unfair, one sentence each."""

from __future__ import annotations

from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.estimate import ENOUGH_SEEDS, FEWEST_SEEDS
from selectrl.report.analysis.formats import count, join, short
from selectrl.report.analysis.group import difference
from selectrl.report.analysis.metrics import END_SLOPE
from selectrl.report.analysis.sentences import effect
from selectrl.report.records import Row


def notes(analysis: Analysis) -> list[str]:
    """Return the reasons why a comparison may be unfair, one sentence each."""
    rows = [summary.row for summary in analysis.methods]
    sentences = []
    fewest = min(len(row.seeds) for row in rows)
    if fewest < FEWEST_SEEDS:
        sentences.append(
            f"There are {count(fewest, 'seed')} of some methods. An interval takes {FEWEST_SEEDS} seeds or more, and a "
            f"claim about methods {ENOUGH_SEEDS}."
        )
    elif fewest < ENOUGH_SEEDS:
        read = " Read “above” and “below” as statements about these runs." if len(rows) > 1 else ""
        sentences.append(
            f"With {count(fewest, 'seed')} of a method it cannot be checked that seeds scatter normally, as intervals "
            f"assume.{read} A claim about methods takes {ENOUGH_SEEDS} seeds or more."
        )
    if len({row.seeds for row in rows}) > 1:
        sentences.append(
            "The methods do not have the same seeds; differences are taken over the seeds that two of them share."
        )
    for row in rows:
        others = _other_collectors(analysis, row)
        if others:
            sentences.append(
                f"{row.method} is reported under {row.label}, its first seed’s collector, not {join(others)}."
            )
    executions = [run.execution for row in rows for run in row.runs]
    prints = sorted({short(execution.dataset.fingerprint if execution else "not recorded") for execution in executions})
    if len(prints) > 1:
        sentences.append(f"The runs were not trained on the same data (fingerprints {join(prints)}).")
    for row in rows:
        changed = sorted({part for run in row.runs for part in run.changed})
        if changed:
            sentences.append(f"The source code of {join(changed)} has changed since {row.method} was trained.")
    steps = [f"{row.method} {row.runs[0].steps}" for row in rows]
    if len({row.runs[0].steps for row in rows}) > 1:
        sentences.append(f"The methods were not trained for equally many steps ({join(steps)}).")
    environments = [row.runs[0].experiment["env"] for row in rows]
    unequal = next((d for other in environments if (d := difference(environments[0], other))), None)
    if unequal:
        sentences.append(f"The methods did not face the same environment ({unequal}).")
    slopes = [(summary.row.method, slope) for summary in analysis.methods if (slope := summary.get(END_SLOPE))]
    rates = [f"{method} ({effect(slope, 2)} per 1,000 steps)" for method, slope in slopes if slope.sign > 0]
    if rates:
        sentences.append(f"Still rising at the end of training: {join(rates)}. Longer training may change the order.")
    fair = next((run.fairness for row in rows for run in row.runs if run.fairness), None)
    for check in fair.checks if fair else ():
        if not check.ok:
            sentences.append(f"A check of fairness failed: {check.what}{f' ({check.detail})' if check.detail else ''}.")
    examined = {method for item in (fair.differs if fair else ()) for method in item.values}
    unexamined = [row.method for row in rows if examined and row.method not in examined]
    if unexamined:
        sentences.append(f"The record of fairness is of a comparison without {join(unexamined)}.")
    settings = [
        {**row.evaluation.settings, "repeats": row.evaluation.repeats, "terminals": row.runs[0].terminals}
        for row in rows
    ]
    for name, words in (
        ("prior", "start from different priors"),
        ("test_seed", "were tested under different noise, seeds"),
        ("block", "collected context in blocks of other lengths"),
        ("gate", "first read the belief after other numbers of episodes"),
        ("repeats", "were tested with other numbers of repeats"),
        ("terminals", "learnt from other ends of episodes"),
    ):
        values = sorted({str(setting[name]) for setting in settings})
        if len(values) > 1:
            sentences.append(f"The methods {words}: {join(values)}.")
    return sentences


def _other_collectors(analysis: Analysis, own: Row) -> list[str]:
    """Return the collectors that seeds of a method bind instead of the one that it is reported under."""
    runs = {run.seed: run for row in analysis.family.rows if row.method == own.method for run in row.runs}
    bound = {seed: runs[seed].own.get(analysis.family.protocol, own.label) for seed in sorted(runs)}
    return [f"seed {seed}’s {label}" for seed, label in bound.items() if label != own.label]
