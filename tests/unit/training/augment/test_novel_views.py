"""A product seen again, and from elsewhere."""

import numpy as np
import pytest

from adloom.errors import MaskError
from tests.unit.training.augment.products import iou, ring, striped_disc
from training.augment.camera import Turn
from training.augment.heights import ReliefModel
from training.augment.novel_views import LiftedProduct, Lifting

EXACT = Lifting(ReliefModel(roundness=1.0), rim_px=0)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9))


def test_unturned_it_is_the_photo_and_its_mask() -> None:
    photo, mask = striped_disc()
    view = LiftedProduct(photo, mask, EXACT).view(Turn())
    assert psnr(view.picture[mask >= 250], photo[mask >= 250]) > 45
    assert psnr(view.picture, photo) > 35
    assert np.abs(view.mask.astype(int) - mask).max() < 40
    assert view.filled == 0
    assert view.open == 0


@pytest.mark.parametrize("yaw", [-15, 15])
def test_a_ball_turned_keeps_its_outline_and_moves_its_stripes(yaw: float) -> None:
    photo, mask = striped_disc()
    lifted = LiftedProduct(photo, mask, EXACT)
    view = lifted.view(Turn(yaw))
    assert iou(view.mask, mask) > 0.94
    assert psnr(view.picture[mask >= 250], photo[mask >= 250]) < 30
    assert view.filled + view.open < 0.01


def test_the_front_moves_with_the_turn() -> None:
    photo, mask = striped_disc()
    photo = np.where(mask[..., None] >= 128, np.uint8(60), photo)
    photo[44:52, 44:52] = (250, 40, 40)
    lifted = LiftedProduct(photo, mask, EXACT)

    def spot(turn: Turn) -> tuple[float, float]:
        seen = lifted.view(turn).picture.astype(int)
        y, x = np.nonzero((seen[..., 0] - seen[..., 1]) > 120)
        return float(x.mean()), float(y.mean())

    # The nearest point of a ball of 30 px; its axis lies behind its outline.
    camera, angle = lifted.camera, np.radians(15)
    arm = 30 + camera.pivot_px
    moved = camera.focal_px * arm * np.sin(angle) / (camera.distance_px - arm * np.cos(angle))
    middle, right, down = spot(Turn()), spot(Turn(15)), spot(Turn(pitch_deg=15))
    assert right[0] - middle[0] == pytest.approx(moved, abs=1)
    assert down[1] - middle[1] == pytest.approx(moved, abs=1)


def test_a_hole_of_the_product_stays_a_hole() -> None:
    photo, mask = ring()
    view = LiftedProduct(photo, mask, EXACT).view(Turn(10))
    assert view.mask[48, 48] == 0
    assert (view.picture[48, 48] == 255).all()


def test_the_picture_keeps_size_and_place_and_the_ground_is_white() -> None:
    disc, disc_mask = striped_disc()
    photo = np.full((150, 200, 3), 255, np.uint8)
    mask = np.zeros((150, 200), np.uint8)
    photo[40:136, 90:186], mask[40:136, 90:186] = disc, disc_mask
    view = LiftedProduct(photo, mask, EXACT).view(Turn())
    assert view.picture.shape == photo.shape
    assert iou(view.mask, mask) > 0.98
    assert (view.picture[view.mask == 0] == 255).all()


def test_a_large_photo_is_lifted_smaller() -> None:
    photo, mask = striped_disc(192, 80)
    view = LiftedProduct(photo, mask, Lifting(longest_px=64)).view(Turn(8))
    assert view.picture.shape == photo.shape
    assert iou(view.mask, mask) > 0.93


def test_a_product_at_the_border_is_lifted_too() -> None:
    photo, mask = striped_disc(96, 30)
    view = LiftedProduct(photo[18:], mask[18:], EXACT).view(Turn(12))
    assert view.picture.shape == photo[18:].shape
    assert iou(view.mask, mask[18:]) > 0.93


def test_a_relief_from_elsewhere_is_used() -> None:
    photo, mask = striped_disc()
    flat = LiftedProduct(photo, mask, EXACT, relief=np.zeros(mask.shape, np.float32))
    # A sheet of paper turned by 15° is narrower by cos 15°.
    width = np.count_nonzero((flat.view(Turn(15)).mask >= 128).any(axis=0))
    assert width == pytest.approx(60 * np.cos(np.radians(15)), abs=2)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [((40, 40, 3), (40, 41)), ((40, 40), (40, 40)), ((40, 40, 3), (40, 40))],
)
def test_what_is_no_product_photo_is_refused(photo: tuple, mask: tuple) -> None:
    with pytest.raises(MaskError):
        LiftedProduct(np.zeros(photo, np.uint8), np.zeros(mask, np.uint8))
