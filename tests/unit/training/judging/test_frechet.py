"""FID's distance against its definition."""

import sys

import numpy as np
import pytest
from scipy.linalg import sqrtm

from adloom.errors import ModelError
from training.judging.frechet import frechet_distance, frechet_interval
from training.judging.hub import set_features


def drawn(count: int, shift: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, (count, 6)) @ np.random.default_rng(9).normal(size=(6, 6))


@pytest.mark.parametrize("counts", [(40, 60), (4, 5)])
def test_it_equals_the_definition_with_covariances(counts: tuple[int, int]) -> None:
    a, b = drawn(counts[0], 0, 1), drawn(counts[1], 0.5, 2)
    first, second = (np.cov(x, rowvar=False) for x in (a, b))
    between = np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + between
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_a_set_is_at_no_distance_from_itself_and_the_interval_holds_the_distance() -> None:
    a, b = drawn(50, 0, 1), drawn(50, 0.3, 2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    interval = frechet_interval([b, b + 0.01], a)
    each = [frechet_distance(b, a), frechet_distance(b + 0.01, a)]
    assert interval.value == pytest.approx(np.mean(each))
    assert interval.low < interval.value < interval.high


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_fid.inception", None)
    with pytest.raises(ModelError, match="pip install pytorch-fid"):
        set_features()


def test_its_network_is_no_other() -> None:
    with pytest.raises(ModelError, match="network of its own"):
        set_features("somewhere")
