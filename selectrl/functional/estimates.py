r"""Summaries of a few expensive runs, with intervals that say how little a few runs tell.

A mean has two intervals, which answer two questions. :func:`student_interval` of the seeds' means over tasks says where
the mean would lie for other seeds on *these tasks*; :func:`two_way_interval` of all seeds and tasks says where it would
lie for other seeds on *other tasks of the family*.

Statistics that are not means have a bootstrap. A percentile bootstrap of five runs misses the truth one time in six and
not in twenty: resamples scatter by :math:`\sqrt{(n - 1) / n}` of what they should, and the normal law does not hold for
so few. Every bootstrap here is therefore widened about its centre, by

.. math:: f_n = \frac{t_{n-1}(\tfrac{1 + \ell}{2})}{\Phi^{-1}(\tfrac{1 + \ell}{2})} \sqrt{\frac{n}{n - 1}}

per kind of unit: 2.7 for three runs, 1.6 for five, 1.0 for many. A mean's interval is then as long as Student's.

References:
    Hesterberg, *What teachers should know about the bootstrap*, The American Statistician 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from selectrl.arrays import DoubleArray
from selectrl.errors import InputError
from selectrl.streams import stream


def iqm(values: ArrayLike) -> float:
    r"""Interquartile mean: the mean of the middle half of all values.

    .. math:: \frac{1}{n - 2k} \sum_{i=k+1}^{n-k} x_{(i)}, \qquad k = \lfloor n/4 \rfloor

    Args:
        values: any shape; all axes are pooled.

    Returns:
        A scalar, less moved by outliers than the mean and more efficient than the median.

    Raises:
        InputError: there is no value, or one is not finite.

    References:
        Agarwal et al., *Deep reinforcement learning at the edge of the statistical precipice*, NeurIPS 2021.
    """
    ordered = np.sort(_finite("values", values), axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def stratified_bootstrap(
    values: ArrayLike,
    statistic: Callable[[DoubleArray], float],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    together: bool = False,
) -> tuple[float, float]:
    r"""Bootstrap interval of a statistic, resampling runs and never strata.

    .. math:: x^*_{s,r} = x_{s,\rho_{s,r}}, \quad \rho_{s,r} \sim U\{1, \dots, R\}; \qquad
        [\,Q_{(1-\ell)/2},\; Q_{(1+\ell)/2}\,] \text{ of } T(x) + f_R\,(T(x^*) - T(x))

    Args:
        values: (stratum, run); a stratum is for example a test task.
        statistic: from (stratum, run) to a number.
        resamples: how many.
        level: probability between the two ends.
        seed: key of the resampling stream.
        together: draw one :math:`\rho_r` for all strata. Right where one run yields every stratum, as one meta-trained
            agent that is tested on all tasks: its luck is shared, and resampling each task on its own would hide it.

    Returns:
        The low and the high end.

    Raises:
        InputError: ``values`` is not a finite matrix, or holds fewer than two runs.

    References:
        Efron, 1979; stratified as in Agarwal et al., NeurIPS 2021 (there each stratum has runs of its own).
    """
    table = _finite("values", values)
    if table.ndim != 2:
        raise InputError(f"values: expected (stratum, run), got {table.ndim} axes; add or pool an axis")
    strata, runs = table.shape
    if runs < 2:
        raise InputError("values: expected two or more runs, got 1; one run has no spread to resample")
    generator = stream(seed, "statistics", "stratified_bootstrap")
    drawn = generator.integers(runs, size=(resamples, 1 if together else strata, runs))
    rows = np.arange(strata)[:, None]
    centre = statistic(table)
    drawn_again = np.array([statistic(table[rows, columns]) for columns in drawn])
    return _ends(centre + _widening(runs, level, 1 if together else strata) * (drawn_again - centre), level)


def student_interval(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    r"""Student's interval of the mean of independent values.

    .. math:: \bar x \pm t_{n-1}(\tfrac{1 + \ell}{2})\, \sqrt{\frac{1}{n (n - 1)} \sum_i (x_i - \bar x)^2}

    Over seeds' means over tasks it is the interval for *these tasks*: the seeds were drawn, the tasks are fixed.

    Args:
        values: (unit,), for example the mean over tasks of each seed.
        level: probability between the two ends.

    Returns:
        The low and the high end.

    Raises:
        InputError: ``values`` is not a finite vector, or holds fewer than two.

    References:
        Student, *The probable error of a mean*, Biometrika 1908.
    """
    units = _finite("values", values)
    if units.ndim != 1 or units.size < 2:
        raise InputError(f"values: expected a vector of two or more, got shape {units.shape}; one value has no spread")
    return _student(float(units.mean()), float(units.var(ddof=1) / units.size), float(units.size - 1), level)


def two_way_interval(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    r"""Interval of the grand mean of a two-way layout whose rows and columns were both drawn.

    With the mean squares A of rows (S - 1 degrees of freedom), B of columns (T - 1) and C of the interaction
    ((S - 1)(T - 1)), as in :func:`mean_squares`,

    .. math:: \bar x \pm t_\nu(\tfrac{1 + \ell}{2}) \sqrt{\frac{V}{S T}}, \qquad
        V = \max(A - C, 0) + \max(B - C, 0) + C

    .. math:: \nu = \max\Big(1,\; V^2 \Big/ \Big(\frac{[A > C]\, A^2}{S - 1} + \frac{[B > C]\, B^2}{T - 1}
        + \frac{w\, C^2}{(S - 1)(T - 1)}\Big)\Big)

    where w is 1 if both or neither of A and B exceed C, and 0 if C cancels. Over (seed, task) it is the interval for
    *other tasks of the family*: a scatter of tasks that other tasks would show too widens it.

    Args:
        values: (row, column), for example (seed, task), one value each.
        level: probability between the two ends.

    Returns:
        The low and the high end.

    Raises:
        InputError: as :func:`mean_squares`.

    References:
        Satterthwaite, *An approximate distribution of estimates of variance components*, Biometrics Bulletin 1946.
    """
    a, b, c = mean_squares(values)
    table = np.asarray(values, dtype=np.float64)
    rows, columns = table.shape
    total = max(a - c, 0.0) + max(b - c, 0.0) + c
    kept = [(a, rows - 1)] * (a > c) + [(b, columns - 1)] * (b > c)
    kept += [(c, (rows - 1) * (columns - 1))] * (len(kept) != 1)
    share = sum((square / total) ** 2 / freedom for square, freedom in kept) if total else 0.0
    return _student(float(table.mean()), total / table.size, max(1.0, 1 / share) if share else 1.0, level)


def mean_squares(values: ArrayLike) -> tuple[float, float, float]:
    r"""Mean squares of a two-way layout with one value per cell: of rows, of columns and of their interaction.

    .. math:: A = \frac{T \sum_s (\bar x_{s\cdot} - \bar x)^2}{S - 1}, \quad
        B = \frac{S \sum_t (\bar x_{\cdot t} - \bar x)^2}{T - 1}, \quad
        C = \frac{\sum_{s,t} (x_{st} - \bar x_{s\cdot} - \bar x_{\cdot t} + \bar x)^2}{(S - 1)(T - 1)}

    Args:
        values: (row, column).

    Returns:
        A, B and C.

    Raises:
        InputError: ``values`` is not a finite matrix, or has fewer than two rows or columns.
    """
    table = _finite("values", values)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InputError(f"values: expected two or more rows and columns, got shape {table.shape}")
    rows, columns = table.shape
    centred = table - table.mean()
    by_row, by_column = centred.mean(axis=1), centred.mean(axis=0)
    rest = centred - by_row[:, None] - by_column
    return (
        float(columns * (by_row**2).sum() / (rows - 1)),
        float(rows * (by_column**2).sum() / (columns - 1)),
        float((rest**2).sum() / ((rows - 1) * (columns - 1))),
    )


def improvement(a: ArrayLike, b: ArrayLike) -> float:
    r"""Probability of improvement: how often a run of one side beats a run of the other on the same task.

    .. math:: \frac{1}{KNM} \sum_{k=1}^{K} \sum_{i,j} \big([a_{k,i} > b_{k,j}] + \tfrac12 [a_{k,i} = b_{k,j}]\big)

    Args:
        a: values of one side, (task, run).
        b: values of the other side, (task, run); it may have another number of runs.

    Returns:
        A scalar in [0, 1]; 1/2 where neither side is ahead. Per task it is Mann and Whitney's U over its maximum.

    Raises:
        InputError: the two are not finite matrices with one number of tasks.

    References:
        Agarwal et al., NeurIPS 2021.
    """
    return float(_wins(a, b).mean())


def improvement_interval(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of :func:`improvement`; tasks and the runs of either side are resampled as wholes.

    Args:
        a: values of one side, (task, run).
        b: values of the other side, (task, run).
        resamples: how many.
        level: probability between the two ends.
        seed: key of the resampling stream.

    Returns:
        The low and the high end.

    Raises:
        InputError: as :func:`improvement`.
    """
    wins = _wins(a, b)
    generator = stream(seed, "statistics", "improvement")
    shares = [_shares(generator, units, resamples, level) for units in wins.shape]
    return _ends(np.einsum("tab,rt,ra,rb->r", wins, *shares, optimize=True).clip(0, 1), level)


