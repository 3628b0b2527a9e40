"""Each filter on a picture made to fail it, and on one that is good."""

import cv2
import numpy as np
import pytest

from adloom.cutouts import MaskOrigin
from models.segmentation import ExtractedMask
from models.segmentation.measures import area_fraction, bounding_box
from tests.unit.training.adprod.pictures import Picture, ad, mask, with_text, with_watermark
from training.adprod.filters import (
    Limits,
    Reason,
    check_mask,
    check_overlays,
    check_picture,
    check_size,
)
from training.adprod.strokes import StrokeTextDetector
from training.adprod.watermarks import repetition

LIMITS = Limits(shorter_px=200)


def extracted(found: Picture, confidence: float = 0.9) -> ExtractedMask:
    return ExtractedMask(
        found, confidence, MaskOrigin.EXTRACTED, bounding_box(found), area_fraction(found)
    )


def test_a_good_ad_passes_all() -> None:
    picture, found = ad(1), mask()
    assert check_size(240, 240, LIMITS) is None
    assert check_picture(picture, LIMITS) is None
    assert check_mask(extracted(found), LIMITS) is None
    assert check_overlays(picture, found, StrokeTextDetector(), LIMITS) is None


def test_a_small_picture() -> None:
    refused = check_size(1000, 199, LIMITS)
    assert refused is not None
    assert refused.reason is Reason.LOW_RESOLUTION
    assert "1000×199" in refused.detail


def test_a_blurred_picture() -> None:
    refused = check_picture(np.asarray(cv2.GaussianBlur(ad(1), (0, 0), 4), np.uint8), LIMITS)
    assert refused is not None
    assert refused.reason is Reason.BLURRED


@pytest.mark.parametrize(
    ("found", "confidence", "reason"),
    [
        (np.zeros((240, 240), np.uint8), 0.0, Reason.NO_PRODUCT),
        (mask(at=(20, 130)), 0.9, Reason.CUT_OFF),
        (mask(radius=12), 0.9, Reason.PRODUCT_TOO_SMALL),
        (np.pad(np.full((220, 220), 255, np.uint8), 10), 0.9, Reason.PRODUCT_TOO_LARGE),
        (mask(), 0.3, Reason.UNCERTAIN_MASK),
    ],
)
def test_masks(found: Picture, confidence: float, reason: Reason) -> None:
    refused = check_mask(extracted(found, confidence), LIMITS)
    assert refused is not None
    assert refused.reason is reason


def test_text_beside_the_product_counts_and_its_label_does_not() -> None:
    detector = StrokeTextDetector()
    assert detector.share_beside(with_text(ad(2)), mask() >= 128) > 0.01
    assert detector.share_beside(ad(2), mask() >= 128) < 0.004
    everywhere = np.ones((240, 240), bool)
    assert detector.share_beside(with_text(ad(2)), everywhere) == 0
    refused = check_overlays(with_text(ad(2)), mask(), detector, LIMITS)
    assert refused is not None
    assert refused.reason is Reason.EMBEDDED_TEXT


@pytest.mark.parametrize("seed", range(4))
def test_a_tiled_watermark_repeats_and_a_plain_ad_does_not(seed: int) -> None:
    product = mask() >= 128
    plain, marked = ad(seed), with_watermark(ad(seed))
    assert repetition(plain, product) < 0.6 * LIMITS.repetition
    assert repetition(marked, product) > LIMITS.repetition
    refused = check_overlays(marked, mask(), StrokeTextDetector(), LIMITS)
    assert refused is not None
    assert refused.reason is Reason.WATERMARK


def test_a_product_that_fills_the_picture_leaves_nothing_to_look_at() -> None:
    assert repetition(with_watermark(ad(1)), np.ones((240, 240), bool)) == 0
