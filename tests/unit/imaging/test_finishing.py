from dataclasses import replace
from math import isnan

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adloom.errors import ConfigurationError, MaskError
from adloom.finishing_spec import DetailLock, FinishingSpec
from adloom.geometry import FORMATS, Box, Size, cover
from adloom.imaging.arrays import Rgb, luma
from adloom.imaging.background import Rim, upscaled, without_product
from adloom.imaging.finishing import MANNERS, Finished, agreement_of, finish, soft_edge
from adloom.imaging.light import MODELS, MODELS_CAST, WHOLE
from adloom.imaging.warp import placed_photo
from tests.unit.imaging.pictures import box_of, drawn_cutout, rendered

CUTOUT = drawn_cutout(3)
NATIVE = Size(64, 64)
BOX = box_of(CUTOUT, 21.3, 14.6, 38)
SPEC = FinishingSpec(240, 240)
Light = tuple[float, float, float]


def finished(
    light: Light = (1.0, 1.0, 1.0), spec: FinishingSpec = SPEC, box: Box = BOX
) -> tuple[Finished, Rgb]:
    raw, own = rendered(CUTOUT, box, NATIVE, light=light)
    return finish(raw, own, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, spec), raw


def inside_and_photo(spec: FinishingSpec = SPEC) -> tuple[np.ndarray, Rgb]:
    """Where the canvas shows nothing but product, and the photo's product in place."""
    canvas = Size(spec.canvas_width, spec.canvas_height)
    box = cover(NATIVE, canvas).to_canvas(BOX)
    colours, alpha = placed_photo(CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, box, canvas)
    return cv2.erode((alpha > 0.99).astype(np.uint8), np.ones((13, 13))).astype(bool), colours


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
def test_every_format_comes_out_at_its_exact_size(fmt) -> None:
    native = fmt.native(8)
    box = box_of(CUTOUT, native.width * 0.4, native.height * 0.3, native.height * 0.4)
    raw, own = rendered(CUTOUT, box, native)
    spec = FinishingSpec(fmt.canvas.width, fmt.canvas.height)
    done = finish(raw, own, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, box, spec)
    assert done.image.shape == (fmt.canvas.height, fmt.canvas.width, 3)
    assert done.product_alpha.shape == done.image.shape[:2]
    assert done.detail_lock is DetailLock.APPLIED


def test_the_same_arguments_give_the_same_pixels() -> None:
    assert np.array_equal(finished()[0].image, finished()[0].image)


def test_under_neutral_light_the_product_is_the_photos() -> None:
    done, _ = finished()
    inside, photo = inside_and_photo()
    assert inside.sum() > 1000
    assert np.abs(done.image[inside].astype(int) - photo[inside]).max() <= 2


@settings(max_examples=15, deadline=None)
@given(light=st.tuples(*[st.floats(0.2, 2.5)] * 3))
def test_whatever_the_render_shows_gain_and_colour_shift_stay_within_their_bounds(
    light: Light,
) -> None:
    inside, photo = inside_and_photo()
    shifted, _ = finished(light)
    only_gain, _ = finished(light, replace(SPEC, chroma_shift_max=0.0))
    gain = luma(only_gain.image[inside]) / luma(photo[inside])
    rounding = 1 / luma(photo[inside]).min()
    assert gain.min() >= SPEC.gain_min - rounding
    assert gain.max() <= SPEC.gain_max + rounding
    delta_e = np.linalg.norm(lab(shifted.image[inside]) - lab(only_gain.image[inside]), axis=1)
    assert np.percentile(delta_e, 95) <= SPEC.chroma_shift_max + 1.5  # 8 bit rounding


@pytest.mark.parametrize(
    ("version", "level"), [("1", 1.0), ("2", MODELS.level), ("3", MODELS.level)]
)
def test_the_renders_light_is_carried_over_as_far_as_it_is_trusted(
    version: str, level: float
) -> None:
    inside, photo = inside_and_photo()
    spec = replace(SPEC, version=version)
    dark, _ = finished((0.7, 0.7, 0.7), spec)
    light = luma(photo[inside]).mean()
    ratio = luma(dark.image[inside]).mean() / light
    assert ratio == pytest.approx(((0.7 * light + 8) / (light + 8)) ** level, abs=0.02)
    warm, _ = finished((1.0, 0.9, 0.7), spec)
    assert lab(warm.image[inside])[:, 2].mean() > lab(photo[inside])[:, 2].mean() + 2


