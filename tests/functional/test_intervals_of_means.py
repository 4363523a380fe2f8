"""Intervals of means: by hand, against SciPy and loops over definitions, and by what they must obey."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selectrl.errors import InputError
from selectrl.functional.estimates import mean_squares, student_interval, two_way_interval

FLOATS = st.floats(-100, 100, allow_nan=False, width=32)
TABLES = arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(2, 6)), elements=FLOATS)


def test_student_by_hand() -> None:
    """Mean 3, variance 2.5 of five values; the quantile of 4 degrees of freedom is 2.7764 in every table."""
    reach = 2.7764451 * (2.5 / 5) ** 0.5
    assert student_interval([1.0, 2, 3, 4, 5]) == pytest.approx((3 - reach, 3 + reach))


@given(arrays(np.float64, st.integers(2, 12), elements=FLOATS))
def test_student_is_scipys_t_interval(values: np.ndarray) -> None:
    assume(np.ptp(values) > 1e-3)
    theirs = scipy.stats.t.interval(0.95, len(values) - 1, values.mean(), scipy.stats.sem(values))
    np.testing.assert_allclose(student_interval(values), theirs, rtol=1e-9, atol=1e-9)


def test_mean_squares_and_interval_by_hand() -> None:
    """Rows have means 2 and 5, columns 1.5 and 5.5, all 3.5; the remainders are 1, -1, -1, 1.

    A = 2 (2.25 + 2.25) / 1 = 9, B = 2 (4 + 4) / 1 = 16, C = 4 / 1. Both exceed C: V = 5 + 12 + 4 = 21, the variance is
    21 / 4, and 21² / (81 + 256 + 16) = 1.2493 degrees of freedom.
    """
    table = [[1.0, 3], [2, 8]]
    assert mean_squares(table) == pytest.approx((9, 16, 4))
    reach = scipy.stats.t.ppf(0.975, 441 / 353) * 5.25**0.5
    assert two_way_interval(table) == pytest.approx((3.5 - reach, 3.5 + reach))


def test_rows_alone_by_hand() -> None:
    """Rows have means 0, 3 and 6, columns 3 each: A = 2 (9 + 9) / 2 = 18, B = 0, C = (1 + 1 + 4 + 4 + 1 + 1) / 2 = 6.

    Only A exceeds C: V = 18 - 6 + 6 = 18 with 2 degrees of freedom, whose quantile is 4.3027; the variance is 3.
    """
    table = [[1.0, -1], [1, 5], [7, 5]]
    assert mean_squares(table) == pytest.approx((18, 0, 6))
    assert two_way_interval(table) == pytest.approx((3 - 4.3026527 * 3**0.5, 3 + 4.3026527 * 3**0.5))


def test_neither_rows_nor_columns_by_hand() -> None:
    """All means are 0: A = B = 0, C = 4 / 1, V = 4 with one degree of freedom, whose quantile is 12.706."""
    assert two_way_interval([[1.0, -1], [-1, 1]]) == pytest.approx((-12.7062047, 12.7062047))


def definition(table: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The formula of the docstring in loops."""
    rows, columns = table.shape
    grand = sum(float(table[i, j]) for i in range(rows) for j in range(columns)) / (rows * columns)
    row = [sum(float(table[i, j]) for j in range(columns)) / columns for i in range(rows)]
    column = [sum(float(table[i, j]) for i in range(rows)) / rows for j in range(columns)]
    a = columns * sum((mean - grand) ** 2 for mean in row) / (rows - 1)
    b = rows * sum((mean - grand) ** 2 for mean in column) / (columns - 1)
    c = 0.0
    for i in range(rows):
        for j in range(columns):
            c += (float(table[i, j]) - row[i] - column[j] + grand) ** 2 / ((rows - 1) * (columns - 1))
    total, below = c, 0.0
    if a > c:
        total, below = total + a - c, below + a**2 / (rows - 1)
    if b > c:
        total, below = total + b - c, below + b**2 / (columns - 1)
    if (a > c) == (b > c):
        below += c**2 / ((rows - 1) * (columns - 1))
    reach = scipy.stats.t.ppf((1 + level) / 2, max(1.0, total**2 / below)) * (total / (rows * columns)) ** 0.5
    return grand - reach, grand + reach


@given(TABLES, st.floats(0.5, 0.99))
def test_two_way_is_its_definition_in_loops(table: np.ndarray, level: float) -> None:
    a, b, c = mean_squares(table)
    assume(c > 1e-6 and min(abs(a - c), abs(b - c)) > 1e-6 * c)  # elsewhere rounding decides which terms are kept
    np.testing.assert_allclose(two_way_interval(table, level=level), definition(table, level), rtol=1e-7, atol=1e-7)


@given(TABLES)
def test_mean_squares_add_up_to_the_total_sum_of_squares(table: np.ndarray) -> None:
    rows, columns = table.shape
    a, b, c = mean_squares(table)
    parts = (rows - 1) * a + (columns - 1) * b + (rows - 1) * (columns - 1) * c
    assert parts == pytest.approx(((table - table.mean()) ** 2).sum(), rel=1e-9, abs=1e-9)


@given(TABLES, FLOATS, st.floats(0.1, 10))
def test_two_way_is_antisymmetric_and_follows_shift_scale_and_transposition(
    table: np.ndarray, shift: float, scale: float
) -> None:
    a, b, c = mean_squares(table)
    assume(c > 1e-4 and min(abs(a - c), abs(b - c)) > 1e-4 * c)
    low, high = two_way_interval(table)
    assert low <= table.mean() <= high
    np.testing.assert_allclose(two_way_interval(-table), (-high, -low), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(two_way_interval(table.T), (low, high), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        two_way_interval(scale * table + shift), (scale * low + shift, scale * high + shift), rtol=1e-6, atol=1e-6
    )


@given(arrays(np.float64, st.integers(3, 6), elements=FLOATS), st.integers(2, 6))
def test_where_tasks_do_not_scatter_other_tasks_have_the_interval_of_these(luck: np.ndarray, tasks: int) -> None:
    assume(np.ptp(luck) > 1e-3)
    table = np.repeat(luck[:, None], tasks, axis=1)
    np.testing.assert_allclose(two_way_interval(table), student_interval(luck), rtol=1e-7, atol=1e-7)


def test_a_scatter_of_tasks_widens_the_interval_of_other_tasks_alone() -> None:
    seeds, tasks = np.array([[-1.0], [0.0], [1.0]]), np.linspace(-20.0, 20.0, 10)
    np.testing.assert_allclose(student_interval((seeds + tasks).mean(axis=1)), student_interval(seeds[:, 0]), atol=1e-9)
    assert np.ptp(two_way_interval(seeds + tasks)) > 3 * np.ptp(two_way_interval(seeds + 0 * tasks))


def test_equal_values_have_an_interval_without_width() -> None:
    assert two_way_interval(np.full((3, 4), 2.0)) == student_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: student_interval([1.0]), "one value has no spread"),
        (lambda: student_interval([[1.0, 2.0]]), r"got shape \(1, 2\)"),
        (lambda: student_interval([1.0, float("inf")]), "NaN or infinity"),
        (lambda: student_interval([1.0, 2.0], level=95.0), "level: expected"),
        (lambda: two_way_interval([[1.0, 2.0]]), r"two or more rows and columns, got shape \(1, 2\)"),
        (lambda: two_way_interval([1.0, 2.0]), r"got shape \(2,\)"),
    ],
)
def test_misuse_is_refused_in_one_sentence(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
