"""The real networks on drawn products; what they measure on photos is in docs/gates.md."""

import cv2
import numpy as np
import pytest
import torch

from adloom.errors import DeviceError, MaskError, ModelError, OutOfMemoryError
from adloom.geometry import Box, Size
from adloom.imaging.views import GREY, own_mask, product_views, square_crop
from adloom.imaging.warp import placed_photo
from adloom.scores import Metric, Stage
from models.scoring.identity import VIEW_PX, IdentityNetwork
from models.scoring.scorer import Sample, Scorer
from tests.unit.imaging.pictures import box_of, drawn_cutout, rendered

MUG, CAN = drawn_cutout(3), drawn_cutout(11)
NATIVE = Size(128, 128)
BOX = box_of(MUG, 40.3, 30.6, 70)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    torch.set_num_threads(1)
    return Scorer.load(threads=1)


def sample(light: tuple[float, float, float] = (1.0, 1.0, 1.0), *, blur: float = 0.0) -> Sample:
    raw, own = rendered(MUG, BOX, NATIVE, light=light)
    if blur:
        raw = cv2.GaussianBlur(raw, (0, 0), blur)
    return Sample(raw, MUG.photo, MUG.mask, MUG.bbox, BOX, own)


def swapped() -> Sample:
    raw, own = rendered(CAN, BOX, NATIVE)
    return Sample(raw, MUG.photo, MUG.mask, MUG.bbox, BOX, own)


def test_identity_is_one_for_a_copy_and_falls_with_blur_and_with_another_product(
    scorer: Scorer,
) -> None:
    copy, blurred, mush, other = scorer.identities(
        [sample(), sample(blur=0.7), sample(blur=5.0), swapped()]
    )
    assert copy > 0.98
    assert copy > blurred > mush
    assert other < copy - 0.15


def test_a_scenes_light_costs_little_identity(scorer: Scorer) -> None:
    warm, dim = scorer.identities([sample((1.0, 0.92, 0.8)), sample((0.75, 0.75, 0.75))])
    assert min(warm, dim) > 0.9


def test_a_renders_scores_are_of_the_models_stage_and_complete(scorer: Scorer) -> None:
    s = sample()
    assert s.own_mask is not None
    scores = scorer.score_render(s.picture, s.photo, s.mask, s.bbox, s.box, s.own_mask)
    assert (scores.stage, scores.revision) == (Stage.MODEL, scorer.revision)
    assert set(scores.values) == set(Metric) - {Metric.SAFETY}
    assert scores.values[Metric.GROWTH] < 0.02
    assert scores.values[Metric.COVERAGE] > 0.98
    assert all(type(value) is float for value in scores.values.values())


def test_a_finished_images_scores_are_of_the_final_stage_and_say_that_it_is_safe(
    scorer: Scorer,
) -> None:
    box = Box(BOX.x * 5, BOX.y * 5, BOX.width * 5, BOX.height * 5)
    image, _ = rendered(MUG, box, Size(640, 640))
    scores = scorer.score_final(image, MUG.photo, MUG.mask, MUG.bbox, box)
    assert scores.stage is Stage.FINAL
    assert set(scores.values) == {
        Metric.IDENTITY, Metric.SHARPNESS, Metric.CLIPPING, Metric.SAFETY
    }  # fmt: skip
    assert scores.values[Metric.IDENTITY] > 0.97
    assert scores.values[Metric.SAFETY] > 0.8
    assert scores.values[Metric.CLIPPING] == 0


def test_a_batch_scores_like_one_by_one(scorer: Scorer) -> None:
    samples = [sample(), sample(blur=2.0), swapped()]
    together = scorer.score_renders(samples)
    for scores, one in zip(together, samples, strict=True):
        alone = scorer.score_renders([one])[0]
        assert dict(scores.values) == pytest.approx(dict(alone.values), abs=1e-4)
    assert scorer.score_renders([]) == []


def test_an_oversized_product_has_grown(scorer: Scorer) -> None:
    raw, own = rendered(MUG, Box(BOX.x - 8, BOX.y - 12, BOX.width + 16, BOX.height + 24), NATIVE)
    scores = scorer.score_render(raw, MUG.photo, MUG.mask, MUG.bbox, BOX, own)
    assert scores.values[Metric.GROWTH] > 0.5


def test_a_render_without_its_own_mask_is_refused(scorer: Scorer) -> None:
    s = sample()
    with pytest.raises(MaskError, match="128×128 render"):
        scorer.score_renders([Sample(s.picture, s.photo, s.mask, s.bbox, s.box)])


def test_the_revision_names_the_weights(scorer: Scorer) -> None:
    assert scorer.revision == Scorer.load(threads=1).revision
    assert scorer.revision.startswith("1-")


def test_weights_of_another_network_are_refused(tmp_path) -> None:
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="identity network"):
        IdentityNetwork(tmp_path / "other.pth")
    with pytest.raises(ModelError, match="identity network"):
        IdentityNetwork(tmp_path / "missing.pth")


def test_the_two_views_of_a_perfect_copy_are_equal() -> None:
    colours, alpha = placed_photo(MUG.photo, MUG.mask, MUG.bbox, BOX, NATIVE)
    view, original = product_views(colours, MUG.photo, MUG.mask, MUG.bbox, BOX, VIEW_PX)
    assert alpha.max() == 1
    assert np.abs(view.astype(int) - original).max() <= 1
    assert view.shape == (VIEW_PX, VIEW_PX, 3)


def test_a_crop_beyond_the_pictures_edge_is_grey() -> None:
    picture = np.full((40, 40, 3), 10, np.uint8)
    view = square_crop(picture, Box(-10, 0, 40, 40), 32)
    assert (view[:, 0] == GREY).all()
    assert (view[16, 24] == 10).all()


def test_a_renders_own_mask_is_looked_for_around_the_product_alone() -> None:
    box = box_of(MUG, 60.3, 60.6, 50)
    raw, own = rendered(MUG, box, NATIVE, background=(250, 250, 250))
    raw[2:12, 2:12] = 0  # a prop, far away
    seen: list[tuple[int, ...]] = []

    def dark(picture: np.ndarray) -> np.ndarray:
        seen.append(picture.shape)
        return np.where(picture.max(2) < 235, 255, 0).astype(np.uint8)

    found = own_mask(raw, box, dark)
    assert max(seen[0][:2]) >= 320
    assert found.shape == own.shape
    assert not found[:12, :12].any()
    assert np.mean((found >= 128) != (own >= 128)) < 0.02


@pytest.mark.parametrize(
    ("error", "raised", "tries"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), OutOfMemoryError, 2),
        (torch.AcceleratorError("CUDA error: unspecified launch failure", 719), DeviceError, 1),
    ],
)
def test_a_device_that_fails_in_scoring_is_not_the_pictures_fault(
    error: Exception, raised: type[Exception], tries: int
) -> None:
    network, failing = IdentityNetwork(), [error, error]
    tried: list[int] = []

    def device(_: object, args: tuple[torch.Tensor, ...]) -> None:
        tried.append(len(args[0]))
        if failing:
            raise failing.pop()

    network.register_forward_pre_hook(device)
    views = [np.zeros((VIEW_PX, VIEW_PX, 3), np.uint8)]
    with pytest.raises(raised):
        network.features(views)
    assert tried == [1] * tries
    failing[:] = [torch.OutOfMemoryError()]
    assert network.features(views).shape == (1, 1280)  # fits at the second try
