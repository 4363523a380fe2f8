from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selectrl.errors import InputError
from selectrl.functional.estimates import (
    area,
    improvement,
    improvement_interval,
    iqm,
    profile,
    slopes,
    stratified_bootstrap,
)

FLOATS = st.floats(-100, 100, allow_nan=False, width=32)
VECTORS = arrays(np.float64, st.integers(1, 40), elements=FLOATS)
TABLES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 5)), elements=FLOATS)


def test_iqm_of_eight_values_is_the_mean_of_the_middle_four() -> None:
    assert iqm([100.0, 1, 2, 3, 4, 5, 6, -100]) == pytest.approx((2 + 3 + 4 + 5) / 4)


@given(VECTORS)
def test_iqm_equals_scipys_trimmed_mean(values: np.ndarray) -> None:
    assert iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), abs=1e-9)


@given(VECTORS, st.randoms(use_true_random=False), FLOATS)
def test_iqm_ignores_order_and_follows_a_shift(values: np.ndarray, random: object, shift: float) -> None:
    shuffled = values.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert iqm(shuffled) == iqm(values)
    assert iqm(values + shift) == pytest.approx(iqm(values) + shift, abs=1e-9)


def widened(ends: Any, centre: float, units: int, freedom: int | None = None) -> Any:
    """An interval stretched about its centre as Student's is for so few units."""
    factor = scipy.stats.t.ppf(0.975, freedom or units - 1) / scipy.stats.norm.ppf(0.975) * (units / (units - 1)) ** 0.5
    return centre + factor * (np.asarray(ends) - centre)


@pytest.mark.parametrize("runs", [3, 5, 20])
def test_a_few_normal_runs_have_students_interval(runs: int) -> None:
    values = np.random.default_rng(10).normal(2.0, 3.0, size=runs)
    values = 1.0 + 2.0 * (values - values.mean()) / values.std(ddof=1)
    theirs = scipy.stats.t.interval(0.95, runs - 1, 1.0, 2.0 / runs**0.5)
    for ours in (
        stratified_bootstrap(values[None], np.mean, resamples=20000),
        stratified_bootstrap(np.repeat(values[None], 4, axis=0), np.mean, resamples=20000, together=True),
    ):
        assert np.ptp(ours) == pytest.approx(np.ptp(theirs), rel=0.12)  # a bootstrap follows skewness, Student does not
        assert ours[0] < 1 < ours[1]


