"""Which photo suits ads: each sign by itself, and on real photos with text laid over them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from adloom.photo_quality import PhotoSigns, PhotoWeights, photo_score
from models.scoring.photos import photo_signs
from models.scoring.text import TextDetector

SALEOR = Path(__file__).parents[3].parent / "shared/data/saleor"
GOOD = PhotoSigns(mask_confidence=0.97, product_px=700, plainness=1.0, text=0.0, border=0.0)


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    return TextDetector.load()


def test_the_weights_add_up_and_a_perfect_photo_scores_one() -> None:
    w = PhotoWeights()
    assert w.mask + w.size + w.plain + w.text + w.whole == pytest.approx(1.0)
    assert photo_score(replace(GOOD, mask_confidence=1.0)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "worse",
    [{"mask_confidence": 0.5}, {"product_px": 200}, {"plainness": 0.2}, {"text": 0.01},
     {"border": 0.2}],
)  # fmt: skip
def test_each_sign_counts(worse: dict[str, float]) -> None:
    assert photo_score(replace(GOOD, **worse)) < photo_score(GOOD) - 0.05


def packshot(size: int = 640) -> tuple[np.ndarray, np.ndarray]:
    photo, mask = np.full((size, size, 3), 245, np.uint8), np.zeros((size, size), np.uint8)
    cv2.rectangle(mask, (220, 200), (420, 560), 255, -1)
    photo[mask > 0] = (40, 90, 160)
    return photo, mask


def with_text(photo: np.ndarray, at: tuple[int, int] = (40, 90)) -> np.ndarray:
    shown = photo.copy()
    cv2.putText(shown, "SALE -20%", at, cv2.FONT_HERSHEY_SIMPLEX, 2, (200, 20, 20), 5)
    return shown


def test_text_beside_the_product_is_found_and_text_on_it_is_its_own(
    detector: TextDetector,
) -> None:
    photo, mask = packshot()
    product = mask >= 128
    assert detector.share_beside(photo, product) == 0.0
    assert detector.share_beside(with_text(photo), product) > 0.005
    label = photo.copy()
    cv2.putText(label, "TEA", (250, 400), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 5)
    assert detector.share_beside(label, product) < 0.001


def test_a_clean_packshot_is_better_than_one_with_a_badge_or_a_busy_ground(
    detector: TextDetector,
) -> None:
    photo, mask = packshot()
    busy = np.where(
        mask[..., None] > 0,
        photo,
        np.random.default_rng(0).integers(0, 255, photo.shape, np.uint8),
    )
    clean, badge, noisy = (
        photo_score(photo_signs(p, mask, 0.95, detector)) for p in (photo, with_text(photo), busy)
    )
    assert clean > badge + 0.1
    assert clean > noisy + 0.1
    cut_off = photo_signs(photo[220:540], mask[220:540], 0.95, detector)
    assert photo_score(cut_off) < clean


@pytest.mark.skipif(not SALEOR.is_dir(), reason="the test catalogue is not at ../shared/data")
def test_real_photos_have_no_text_beside_them_until_it_is_laid_there(
    detector: TextDetector,
) -> None:
    for name in ("apple-drink", "monospace-white-tee-back", "dark-polygon-tee-front", "gift-100"):
        photo = np.asarray(Image.open(SALEOR / "images" / f"{name}.jpg").convert("RGB"))
        product = np.asarray(Image.open(SALEOR / "alpha" / f"{name}.png").convert("L")) >= 128
        assert detector.share_beside(photo, product) < 0.002, name
        assert detector.share_beside(with_text(photo), product) > 0.004, name
