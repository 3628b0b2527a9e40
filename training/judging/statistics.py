"""Means with bootstrap intervals, and the kernel distance of two sets of features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
RESAMPLES: Final = 1000
HALVES: Final = 200
LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its bootstrap interval of 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: Sequence[Sequence[float]], seed: int = 0) -> Interval:
    """Of the mean of values (seeds, samples), samples resampled: the seeds of one sample are one
    draw, for they share product and scene. NaN is left out; all NaN gives NaN."""
    table = np.asarray(values, float)
    known = np.isfinite(table)
    sums = np.where(known, table, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    kept = sums[counts > 0] / counts[counts > 0]
    if not len(kept):
        return Interval(float("nan"), float("nan"), float("nan"))
    return interval_of(lambda rows: float(kept[rows].mean()), len(kept), seed)


def paired_differences(
    first: Mapping[str, Sequence[Sequence[float]]], second: Mapping[str, Sequence[Sequence[float]]]
) -> dict[str, Interval]:
    """first - second of every measure's values (seeds, samples), of the same samples and seeds."""
    return {
        name: mean_interval((np.array(first[name]) - np.array(second[name])).tolist())
        for name in first
    }


def interval_of(statistic: Callable[[Rows], float], count: int, seed: int = 0) -> Interval:
    """Of any statistic of `count` samples, which it is given by their numbers."""
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(statistic(np.arange(count)), float(low), float(high))


def kernel_distance(first: Array, second: Array) -> float:
    """KID (Binkowski et al. 2018): unbiased squared MMD of features (N, D) and (M, D) under the
    kernel (x y / D + 1)^3, times 1000. Unbiased, so it may be below zero."""
    if min(len(first), len(second)) < 2:
        return float("nan")
    a, b, cross = (_kernel(x, y) for x, y in ((first, first), (second, second), (first, second)))
    n, m = len(first), len(second)
    within = (a.sum() - np.trace(a)) / (n * (n - 1)) + (b.sum() - np.trace(b)) / (m * (m - 1))
    return float(1000 * (within - 2 * cross.mean()))


def kernel_interval(made: Sequence[Array], true: Array, seed: int = 0) -> Interval:
    """The mean KID of every seed's pictures (N, D) against the true ones (M, D), with its spread
    over random halves. Not of all seeds together: renders of one sample are alike, so it would be
    the higher the more seeds there are."""

    def distance(rows: Rows, true_rows: Rows) -> float:
        return _mean_distance(made, true, rows, true_rows)

    return _interval_of_halves(distance, len(made[0]), len(true), seed)


def kernel_difference(
    first: Sequence[Array], second: Sequence[Array], true: Array, seed: int = 0
) -> Interval:
    """`kernel_interval`'s of first - second, of the same N samples in each."""

    def difference(rows: Rows, true_rows: Rows) -> float:
        a, b = (_mean_distance(made, true, rows, true_rows) for made in (first, second))
        return a - b

    return _interval_of_halves(difference, len(first[0]), len(true), seed)


def _mean_distance(made: Sequence[Array], true: Array, rows: Rows, true_rows: Rows) -> float:
    return float(np.mean([kernel_distance(one[rows], true[true_rows]) for one in made]))


def _interval_of_halves(
    statistic: Callable[[Rows, Rows], float], count: int, true_count: int, seed: int
) -> Interval:
    """Of a statistic of N and M samples, by their numbers: without repeats, which would bias a
    kernel distance."""
    rng = np.random.default_rng(seed)
    half, true_half = max(2, count // 2), max(2, true_count // 2)
    drawn = [
        statistic(rng.permutation(count)[:half], rng.permutation(true_count)[:true_half])
        for _ in range(HALVES)
    ]
    whole = statistic(np.arange(count), np.arange(true_count))
    # Halves vary by about sqrt(2) more than the whole.
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - np.nanmean(drawn)
    return Interval(whole, float(whole + low / 2**0.5), float(whole + high / 2**0.5))


def _kernel(x: Array, y: Array) -> Array:
    return (x @ y.T / x.shape[1] + 1) ** 3
