"""Intervals hold what they say, and the kernel distance tells sets apart."""

import numpy as np
import pytest

from training.judging.statistics import (
    kernel_difference,
    kernel_distance,
    kernel_interval,
    mean_interval,
)


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = [
        (i := mean_interval([rng.normal(0.3, 1, 40).tolist()], seed)).low <= 0.3 <= i.high
        for seed in range(100)
    ]
    assert 0.86 <= np.mean(held) <= 1.0


def test_seeds_of_one_sample_are_one_draw() -> None:
    values = np.random.default_rng(1).normal(size=30).tolist()
    once, thrice = mean_interval([values]), mean_interval([values] * 3)
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


def test_values_that_are_not_known_are_left_out() -> None:
    assert mean_interval([[1.0, float("nan"), 3.0]]).value == pytest.approx(2.0)
    assert np.isnan(mean_interval([[float("nan")] * 3]).value)


def test_the_kernel_distance_is_about_zero_for_one_distribution_and_grows_with_a_shift() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 120, 16))
    near, far, farther = (kernel_distance(first, second + s) for s in (0.0, 0.5, 1.0))
    assert abs(near) < 0.1 * far < 0.1 * farther
    assert kernel_distance(first, first) == pytest.approx(0, abs=1e-9)


def pairs(shift: float, seed: int, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Renders and true ads of one product and caption each, which are alike."""
    rng = np.random.default_rng(seed)
    shared, own, asked = rng.normal(size=(3, count, 8))
    return 0.8 * shared + 0.6 * own + shift, 0.8 * shared + 0.6 * asked


def test_pairs_that_are_alike_do_not_make_the_kernel_distance_smaller() -> None:
    found = [kernel_distance(*pairs(0, seed)) for seed in range(60)]
    error = np.std(found) / 60**0.5
    assert abs(np.mean(found)) < 4 * error
    alike = [
        np.trace(k) / 64 - (k.sum() - np.trace(k)) / (64 * 63)
        for k in ((a @ b.T / 8 + 1) ** 3 for a, b in (pairs(0, seed) for seed in range(60)))
    ]
    assert 1000 * 2 * np.mean(alike) / 64 > 8 * error  # what they would have made of it


def test_the_interval_of_a_kernel_distance_holds_it_about_as_often_as_it_says() -> None:
    truth = np.mean([kernel_distance(*pairs(0.4, 1000 + seed)) for seed in range(200)])
    of = [pairs(0.4, seed) for seed in range(60)]
    intervals = [kernel_interval([made], true) for made, true in of]
    assert np.mean([i.low <= truth <= i.high for i in intervals]) >= 0.86
    exact = 2 * 1.96 * np.std([kernel_distance(*one) for one in of])
    assert 0.75 < np.mean([i.high - i.low for i in intervals]) / exact < 1.4


def test_the_kernel_distance_of_seeds_is_their_mean_and_not_that_of_all_pictures_together() -> None:
    rng = np.random.default_rng(3)
    samples, true = rng.normal(size=(2, 60, 16))
    seeds = [samples + 0.01 * rng.normal(size=samples.shape) for _ in range(3)]
    of_one = [kernel_distance(one, true) for one in seeds]
    found = kernel_interval(seeds, true)
    assert found.value == pytest.approx(np.mean(of_one))
    together = kernel_distance(np.concatenate(seeds), np.concatenate([true] * 3))
    assert abs(together - found.value) > 10 * np.std(of_one)  # alike, so nearer to each other


def test_a_difference_of_kernel_distances_is_told_better_by_the_same_samples() -> None:
    rng = np.random.default_rng(4)
    made, true = pairs(0.4, 5)
    near, far = ([made + s + 0.1 * rng.normal(size=made.shape) for _ in range(2)] for s in (0, 0.1))
    apart = kernel_difference(near, far, true)
    first, second = (kernel_interval(s, true) for s in (near, far))
    assert apart.value == pytest.approx(first.value - second.value)
    assert apart.high < 0
    assert second.low < first.high  # two intervals would not have told
    again = [one + 0.1 * rng.normal(size=one.shape) for one in near]
    same = kernel_difference(near, again, true)
    assert same.low <= 0 <= same.high


def test_too_few_samples_have_no_bounds_and_others_than_the_true_ads_are_refused() -> None:
    made, true = pairs(0, 6, count=3)
    assert np.isnan([kernel_interval([made], true).low, kernel_interval([made], true).high]).all()
    assert np.isnan(kernel_interval([made[:1]], true[:1]).value)
    with pytest.raises(ValueError, match="samples"):
        kernel_interval([made, made[:2]], true)
    with pytest.raises(ValueError, match="same samples"):
        kernel_distance(made, true[:2])
