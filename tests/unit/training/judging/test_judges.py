"""What the judging networks say of pictures whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, models
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from adloom.errors import ModelError
from training.judging.heldout import Truth
from training.judging.hub import measure_named
from training.judging.lite0 import Lite0, share_of_overlap, views_of
from training.judging.scene_classifier import learn_scenes, without_product

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def lite0() -> Lite0:
    return Lite0()


def scene(seed: int, stripes: bool) -> Picture:
    """Stripes or blobs behind, in random colours."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(40, 220, (2, 3))
    y, x = np.mgrid[:96, :96]
    wave = np.sin(x / 3 + seed) if stripes else np.sin(x / 17 + seed) * np.sin(y / 19)
    return np.where(wave[..., None] > 0, a, b).astype(np.uint8)


def with_product(ground: Picture, seed: int) -> tuple[Picture, Picture]:
    """A coloured, patterned box in the middle, and its mask."""
    rng = np.random.default_rng([seed, 9])
    picture, mask = ground.copy(), np.zeros(ground.shape[:2], np.uint8)
    mask[24:80, 30:66] = 255
    picture[24:80, 30:66] = rng.integers(0, 256, (7, 6, 3), np.uint8).repeat(8, 0).repeat(6, 1)
    return picture, mask


def test_the_same_product_is_nearer_than_another(lite0: Lite0) -> None:
    true, mask = with_product(scene(1, False), 1)
    noisy = np.clip(true + np.random.default_rng(0).normal(0, 12, true.shape), 0, 255)
    other, _ = with_product(scene(1, False), 2)
    view, _ = views_of(true, true, mask)
    assert lite0.patch_distance(view, view) == pytest.approx(0, abs=1e-6)
    same = lite0.patch_distance(*views_of(true, true, mask))  # its light is fitted: not quite 0
    close = lite0.patch_distance(*views_of(noisy.astype(np.uint8), true, mask))
    far = lite0.patch_distance(*views_of(other, true, mask))
    assert same < 0.02
    assert same < close < far


def test_a_scene_is_known_by_its_ground_and_the_product_is_not_looked_at(lite0: Lite0) -> None:
    names = ["stripes", "blobs"] * 20
    made = [with_product(scene(i, name == "stripes"), i) for i, name in enumerate(names)]
    pictures, masks = [p for p, _ in made], [m for _, m in made]
    classifier = learn_scenes(lite0, pictures[:24], masks[:24], names[:24])
    right = classifier.top1(lite0, pictures[24:], masks[24:], names[24:])
    assert np.mean(right) >= 0.9
    assert np.isnan(classifier.top1(lite0, pictures[:1], masks[:1], ["waves"])[0])
    other, _ = with_product(scene(0, True), 77)
    assert np.array_equal(without_product(other, masks[0]), without_product(pictures[0], masks[0]))


def test_overlap() -> None:
    a, b = np.zeros((2, 10, 10), np.uint8)
    a[:, :6], b[:, 3:9] = 255, 200
    assert share_of_overlap(a, b) == pytest.approx(3 / 9)
    assert share_of_overlap(a, a) == 1


def tiny_clip(folder: Path) -> Path:
    """CLIP's own classes at a width fit for a test."""
    letters = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    words = letters | {f"{c}</w>": 26 + i for c, i in letters.items()}
    words |= {"<|startoftext|>": 52, "<|endoftext|>": 53}
    assert Tokenizer(models.BPE(words, [])) is not None
    tokenizer = CLIPTokenizer(vocab=words, merges=[])
    text = CLIPTextConfig(
        vocab_size=54, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=8,
    )  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(),
                         projection_dim=8)).save_pretrained(folder)  # fmt: skip
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def test_clip_score_runs_on_clips_own_classes(tmp_path: Path) -> None:
    score = measure_named("clip-score", str(tiny_clip(tmp_path)))
    pictures = [scene(k, True) for k in range(3)]
    captions = ["a red cup", "a can", "a blue bag on sand"]
    mask = np.zeros(pictures[0].shape[:2], np.uint8)
    truths = [
        Truth(p, mask, p, (1.0, 1.0, 1.0), caption, {})
        for p, caption in zip(pictures, captions, strict=True)
    ]
    scores = score(pictures, truths)
    assert len(scores) == 3
    assert all(0 <= s <= 100 for s in scores)


@pytest.mark.parametrize(
    ("name", "reason"), [("clip", "no measure"), ("clip-score", "cannot be loaded")]
)
def test_what_is_not_to_be_had_is_said(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        measure_named(name, str(tmp_path / "nothing"))


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ModelError, match="pip install image-reward"):
        measure_named("image-reward")
