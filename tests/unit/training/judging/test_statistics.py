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
    spread = kernel_interval([first], second)
    assert spread.low < 0 < spread.high
    assert kernel_interval([first], second + 0.5).low > 0


def test_the_kernel_distance_of_seeds_is_their_mean_and_not_that_of_all_pictures_together() -> None:
    rng = np.random.default_rng(3)
    samples, true = rng.normal(size=(2, 60, 16))
    seeds = [samples + 0.01 * rng.normal(size=samples.shape) for _ in range(3)]
    of_one = [kernel_distance(one, true) for one in seeds]
    found = kernel_interval(seeds, true)
    assert found.value == pytest.approx(np.mean(of_one))
    together = kernel_distance(np.concatenate(seeds), true)
    assert together - found.value > 10 * np.std(of_one)  # alike, so nearer to each other


def test_a_difference_of_kernel_distances_is_told_where_the_same_samples_differ() -> None:
    rng = np.random.default_rng(4)
    samples, true = rng.normal(size=(2, 80, 16))
    near = [samples + 0.05 * rng.normal(size=samples.shape) for _ in range(2)]
    far = [one + 0.4 for one in near]
    apart = kernel_difference(near, far, true)
    first, second = (kernel_interval(s, true).value for s in (near, far))
    assert apart.value == pytest.approx(first - second)
    assert apart.high < 0
    same = kernel_difference(near, near[::-1], true)
    assert same.low <= 0 <= same.high
