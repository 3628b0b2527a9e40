"""Means with intervals, and the kernel distance of two sets of features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
RESAMPLES: Final = 1000
HALVES: Final = 400
LEAST: Final = 4
LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its interval of 95 %: the bootstrap's, of a kernel distance half-sampling's;
    NaN where samples are too few."""

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
    """KID (Binkowski et al. 2018): unbiased squared MMD of features (N, D) of N renders and N true
    ads under the kernel (x y / D + 1)^3, times 1000. Of equal rows it is 0, of two draws of one
    distribution above or below it.

    Row i of both is of one product and caption. Such pairs are left out of the cross term (Gretton
    et al. 2012, lemma 6, m = n): they are alike, which would bias it downwards. ValueError where
    the numbers of rows differ; NaN of fewer than two.
    """
    if first.shape != second.shape:
        raise ValueError(f"features {first.shape} and {second.shape} are not of the same samples")
    count = len(first)
    if count < 2:
        return float("nan")
    within = _kernel(first, first) + _kernel(second, second)
    pairs = within - 2 * _kernel(first, second)
    return float(1000 * (pairs.sum() - np.trace(pairs)) / (count * (count - 1)))


def kernel_interval(made: Sequence[Array], true: Array, seed: int = 0) -> Interval:
    """The mean KID of every seed's pictures, (N, D) each, against the true ones (N, D), with an
    interval over samples (`_interval_of_halves`). Not of all seeds together: renders of one sample
    are alike, so it would be the higher the more seeds there are. ValueError as
    `kernel_distance`."""

    def distance(rows: Rows) -> float:
        return _mean_distance(made, true, rows)

    return _interval_of_halves(distance, len(true), seed)


def kernel_difference(
    first: Sequence[Array], second: Sequence[Array], true: Array, seed: int = 0
) -> Interval:
    """`kernel_interval`'s of first - second, (N, D) of each seed, of the same N samples in both."""

    def difference(rows: Rows) -> float:
        return _mean_distance(first, true, rows) - _mean_distance(second, true, rows)

    return _interval_of_halves(difference, len(true), seed)


def _mean_distance(made: Sequence[Array], true: Array, rows: Rows) -> float:
    if any(len(one) != len(true) for one in made):
        raise ValueError(f"not every seed has the {len(true)} samples of the true ads")
    return float(np.mean([kernel_distance(one[rows], true[rows]) for one in made]))


def _interval_of_halves(statistic: Callable[[Rows], float], count: int, seed: int) -> Interval:
    """Of a statistic of `count` samples, by their numbers: half-sampling (Efron 1982, ch. 8).
    Halves without repeats, which would bias a kernel distance, vary as it does itself: by twice its
    variance, times the share that is left out. Near a distance of 0 they vary more, and the
    interval is too wide. NaN for bounds of fewer than LEAST samples."""
    whole = statistic(np.arange(count))
    if count < LEAST:
        return Interval(whole, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.permutation(count)[: count // 2]) for _ in range(HALVES)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - np.mean(drawn)
    return Interval(whole, float(whole + low), float(whole + high))


def _kernel(x: Array, y: Array) -> Array:
    return (x @ y.T / x.shape[1] + 1) ** 3
