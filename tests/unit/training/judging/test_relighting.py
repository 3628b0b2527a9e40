"""How far a render's light is to be trusted, where the truth is known."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from numpy.typing import NDArray

from models.segmentation import MaskExtractor
from training.judging.heldout import Truth
from training.judging.relighting import light_slopes

SIDE = 128
PLACE = np.s_[34:104, 40:88]


def shown(strength: float, tone: int = 90) -> NDArray[np.uint8]:
    """A dark box on a light ground, under `strength` of a light that is dim and falls off."""
    picture = np.full((SIDE, SIDE, 3), 225.0)
    picture[PLACE] = tone
    fall = -0.2 + 0.3 * np.linspace(-1, 1, 48)
    picture[PLACE] *= np.exp(strength * fall)[None, :, None]
    return np.rint(picture).astype(np.uint8)


def truth(strength: float) -> Truth:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[PLACE] = 255
    reference = np.full((SIDE, SIDE, 3), 255, np.uint8)
    reference[10:118, 27:101] = 90
    return Truth(shown(strength), mask, reference, (64.0, 69.0, 70 / 0.85), "a box", {"view": 0})


@pytest.mark.parametrize("drawn", [1.0, 2.0])
def test_a_light_drawn_twice_as_strong_is_to_be_halved(drawn: float) -> None:
    found = light_slopes([shown(drawn)] * 2, [truth(1.0)] * 2, MaskExtractor.load())
    assert found["level"] == pytest.approx(1 / drawn, abs=0.08)
    assert found["shape"] == pytest.approx(1 / drawn, abs=0.08)


def test_ads_are_pooled_so_that_a_strong_light_weighs_more() -> None:
    """Slope 1 of a light of strength 2, slope 0 of one of strength 1: 4 / 5, not the mean."""
    found = light_slopes([shown(2.0), shown(1.0)], [truth(2.0), truth(0.0)], MaskExtractor.load())
    assert found["level"] == pytest.approx(0.8, abs=0.05)


def test_a_light_that_is_not_there_is_not_to_be_trusted() -> None:
    found = light_slopes([shown(1.0)], [truth(0.0)], MaskExtractor.load())
    assert abs(found["level"]) < 0.1
    assert abs(found["shape"]) < 0.1


def test_renders_without_the_product_say_nothing() -> None:
    bare = np.full((SIDE, SIDE, 3), 225, np.uint8)
    bare[:20, :20] = 60
    found = light_slopes([bare], [truth(1.0)], MaskExtractor.load())
    assert all(isnan(slope) for slope in found.values())
    assert set(found) == {"level", "shape", "cast level", "cast shape"}


def test_a_neutral_light_has_no_cast_to_be_trusted() -> None:
    found = light_slopes([shown(1.0)], [truth(1.0)], MaskExtractor.load())
    assert isnan(found["cast level"])


def tinged(picture: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """A warm light, warmer to the right, on the box."""
    made = picture.astype(float)
    right = 0.15 + 0.1 * np.linspace(-1, 1, 48)
    for channel, share in ((0, 0.5), (2, -1.0)):
        made[(*PLACE, channel)] *= np.exp(strength * share * right)[None]
    return np.rint(made).astype(np.uint8)


@pytest.mark.parametrize("drawn", [1.0, 2.0])
def test_a_cast_drawn_twice_as_strong_is_to_be_halved(drawn: float) -> None:
    there = truth(0.0)
    there = replace(there, ad=tinged(there.ad, 1.0))
    found = light_slopes([tinged(shown(0.0), drawn)], [there], MaskExtractor.load())
    assert found["cast level"] == pytest.approx(1 / drawn, abs=0.1)
    assert found["cast shape"] == pytest.approx(1 / drawn, abs=0.15)
