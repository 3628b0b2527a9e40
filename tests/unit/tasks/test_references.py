"""Which reference picture a render gets, and what its features may be shared by."""

import numpy as np

from adloom.geometry import Box, Size
from adloom.imaging.warp import placed_mask
from adloom.render_spec import RenderSpec, Sampler
from tasks.pictures import ProductPicture
from tasks.rendering import reference_key, reference_picture
from tests.unit.imaging.pictures import drawn_cutout

NATIVE = Size(64, 96)


def spec(box: Box, native: Size = NATIVE) -> RenderSpec:
    return RenderSpec(
        "a" * 64, "b" * 64, "a cup", "", box, native, Sampler(), 1, "c" * 64, "float32"
    )


def product() -> ProductPicture:
    drawn = drawn_cutout()
    return ProductPicture(drawn.photo, drawn.mask, drawn.bbox)


LEFT, RIGHT = Box(4, 30, 24, 35), Box(36, 30, 24, 35)


def test_a_canonical_reference_serves_every_placement_and_format() -> None:
    keys = {
        reference_key(spec(b, n), "canonical")
        for b in (LEFT, RIGHT)
        for n in (NATIVE, Size(96, 64))
    }
    assert len(keys) == 1
    made = [reference_picture(spec(b), product(), "canonical", 80) for b in (LEFT, RIGHT)]
    assert made[0].shape == (80, 80, 3)
    assert np.array_equal(*made)


def test_an_aligned_reference_belongs_to_its_placement_and_format() -> None:
    keys = {
        reference_key(spec(b, n), "aligned") for b in (LEFT, RIGHT) for n in (NATIVE, Size(96, 64))
    }
    assert len(keys) == 4


def test_an_aligned_reference_shows_the_product_where_the_mask_has_it() -> None:
    there = product()
    for box in (LEFT, RIGHT):
        made = reference_picture(spec(box), there, "aligned", 80)
        mask = placed_mask(there.mask, there.bbox, box, NATIVE)
        assert made.shape == (96, 64, 3)
        assert (made[mask == 0] == 255).all()
        assert (made[mask == 255].astype(int).min(axis=-1) < 230).mean() > 0.95
