"""What must hold of every synthetic training sample."""

import numpy as np
import pytest

from training.scenes_synth import (
    CANONICAL_FILL,
    CAPTION_WORDS,
    NATIVE_SIZES,
    REFERENCE_SIZE,
    SynthSample,
    sample,
    sample_batch,
)
from training.scenes_synth.generator import bounds
from training.scenes_synth.grammar import WORLDS, choose_scene
from training.scenes_synth.palette import colour_words, product_palette
from training.scenes_synth.products import HELDOUT_FAMILIES, TRAIN_FAMILIES, Family, make_product
from training.scenes_synth.relief import SIZE

COUNT = 8  # samples of each native size


@pytest.fixture(scope="module", params=NATIVE_SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def batch(request: pytest.FixtureRequest) -> tuple[tuple[int, int], list[SynthSample]]:
    native: tuple[int, int] = request.param
    return native, sample_batch(np.random.default_rng(5), native, "train", COUNT)


def test_shapes_and_types(batch: tuple[tuple[int, int], list[SynthSample]]) -> None:
    (width, height), samples = batch
    for s in samples:
        assert s.ad.shape == (height, width, 3)
        assert s.mask.shape == (height, width)
        assert s.product.shape == (REFERENCE_SIZE, REFERENCE_SIZE, 3)
        assert {s.ad.dtype, s.mask.dtype, s.product.dtype} == {np.dtype(np.uint8)}


def test_product_stands_inside_the_canvas(
    batch: tuple[tuple[int, int], list[SynthSample]],
) -> None:
    (width, height), samples = batch
    for s in samples:
        x0, y0, x1, y1 = bounds(s.mask, 128)
        assert x0 > 0
        assert y0 > 0
        assert x1 < width
        assert y1 < height
        assert 0.2 * min(width, height) < max(x1 - x0, y1 - y0)


def test_mask_edge_is_antialiased(batch: tuple[tuple[int, int], list[SynthSample]]) -> None:
    for s in batch[1]:
        partial = ((s.mask > 16) & (s.mask < 240)).sum()
        assert partial > 10
        assert s.mask.max() > 250


def test_frame_is_the_canonical_square_about_the_mask(
    batch: tuple[tuple[int, int], list[SynthSample]],
) -> None:
    for s in batch[1]:
        x0, y0, x1, y1 = bounds(s.mask, 128)
        cx, cy, side = s.frame
        assert (cx, cy) == ((x0 + x1) / 2, (y0 + y1) / 2)
        assert side * CANONICAL_FILL == pytest.approx(max(x1 - x0, y1 - y0))


def test_product_picture_is_canonical_on_pure_white(
    batch: tuple[tuple[int, int], list[SynthSample]],
) -> None:
    margin = int(REFERENCE_SIZE * (1 - CANONICAL_FILL) / 2) - 4
    for s in batch[1]:
        border = s.product.copy()
        border[margin:-margin, margin:-margin] = 255
        assert border.min() == 255
        x0, y0, x1, y1 = bounds(255 - s.product.min(-1), 64)
        # White products blend into the ground, so the visible box may be smaller, never larger.
        assert max(x1 - x0, y1 - y0) <= CANONICAL_FILL * REFERENCE_SIZE + 4


def test_same_view_matches_the_ad_in_its_frame() -> None:
    """The canonical picture, laid on the ad by its frame, falls on the product's own pixels."""
    rng = np.random.default_rng(8)
    agreement = []
    for _ in range(30):
        s = sample(rng, (128, 160), "train")
        cx, cy, side = s.frame
        inside = (255 - s.product.min(-1)) > 40
        ys, xs = np.nonzero(inside)
        x = np.clip(cx + ((xs + 0.5) / REFERENCE_SIZE - 0.5) * side, 0, 127).astype(int)
        y = np.clip(cy + ((ys + 0.5) / REFERENCE_SIZE - 0.5) * side, 0, 159).astype(int)
        agreement.append(float((s.mask[y, x] > 100).mean()))
    assert np.median(agreement) > 0.93


def test_same_seed_same_sample() -> None:
    first = sample(np.random.default_rng(42), (96, 176), "train")
    again = sample(np.random.default_rng(42), (96, 176), "train")
    other = sample(np.random.default_rng(43), (96, 176), "train")
    assert np.array_equal(first.ad, again.ad)
    assert np.array_equal(first.mask, again.mask)
    assert np.array_equal(first.product, again.product)
    assert (first.caption, first.frame, first.scene) == (again.caption, again.frame, again.scene)
    assert not np.array_equal(first.ad, other.ad)


def test_heldout_products_are_of_other_families() -> None:
    rng = np.random.default_rng(3)
    seen = {
        split: {sample(rng, (128, 128), split).scene["family"] for _ in range(25)}
        for split in ("train", "heldout")
    }
    assert seen["train"].isdisjoint(seen["heldout"])
    assert len(seen["train"]) > 6
    names = {f.name for f in TRAIN_FAMILIES}
    assert names.isdisjoint(f.name for f in HELDOUT_FAMILIES)


@pytest.mark.parametrize("family", TRAIN_FAMILIES + HELDOUT_FAMILIES, ids=lambda f: f.name)
def test_every_family_draws_a_whole_product(family: Family) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        view = family.make(rng, product_palette(rng))
        for yaw in (0.0, 0.25):
            relief = view(yaw)
            assert relief.albedo.shape == relief.normal.shape == (SIZE, SIZE, 3)
            assert np.isfinite(relief.normal).all()
            x0, y0, x1, y1 = bounds(relief.alpha, 0.5)
            assert max(x1 - x0, y1 - y0) > 0.3 * SIZE
            border = np.concatenate(
                [relief.alpha[0], relief.alpha[-1], relief.alpha[:, 0], relief.alpha[:, -1]]
            )
            assert border.max() < 0.5


def test_captions_use_known_words_only() -> None:
    rng = np.random.default_rng(17)
    for k in range(60):
        s = sample(rng, (128, 128), "train" if k % 2 else "heldout")
        words = s.caption.replace(",", " ").split()
        assert words[0] == "a"
        assert set(words) <= CAPTION_WORDS


def test_scenes_are_many() -> None:
    rng = np.random.default_rng(0)
    scenes = [choose_scene(rng) for _ in range(2000)]
    assert len({(s.surface, s.backdrop, s.light) for s in scenes}) > 200
    assert {s.world for s in scenes} == {w.name for w in WORLDS}


@pytest.mark.parametrize(
    ("rgb", "word"),
    [((250, 250, 250), "white"), ((20, 20, 22), "black"), ((30, 90, 210), "blue"),
     ((210, 30, 35), "red"), ((250, 220, 50), "yellow"), ((40, 150, 60), "green")],
)  # fmt: skip
def test_colour_word_of_a_plain_picture(rgb: tuple[int, int, int], word: str) -> None:
    picture = np.full((40, 40, 3), rgb, np.uint8)
    assert colour_words(picture, np.full((40, 40), 255, np.uint8)) == [word]


def test_two_colours_are_named_largest_first() -> None:
    picture = np.full((50, 50, 3), (250, 250, 250), np.uint8)
    picture[:20] = (30, 90, 210)
    assert colour_words(picture, np.full((50, 50), 255, np.uint8)) == ["white", "blue"]


def test_products_turn() -> None:
    """A turned view differs from the frontal one, but resembles it."""
    for seed in range(6):
        product = make_product(np.random.default_rng(seed), "train")
        front, turned = product.view(0.0), product.view(0.2)
        assert not np.array_equal(
            front.alpha * front.albedo[..., 0], turned.alpha * turned.albedo[..., 0]
        )
        overlap = (
            np.minimum(front.alpha, turned.alpha).sum()
            / np.maximum(front.alpha, turned.alpha).sum()
        )
        assert overlap > 0.6
