import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from adloom.cutouts import MaskOrigin
from adloom.errors import MaskError, ModelError
from adloom.geometry import Box, Size
from models.segmentation import MaskExtractor, MaskReason, mask_from_file
from models.segmentation.confidence import MaskSigns, confidence
from models.segmentation.grabcut import grab_cut, iou
from models.segmentation.refinement import Closeup, guided, without_specks

SALEOR = Path(__file__).parents[3].parent / "shared/data/saleor"
PHOTOS = ("mighty-mug", "white-hoodie", "bean-drink", "dash-force-1", "battle-tested-book")


@pytest.fixture(scope="module")
def extractor() -> MaskExtractor:
    return MaskExtractor.load(threads=1)


def disc(size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A shaded red disc on light grey, and its true mask."""
    photo = np.full((size, size, 3), 232, np.uint8)
    truth = np.zeros((size, size), np.uint8)
    centre, radius = (size // 2, size // 2), size // 4
    cv2.circle(truth, centre, radius, 255, -1)
    shade = np.linspace(0.6, 1.0, size)[:, None, None]
    red = (np.array([205, 40, 35]) * shade * np.ones((size, size, 1))).astype(np.uint8)
    photo[truth > 0] = red[truth > 0]
    return photo, truth


@pytest.mark.skipif(not SALEOR.is_dir(), reason="the test catalogue is not at ../shared/data")
def test_masks_of_real_photos_are_close_to_their_truth(extractor: MaskExtractor) -> None:
    overlaps, confidences = [], []
    for name in PHOTOS:
        photo = np.asarray(Image.open(SALEOR / "images" / f"{name}.jpg").convert("RGB"))
        truth = np.asarray(Image.open(SALEOR / "alpha" / f"{name}.png")) >= 128
        found = extractor.extract(photo)
        assert found.mask.shape == truth.shape
        overlaps.append(iou(found.mask >= 128, truth))
        confidences.append(found.confidence)
    assert np.mean(overlaps) >= 0.93
    assert min(overlaps) >= 0.85
    assert np.abs(np.array(overlaps) - confidences).max() <= 0.15


def test_a_plain_product_is_found_the_same_way_twice(extractor: MaskExtractor) -> None:
    photo, truth = disc()
    first, second = extractor.extract(photo), extractor.extract(photo)
    assert iou(first.mask >= 128, truth > 0) > 0.9
    assert np.array_equal(first.mask, second.mask)
    assert first.confidence == second.confidence
    assert first.origin is MaskOrigin.EXTRACTED
    assert first.confidence > 0.7
    assert abs(first.area_fraction - (truth > 0).mean()) < 0.02
    assert abs(first.bbox.x - 64) <= 4
    assert abs(first.bbox.width - 129) <= 8


def test_real_alpha_is_taken_as_it_is(extractor: MaskExtractor) -> None:
    photo, truth = disc()
    found = extractor.extract(np.dstack([photo, truth]))
    assert np.array_equal(found.mask, truth)
    assert (found.origin, found.confidence) == (MaskOrigin.ALPHA, 1.0)
    assert found.bbox == Box(64, 64, 129, 129)


def test_alpha_that_says_nothing_is_passed_over(extractor: MaskExtractor) -> None:
    photo, truth = disc()
    found = extractor.extract(np.dstack([photo, np.full_like(truth, 255)]))
    assert found.origin is MaskOrigin.EXTRACTED
    assert iou(found.mask >= 128, truth > 0) > 0.9


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_is_found_in_an_empty_photo(extractor: MaskExtractor, value: int) -> None:
    found = extractor.extract(np.full((120, 200, 3), value, np.uint8))
    assert (found.confidence, found.reason) == (0.0, MaskReason.NOTHING_FOUND)
    assert found.mask.shape == (120, 200)
    assert not found.mask.any()
    assert found.bbox == Box(0, 0, 0, 0)


def test_a_product_cut_by_the_border_is_trusted_less(extractor: MaskExtractor) -> None:
    photo, _ = disc()
    whole = extractor.extract(photo)
    cut = extractor.extract(np.ascontiguousarray(photo[80:176, 110:]))
    assert cut.confidence < whole.confidence - 0.05


@pytest.mark.parametrize(
    "array",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 2), np.uint8), np.zeros((9, 9, 3), np.float32)],
)
def test_what_is_no_photo_is_refused(extractor: MaskExtractor, array: np.ndarray) -> None:
    with pytest.raises(MaskError, match="no photo"):
        extractor.extract(array)


def test_the_version_names_the_weights(extractor: MaskExtractor) -> None:
    assert extractor.version.startswith("u2netp-")
    assert "guided" in extractor.version


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="no model"):
        MaskExtractor.load(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        MaskExtractor.load(tmp_path / "none.onnx")


def test_a_closeup_is_where_the_saliency_is_and_goes_back_there() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (300, 800, 3), np.uint8)
    saliency = np.zeros((320, 320), np.float32)
    saliency[160:240, 40:80] = 1.0  # rows 150..225, columns 100..200 of the photo
    seen = Closeup.of(photo, saliency)
    assert 90 <= seen.x <= 100
    assert 200 <= seen.x + seen.width <= 210
    assert 140 <= seen.y <= 150
    assert seen.rgb.shape[:2] == seen.saliency.shape == (seen.height, seen.width)
    back = seen.in_photo(seen.saliency, 300, 800) >= 128
    truth = np.zeros((300, 800), bool)
    truth[150:225, 100:200] = True
    assert iou(back, truth) > 0.97


@pytest.mark.parametrize("shape", [(2000, 40), (40, 2000), (64, 64), (1, 1), (7, 900)])
def test_photos_of_odd_shapes_have_masks_of_their_shape(
    extractor: MaskExtractor, shape: tuple[int, int]
) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    assert extractor.extract(photo).mask.shape == shape


def test_the_guided_filter_moves_a_mask_to_the_edge_of_its_guide() -> None:
    guide = np.full((64, 64, 3), 0.2, np.float32)
    guide[:, 30:] = (0.8, 0.3, 0.6)
    mask = np.zeros((64, 64), np.float32)
    mask[:, 33:] = 1.0
    found = guided(guide, mask, 8, 1e-4) >= 0.5
    assert found[:, 30:].all()
    assert not found[:, :30].any()


def test_the_guided_filter_is_the_least_squares_fit_of_each_window() -> None:
    rng = np.random.default_rng(0)
    guide = rng.random((9, 9, 3), np.float32)
    mask = (rng.random((9, 9)) > 0.5).astype(np.float32)
    # One window that covers all: mean coefficients are those of the one regression.
    flat, target = guide.reshape(-1, 3).astype(float), mask.ravel().astype(float)
    window = [(i, j) for i in range(9) for j in range(9)]
    assert len(window) == len(target)
    centred = flat - flat.mean(0)
    slope = np.linalg.solve(
        centred.T @ centred / len(flat) + 1e-2 * np.eye(3),
        centred.T @ (target - target.mean()) / len(flat),
    )
    expected = centred @ slope + target.mean()
    # A period of the picture in each direction: every window of its size sees the same pixels.
    tiled = np.tile(guide, (9, 9, 1)), np.tile(mask, (9, 9))
    found = guided(*tiled, 4, 1e-2)[36:45, 36:45].ravel()
    assert np.abs(found - expected).max() < 1e-3


def test_grab_cut_finds_what_the_network_doubts() -> None:
    photo, truth = disc()
    saliency = np.where(truth > 0, 0.95, 0.02).astype(np.float32)
    saliency[:, 128:][truth[:, 128:] > 0] = 0.45  # the right half is doubted
    mask, agreement = grab_cut(photo, saliency)
    assert iou(mask, truth > 0) > 0.95 or agreement < 0.7


def test_specks_and_pinholes_go_and_parts_stay() -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:50, 10:50] = mask[60:90, 60:90] = True
    clean = mask.copy()
    mask[95, 5] = True
    mask[30, 30] = False
    assert np.array_equal(without_specks(mask), clean)


def test_confidence_falls_with_each_sign_against_it() -> None:
    best = confidence(MaskSigns(agreement=0.99, decision=0.95, border=0.0, area=0.3))
    assert best > 0.95
    for worse in (
        MaskSigns(0.8, 0.95, 0.0, 0.3),
        MaskSigns(0.99, 0.5, 0.0, 0.3),
        MaskSigns(0.99, 0.95, 0.3, 0.3),
        MaskSigns(0.99, 0.95, 0.0, 0.97),
    ):
        assert confidence(worse) < best - 0.2


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_users_mask_is_its_alpha_or_its_brightness() -> None:
    photo, truth = disc()
    size = Size(256, 256)
    assert np.array_equal(mask_from_file(png(truth), size), truth)
    assert np.array_equal(mask_from_file(png(np.dstack([photo, truth])), size), truth)
    assert np.array_equal(mask_from_file(png(truth.astype(np.uint16) * 257), size), truth)
    scaled = mask_from_file(png(truth), Size(512, 512))
    assert scaled.shape == (512, 512)
    assert abs((scaled >= 128).mean() - (truth >= 128).mean()) < 0.01


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(disc()[1][:200]), "the photo 256×256"),
        (png(np.zeros((256, 256), np.uint8)), "empty"),
        (png(np.full((256, 256), 255, np.uint8)), "covers"),
        (b"", "no image"),
        (b"hello", "no image"),
        (png(disc()[1])[:400], "cannot be read"),
    ],
)
def test_a_users_bad_mask_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        mask_from_file(data, Size(256, 256))
