import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.geometry import (
    CANONICAL_FILL,
    FORMATS,
    Anchor,
    Box,
    Placement,
    Size,
    cover,
    place,
    place_native,
)
from tests.unit.core.strategies import boxes, placements, sizes

EPS = 1e-6


@given(placements, sizes, sizes)
def test_the_product_stays_inside_the_canvas(p: Placement, product: Size, canvas: Size) -> None:
    box = place(p, product, canvas)
    assert box.x >= -EPS
    assert box.y >= -EPS
    assert box.right <= canvas.width * (1 + EPS)
    assert box.bottom <= canvas.height * (1 + EPS)


@given(placements, sizes, sizes)
def test_the_product_keeps_its_aspect(p: Placement, product: Size, canvas: Size) -> None:
    box = place(p, product, canvas)
    assert box.width * product.height == pytest.approx(box.height * product.width)


@given(placements, sizes, sizes)
def test_the_product_fills_one_of_its_bounds(p: Placement, product: Size, canvas: Size) -> None:
    box = place(p, product, canvas)
    shares = (
        box.height / (p.height * canvas.height),
        box.width / (p.max_width * canvas.width),
    )
    assert max(shares) == pytest.approx(1.0)


@given(sizes, sizes, boxes)
def test_native_and_canvas_map_onto_each_other(native: Size, canvas: Size, box: Box) -> None:
    there = cover(native, canvas).to_canvas(box)
    back = cover(native, canvas).to_native(there)
    assert (back.x, back.y, back.width, back.height) == pytest.approx(
        (box.x, box.y, box.width, box.height), abs=1e-4
    )


@given(sizes, sizes)
def test_the_native_image_covers_the_canvas(native: Size, canvas: Size) -> None:
    whole = cover(native, canvas).to_canvas(Box(0, 0, native.width, native.height))
    assert whole.x <= EPS
    assert whole.y <= EPS
    assert whole.right >= canvas.width - 1e-3
    assert whole.bottom >= canvas.height - 1e-3


@given(placements, st.sampled_from(sorted(FORMATS)), sizes, st.sampled_from([16, 64]))
def test_placed_in_native_px_it_stays_inside_the_native_image(
    p: Placement, slug: str, product: Size, unit: int
) -> None:
    native = FORMATS[slug].native(unit)
    box = place_native(p, product, FORMATS[slug], unit)
    assert box.x >= -1 / 64
    assert box.y >= -1 / 64
    assert box.right <= native.width + 1 / 32
    assert box.bottom <= native.height + 1 / 32


def test_a_bottom_anchor_stands_on_the_baseline_and_a_center_anchor_hangs_around_it() -> None:
    canvas, product = Size(1000, 1000), Size(100, 200)
    standing = place(Placement(Anchor.BOTTOM, 0.5, 0.8, 0.5, 1.0), product, canvas)
    hanging = place(Placement(Anchor.CENTER, 0.5, 0.5, 0.5, 1.0), product, canvas)
    assert standing.bottom == pytest.approx(800)
    assert standing.center[0] == pytest.approx(500)
    assert hanging.center == pytest.approx((500, 500))


def test_the_product_frame_is_the_canonical_square_around_the_box() -> None:
    cx, cy, side = Box(10, 20, 40, 80).product_frame
    assert (cx, cy) == (30, 60)
    assert side * CANONICAL_FILL == pytest.approx(80)


def test_every_native_size_has_nearly_the_aspect_of_its_canvas() -> None:
    for f in FORMATS.values():
        native = f.native(16)
        assert native.width / native.height == pytest.approx(
            f.canvas.width / f.canvas.height, rel=0.05
        )