def profile(
    values: ArrayLike, thresholds: ArrayLike, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[DoubleArray, DoubleArray]:
    r"""Performance profile: the share of all tasks and runs that end above each threshold, with a pointwise band.

    .. math:: P(\tau) = \frac{1}{RK} \sum_{r,k} [x_{r,k} > \tau]

    Args:
        values: (run, task).
        thresholds: (threshold,).
        resamples: how many.
        level: probability inside the band, at each threshold alone.
        seed: key of the resampling stream.

    Returns:
        The shares, (threshold,), and the low and high ends, (2, threshold), from resampling runs; with one run the
        band has no width.

    Raises:
        InputError: ``values`` is no finite matrix, or a threshold is not finite.

    References:
        Dolan & Moré, 2002; as score distributions in Agarwal et al., NeurIPS 2021.
    """
    table, levels = _finite("values", values), _finite("thresholds", thresholds)
    if table.ndim != 2:
        raise InputError(f"values: expected (run, task), got {table.ndim} axes; add or pool an axis")
    above = (table[..., None] > levels).mean(axis=1)  # (run, threshold)
    drawn = (_shares(stream(seed, "statistics", "profile"), len(table), resamples, level) @ above).clip(0, 1)
    return above.mean(axis=0), np.quantile(drawn, _tails(level), axis=0)


def slopes(x: ArrayLike, y: ArrayLike) -> DoubleArray:
    r"""Least-squares slope of every run's curve.

    .. math:: \frac{\sum_i (x_i - \bar x)\, y_{r,i}}{\sum_i (x_i - \bar x)^2}

    Args:
        x: (point,), not all alike.
        y: (run, point).

    Returns:
        (run,), in units of y per unit of x.

    Raises:
        InputError: the two do not fit, are not finite, or x does not vary.
    """
    across, up = _finite("x", x), _finite("y", y)
    if across.ndim != 1 or up.ndim != 2 or up.shape[1] != across.size:
        raise InputError(f"x, y: expected (point,) and (run, point), got {across.shape} and {up.shape}")
    centred = across - across.mean()
    if not centred.any():
        raise InputError("x: expected two or more different values, got one; a slope needs a span")
    slope: DoubleArray = up @ centred / (centred @ centred)
    return slope


def area(x: ArrayLike, y: ArrayLike) -> float:
    r"""Area under a curve by trapezia, divided by the span of x: the curve's average height.

    .. math:: \frac{1}{x_n - x_1} \sum_{i=1}^{n-1} (x_{i+1} - x_i)\,\frac{y_i + y_{i+1}}{2}

    Args:
        x: (point,), strictly increasing.
        y: (point,).

    Returns:
        A scalar in the units of y.

    Raises:
        InputError: the two are not finite vectors of one length of at least two, or x does not increase.
    """
    across, up = _finite("x", x), _finite("y", y)
    if across.ndim != 1 or across.shape != up.shape or across.size < 2:
        raise InputError(f"x, y: expected two equal lengths of at least 2, got {across.shape} and {up.shape}")
    widths = np.diff(across)
    if not (widths > 0).all():
        raise InputError("x: expected strictly increasing values; sort them and drop repeats")
    return float((widths * (up[1:] + up[:-1]) / 2).sum() / (across[-1] - across[0]))


def _shares(generator: np.random.Generator, units: int, resamples: int, level: float) -> DoubleArray:
    """Return how often each unit is drawn in each resample, as a share of the draws, widened, (resample, unit)."""
    drawn = generator.multinomial(units, np.full(units, 1 / units), size=resamples) / units
    return 1 / units + _widening(units, level) * (drawn - 1 / units)


def _widening(units: int, level: float, strata: int = 1) -> float:
    """Return f: how much longer Student's interval is than a bootstrap's, of strata that have so many units each."""
    from scipy.special import ndtri, stdtrit  # a tenth of a second, which only who draws intervals waits for

    if units < 2:
        return 1.0
    upper = _tails(level)[1]
    return float(stdtrit(strata * (units - 1), upper) / ndtri(upper) * np.sqrt(units / (units - 1)))


def _student(mean: float, variance: float, freedom: float, level: float) -> tuple[float, float]:
    """Return the mean with the quantile of Student's law times the standard error to either side."""
    from scipy.special import stdtrit  # a tenth of a second, which only who draws intervals waits for

    reach = float(stdtrit(freedom, _tails(level)[1])) * variance**0.5
    return mean - reach, mean + reach


def _wins(a: ArrayLike, b: ArrayLike) -> DoubleArray:
    """Return 1 where a run of a beats one of b on a task, 1/2 where they are equal, (task, run of a, run of b)."""
    left, right = _finite("a", a), _finite("b", b)
    if left.ndim != 2 or right.ndim != 2 or len(left) != len(right):
        raise InputError(f"a, b: expected (task, run) with the same tasks, got {left.shape} and {right.shape}")
    wins: DoubleArray = np.heaviside(left[:, :, None] - right[:, None, :], 0.5)
    return wins


def _ends(samples: Sequence[float] | DoubleArray, level: float) -> tuple[float, float]:
    """Return the two quantiles between which the given share of the samples lies."""
    low, high = np.quantile(np.asarray(samples), _tails(level))
    return float(low), float(high)


def _tails(level: float) -> list[float]:
    """Return the probabilities below the two ends."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1, got {level}; 0.95 is usual")
    return [(1 - level) / 2, (1 + level) / 2]


def _finite(name: str, values: ArrayLike) -> DoubleArray:
    """Return the values as float64, refusing none at all, NaN and infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, got {'none' if array.size == 0 else 'NaN or infinity'}")
    return array