def test_bootstrap_of_one_stratum_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(1, 30))
    ours = stratified_bootstrap(values, np.mean, resamples=8000)
    theirs = scipy.stats.bootstrap(
        (values[0],), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(ours, widened(theirs, values.mean(), 30), atol=0.05)


def test_strata_are_kept_apart() -> None:
    """Strata far apart but without spread leave nothing to resample."""
    values = np.repeat([[0.0], [100.0]], 3, axis=1)
    assert stratified_bootstrap(values, np.mean) == (50.0, 50.0)


def test_shared_luck_of_runs_shows_only_when_strata_are_resampled_together() -> None:
    luck = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    values = np.repeat(luck[None], 10, axis=0)  # every task repeats the luck of the run
    apart = stratified_bootstrap(values, np.mean)
    together = stratified_bootstrap(values, np.mean, together=True)
    alone = stratified_bootstrap(luck[None], np.mean)
    np.testing.assert_allclose(together, alone, atol=0.16)
    assert apart[1] - apart[0] < 0.5 * (together[1] - together[0])


@settings(max_examples=25)
@given(TABLES, FLOATS, st.booleans())
def test_bootstrap_is_ordered_deterministic_and_follows_a_shift(
    values: np.ndarray, shift: float, together: bool
) -> None:
    def interval(table: np.ndarray) -> tuple[float, float]:
        return stratified_bootstrap(table, iqm, resamples=100, together=together)

    low, high = interval(values)
    assert low <= high
    assert interval(values) == (low, high)
    np.testing.assert_allclose(interval(values + shift), (low + shift, high + shift), atol=1e-8)


@settings(max_examples=25)
@given(arrays(np.float64, (2, 4), elements=st.integers(0, 3)), arrays(np.float64, (2, 3), elements=st.integers(0, 3)))
def test_improvement_is_mann_and_whitneys_u_of_each_task(a: np.ndarray, b: np.ndarray) -> None:
    shares = [scipy.stats.mannwhitneyu(x, y).statistic / (4 * 3) for x, y in zip(a, b, strict=True)]
    assert improvement(a, b) == pytest.approx(np.mean(shares))
    assert improvement(b, a) == pytest.approx(1 - np.mean(shares))


def test_improvement_interval_matches_a_loop_over_resampled_indices() -> None:
    generator = np.random.default_rng(6)
    a, b = generator.normal(0.5, size=(6, 4)), generator.normal(size=(6, 5))
    wins = (a[:, :, None] > b[:, None]).astype(float)

    def shares(units: int) -> np.ndarray:
        drawn = np.bincount(generator.integers(units, size=units), minlength=units) / units
        return widened(drawn, 1 / units, units)

    drawn = [np.einsum("tab,t,a,b", wins, shares(6), shares(4), shares(5)) for _ in range(4000)]
    ours = improvement_interval(a, b, resamples=4000)
    np.testing.assert_allclose(ours, np.clip(np.quantile(drawn, [0.025, 0.975]), 0, 1), atol=0.05)


def test_profile_is_scipys_survival_function_and_its_band_comes_from_runs() -> None:
    values = np.random.default_rng(8).normal(size=(5, 7))
    levels = np.linspace(-2, 2, 9)
    shares, band = profile(values, levels, resamples=8000)
    np.testing.assert_allclose(shares, scipy.stats.ecdf(values.ravel()).sf.evaluate(levels))
    above = (values > levels[4]).mean(axis=1)
    theirs = scipy.stats.bootstrap((above,), np.mean, n_resamples=8000, method="percentile", rng=1).confidence_interval
    np.testing.assert_allclose(band[:, 4], np.clip(widened(theirs, above.mean(), 5), 0, 1), atol=0.05)
    _, alone = profile(values[:1], levels)
    np.testing.assert_array_equal(alone[0], alone[1])


@given(arrays(np.float64, (3, 6), elements=FLOATS))
def test_slopes_equal_scipys_regression(y: np.ndarray) -> None:
    x = np.array([0.0, 1, 2, 4, 8, 9])
    np.testing.assert_allclose(slopes(x, y), [scipy.stats.linregress(x, row).slope for row in y], atol=1e-9)


def test_area_by_hand() -> None:
    assert area([0, 1, 3], [0.0, 2.0, 2.0]) == pytest.approx((1 + 4) / 3)


@given(arrays(np.float64, st.integers(2, 20), elements=FLOATS), FLOATS, st.floats(0.1, 10))
def test_area_is_a_weighted_mean(y: np.ndarray, shift: float, scale: float) -> None:
    x = np.arange(len(y), dtype=float) ** 1.5
    assert y.min() - 1e-9 <= area(x, y) <= y.max() + 1e-9
    assert area(x, y) == pytest.approx(np.trapezoid(y, x) / x[-1], abs=1e-9)
    assert area(scale * x + 3, y + shift) == pytest.approx(area(x, y) + shift, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iqm([]), "values: expected finite numbers, got none"),
        (lambda: iqm([1.0, float("nan")]), "NaN or infinity"),
        (lambda: stratified_bootstrap([1.0, 2.0], iqm), r"expected \(stratum, run\)"),
        (lambda: stratified_bootstrap([[1.0], [2.0]], iqm), "two or more runs"),
        (lambda: stratified_bootstrap([[1.0, 2.0]], iqm, level=95.0), "level: expected"),
        (lambda: improvement(np.ones((2, 3)), np.ones((3, 3))), r"same tasks, got \(2, 3\) and \(3, 3\)"),
        (lambda: profile([1.0], [0.0]), r"expected \(run, task\)"),
        (lambda: slopes([1.0, 1.0], [[1.0, 2.0]]), "a slope needs a span"),
        (lambda: slopes([1.0, 2.0], [1.0, 2.0]), r"expected \(point,\) and \(run, point\)"),
        (lambda: area([0.0, 0.0], [1.0, 2.0]), "strictly increasing"),
        (lambda: area([0.0], [1.0]), "at least 2"),
    ],
)
def test_misuse_is_told_in_one_sentence(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
