"""Summaries of a few expensive runs, with intervals that say how little a few runs tell (NumPy only)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from selectrl.errors import InputError
from selectrl.streams import stream

Floats: TypeAlias = NDArray[np.float64]


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
    statistic: Callable[[Floats], float],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    together: bool = False,
) -> tuple[float, float]:
    r"""Percentile bootstrap interval of a statistic, resampling runs and never strata.

    .. math:: x^*_{s,r} = x_{s,\rho_{s,r}}, \quad \rho_{s,r} \sim U\{1, \dots, R\}; \qquad
        [\,Q_{(1-\ell)/2},\; Q_{(1+\ell)/2}\,] \text{ of } T(x^*)

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
    return _ends([statistic(table[rows, columns]) for columns in drawn], level)


def paired_interval(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    r"""Percentile bootstrap interval of the mean paired difference of a and b.

    .. math:: \bar d^* = \frac{1}{\prod_k n_k} \sum_{i_1, i_2, \dots} (a - b)_{\rho_1(i_1), \rho_2(i_2), \dots}

    Each axis is one kind of unit and is resampled as a whole: (task,) resamples tasks; (seed, task) resamples seeds
    and, independently, tasks, so that neither the luck of a seed nor that of a task counts more than once. An axis of
    length one adds no spread.

    Args:
        a: values of one side, one axis per kind of unit.
        b: values of the other side, of the same shape, paired with ``a``.
        resamples: how many.
        level: probability between the two ends.
        seed: key of the resampling stream.

    Returns:
        The low and the high end; swapping a and b swaps and negates them.

    Raises:
        InputError: the shapes differ, a value is not finite, or there are fewer than two pairs.

    References:
        Owen, *The pigeonhole bootstrap*, Annals of Applied Statistics 2007.
    """
    left, right = _finite("a", a), _finite("b", b)
    if left.shape != right.shape:
        raise InputError(f"a, b: expected one shape, got {left.shape} and {right.shape}; pair them unit by unit")
    if left.size < 2:
        raise InputError("a, b: expected two or more pairs, got 1; one pair has no spread to resample")
    means = np.broadcast_to(left - right, (resamples, *left.shape))
    generator = stream(seed, "statistics", "paired_interval")
    for units in left.shape:
        counts = generator.multinomial(units, np.full(units, 1 / units), size=resamples)  # (resample, unit)
        means = np.einsum("ru...,ru->r...", means, counts / units)
    return _ends(means, level)


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


def _ends(samples: Sequence[float] | Floats, level: float) -> tuple[float, float]:
    """Return the two quantiles between which the given share of the samples lies."""
    if not 0 < level < 1:
        raise InputError(f"level: expected a number between 0 and 1, got {level}; 0.95 is usual")
    low, high = np.quantile(np.asarray(samples), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _finite(name: str, values: ArrayLike) -> Floats:
    """Return the values as float64, refusing none at all, NaN and infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, got {'none' if array.size == 0 else 'NaN or infinity'}")
    return array