def test_of_a_slope_of_light_only_the_trusted_share_is_seen() -> None:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    slope = np.exp(np.linspace(-0.8, 0.8, NATIVE.width))[None, :, None]
    raw = np.clip(raw * slope, 0, 255).astype(np.uint8)
    inside, photo = inside_and_photo()
    tilt = {}
    for version in ("1", "2", "3"):
        spec = replace(SPEC, version=version)
        done = finish(raw, own, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, spec)
        gain = luma(done.image) / np.maximum(luma(photo), 1)
        middle = np.nonzero(inside)[1].mean()
        columns = np.indices(inside.shape)[1]
        left, right = (gain[inside & part].mean() for part in (columns < middle, columns > middle))
        tilt[version] = np.log(right / left)
    assert tilt["1"] > 0.1
    for version in ("2", "3"):
        assert tilt[version] == pytest.approx(MODELS.shape * tilt["1"], rel=0.35)


def warmed(photo: Rgb, spec: FinishingSpec, light: np.ndarray) -> np.ndarray:
    """Lab of the canvas of a box-shaped product in a light (h, w, 3) over its photo."""
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[12:52, 12:52] = 255
    raw = np.rint(np.clip(photo * light, 0, 255)).astype(np.uint8)
    box = Box(12, 12, 40, 40)
    image = finish(raw, mask, photo, mask, box, box, spec).image
    return lab(image.reshape(-1, 3)).reshape(image.shape)


def test_coloured_light_tints_black_less_than_white() -> None:
    """Before version 3 both were moved as far."""
    photo = np.full((64, 64, 3), 200, np.uint8)
    photo[32:] = 6
    moved = {}
    for version in ("2", "3"):
        spec = FinishingSpec(64, 64, version=version, chroma_shift_max=30.0)
        light = np.broadcast_to([1, 0.9, 0.7], photo.shape)
        found = warmed(photo, spec, light) - warmed(photo, replace(spec, chroma_shift_max=0), light)
        moved[version] = [
            np.abs(found[rows, 20:44, 2]).mean() for rows in (np.s_[18:28], np.s_[38:46])
        ]
    assert moved["3"][0] > 10
    assert moved["3"][1] < 0.6 * moved["2"][1]


def test_of_a_cast_that_changes_over_the_product_only_the_trusted_share_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = np.full((64, 64, 3), 120, np.uint8)
    bluer = np.exp(np.linspace(-0.8, 0.8, 64))[None, :, None] ** np.array([0, 0, 1])
    spec = FinishingSpec(64, 64, version="3", chroma_shift_max=60.0)
    tilt = []
    for trust in (MODELS_CAST, WHOLE):
        monkeypatch.setitem(MANNERS, "3", replace(MANNERS["3"], cast_trust=trust))
        b = warmed(photo, spec, bluer)[18:46, :, 2].mean(axis=0)
        tilt.append(b[20] - b[44])
    assert tilt[1] > 5
    assert tilt[0] == pytest.approx(MODELS_CAST.shape * tilt[1], rel=0.35)


def test_a_version_that_is_not_known_here_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="finishing version '99'"):
        finished(spec=replace(SPEC, version="99"))


def test_far_from_the_product_the_background_is_the_upscaled_render() -> None:
    done, raw = finished()
    plain = finish(
        raw, None, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, replace(SPEC, detail_lock=False)
    )
    far = cv2.dilate((done.product_alpha > 0).astype(np.uint8), np.ones((61, 61))) == 0
    assert far.sum() > 5000
    assert np.array_equal(done.image[far], plain.image[far])


def test_a_product_rendered_a_little_too_large_leaves_no_second_outline() -> None:
    large = Box(BOX.x - 1.5, BOX.y - 1.5, BOX.width + 3, BOX.height + 3)
    done, _ = finished(box=large)
    ring = cv2.dilate((done.product_alpha > 0).astype(np.uint8), np.ones((21, 21))).astype(bool)
    ring &= cv2.dilate((done.product_alpha > 0).astype(np.uint8), np.ones((3, 3))) == 0
    background = np.array([70, 90, 110])
    assert np.abs(done.image[ring].astype(int) - background).max() < 20


