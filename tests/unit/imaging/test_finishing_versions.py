"""A recipe that was stored gives the pixels that it gave, whatever version of finishing is new.

`finished.json` was written when version 3 was new; versions 1 and 2 gave the same before it was
(`python -m tests.unit.imaging.test_finishing_versions` prints it anew). A version is never changed:
what is to be better is a new one.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from adloom.finishing_spec import FinishingSpec
from adloom.geometry import Size
from adloom.imaging.arrays import luma
from adloom.imaging.finishing import MANNERS, finish
from tests.unit.imaging.pictures import box_of, drawn_cutout, rendered

PINNED = Path(__file__).with_name("finished.json")
BLOCKS = 8
CLOSE = 0.06
"""Levels: means are written to two places, and processors round the last bits differently."""


def read_of(version: str) -> dict[str, list[float]]:
    """Block by block over the whole picture: mean colours, and how much of it is fine. The render
    has light from one side whose colour changes, and a product drawn 2 px too large."""
    cutout, native = drawn_cutout(3), Size(64, 64)
    box, drawn = box_of(cutout, 21.3, 14.6, 38), box_of(cutout, 20.6, 13.4, 40)
    raw, own = rendered(cutout, drawn, native, background=(150, 120, 90))
    across = np.linspace(0, 1, native.width)[None, :, None]
    cast = (1 - across) * np.array([0.75, 0.6, 0.4]) + across * np.array([1.0, 0.95, 0.9])
    down = 1 + 0.1 * np.sin(np.arange(native.height) * 0.8)[:, None, None]
    raw = np.rint(np.clip(raw * cast * down, 0, 255)).astype(np.uint8)
    spec = FinishingSpec(240, 240, version=version)
    image = finish(raw, own, cutout.photo, cutout.mask, cutout.bbox, box, spec).image
    grey = luma(image)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    return {"colour": in_blocks(image), "fine": in_blocks(fine[..., None])}


def in_blocks(picture: NDArray[np.generic]) -> list[float]:
    height, width, channels = picture.shape
    parts = picture.astype(np.float64).reshape(
        BLOCKS, height // BLOCKS, BLOCKS, width // BLOCKS, channels
    )
    return [round(float(v), 2) for v in parts.mean((1, 3)).ravel()]


def test_every_version_is_pinned_and_none_is_gone() -> None:
    assert json.loads(PINNED.read_text()).keys() == MANNERS.keys()


@pytest.mark.parametrize("version", MANNERS)
def test_a_stored_recipe_gives_the_pixels_that_it_gave(version: str) -> None:
    pinned = json.loads(PINNED.read_text())
    for what, values in read_of(version).items():
        assert values == pytest.approx(pinned[version][what], abs=CLOSE), what


if __name__ == "__main__":
    print(json.dumps({version: read_of(version) for version in MANNERS}))