def test_a_contact_shadow_beside_the_product_survives() -> None:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    shadow = np.s_[round(BOX.bottom) : round(BOX.bottom) + 6, round(BOX.x) : round(BOX.right)]
    raw[shadow] = raw[shadow] // 2
    placed = own
    kept = without_product(raw, own, placed)[shadow]
    assert kept.mean() == pytest.approx(raw[shadow].mean(), rel=0.12)


def test_where_the_masks_agree_a_pixel_is_painted_and_no_more() -> None:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    raw[round(BOX.bottom) :] //= 2
    painted = without_product(raw, own, own)
    near = cv2.dilate((own >= 8).astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert np.array_equal(painted[~near], raw[~near])
    assert not np.array_equal(without_product(raw, own, own, Rim(0.015, 2))[~near], raw[~near])


def test_a_render_whose_own_mask_falls_short_leaves_no_outline() -> None:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    short = cv2.erode(own, np.ones((5, 5)))
    done = finish(raw, short, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, SPEC)
    around = cv2.dilate((done.product_alpha > 0).astype(np.uint8), np.ones((25, 25))).astype(bool)
    around &= cv2.dilate((done.product_alpha > 0).astype(np.uint8), np.ones((5, 5))) == 0
    background = np.array([70, 90, 110])
    assert np.abs(done.image[around].astype(int) - background).max() < 20


def test_a_render_without_the_product_at_its_place_is_refused_and_delivered_unlocked() -> None:
    raw, own = rendered(CUTOUT, box_of(CUTOUT, 1, 1, 20), NATIVE)
    done = finish(raw, own, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, SPEC)
    plain = finish(
        raw, None, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, replace(SPEC, detail_lock=False)
    )
    assert (done.detail_lock, plain.detail_lock) == (DetailLock.REFUSED, DetailLock.OFF)
    assert done.agreement < SPEC.min_agreement
    assert isnan(plain.agreement)
    assert np.array_equal(done.image, plain.image)


def test_agreement_is_the_share_of_both_masks_that_they_have_in_common() -> None:
    a, b = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    a[:, :4], b[:, 2:6] = 255, 255
    assert agreement_of(a, b) == pytest.approx(1 / 3)
    assert agreement_of(a * 0, b * 0) == 0


def test_detail_lock_without_the_renders_own_mask_is_an_error() -> None:
    raw, _ = rendered(CUTOUT, BOX, NATIVE)
    with pytest.raises(ValueError, match="raw_product_mask"):
        finish(raw, None, CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, SPEC)


def test_a_render_mask_of_another_size_is_an_error() -> None:
    raw, own = rendered(CUTOUT, BOX, NATIVE)
    with pytest.raises(MaskError, match="render"):
        finish(raw, own[:, 1:], CUTOUT.photo, CUTOUT.mask, CUTOUT.bbox, BOX, SPEC)


def test_a_soft_edge_lies_within_the_old_one_and_keeps_translucent_parts() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[10:30, 10:30] = 0.5
    soft = soft_edge(alpha, 2.0)
    assert (soft <= alpha + 1e-6).all()
    assert soft[20, 20] == pytest.approx(0.5)
    assert 0 < soft[10, 20] < 0.5
    assert soft_edge(alpha, 1.0)[10, 20] > 0.4, "the outermost pixel is there"
    assert soft_edge(alpha, 1.0, eats=True)[10, 20] < 0.1


def test_upscaling_keeps_flat_colour_and_shows_no_pixel_grid() -> None:
    flat = np.full((16, 16, 3), 93, np.uint8)
    to_canvas = cover(Size(16, 16), Size(160, 120))
    assert (upscaled(flat, to_canvas, Size(160, 120)) == 93).all()
    edge = flat.copy()
    edge[:, 8:] = 180
    step = np.diff(upscaled(edge, to_canvas, Size(160, 120))[60, :, 0].astype(int))
    assert step.max() < 20  # of 87: a ramp, not a block's edge


def lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor((rgb.astype(np.float32) / 255)[None], cv2.COLOR_RGB2Lab)[0]
