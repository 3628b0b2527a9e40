"""The border in numpy: what comes out, what is kept, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest

RNG = np.random.default_rng(0)
PICTURES = {name: RNG.integers(0, 256, (64, 64, 3), np.uint8) for name in ("cup", "bottle")}


@pytest.fixture(scope="module")
def folder(pipeline: RefAdGenPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def renderer(folder: Path) -> RefAdGenRenderer:
    return RefAdGenRenderer.load(folder, reference_cache_mb=16)


def item(reference: str = "cup", seed: int = 1) -> RenderItem:
    mask = np.zeros((96, 64), np.uint8)
    mask[40:80, 16:48] = 255
    return RenderItem(reference, "a red cup", "", mask, (32.0, 60.0, 47.0), seed, steps=2)


def test_pictures_come_out_as_uint8_of_the_masks_size(renderer: RefAdGenRenderer) -> None:
    made = renderer.render(RenderRequest(PICTURES, [item(), item("bottle", 2)]))
    assert [(p.shape, p.dtype) for p in made] == [((96, 64, 3), np.uint8)] * 2
    assert not np.array_equal(made[0], made[1])
    assert renderer.render(RenderRequest(PICTURES, [])) == []


def test_a_render_is_the_same_again_and_in_other_company(renderer: RefAdGenRenderer) -> None:
    alone = renderer.render(RenderRequest(PICTURES, [item("bottle", 7)]))[0]
    assert np.array_equal(alone, renderer.render(RenderRequest(PICTURES, [item("bottle", 7)]))[0])
    among = renderer.render(RenderRequest(PICTURES, [item(), item("bottle", 7), item("cup", 3)]))[1]
    assert np.abs(alone.astype(int) - among.astype(int)).max() <= 1


def test_features_are_kept_by_key(renderer: RefAdGenRenderer) -> None:
    first = renderer.render(RenderRequest(PICTURES, [item()]))[0]
    assert np.array_equal(first, renderer.render(RenderRequest({}, [item()]))[0])
    with pytest.raises(RenderArgumentError, match="no picture for 'vase'"):
        renderer.render(RenderRequest(PICTURES, [item("vase")]))


def test_it_says_what_it_is(renderer: RefAdGenRenderer, folder: Path) -> None:
    assert (renderer.device, renderer.dtype) == ("cpu", "float32")
    assert (renderer.native_unit, renderer.reference_size, renderer.max_tokens) == (16, 64, 12)
    assert len(renderer.weights_hash) == 64
    assert renderer.count_tokens("a red cup, on white") == 8
    assert renderer.unknown_words("a red Plumbus") == ("Plumbus",)
    assert RefAdGenRenderer.load(folder).weights_hash == renderer.weights_hash


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mask": np.ones((96, 60), np.uint8)}, "one native size"),
        ({"mask": np.ones((96, 64), np.float32)}, "uint8"),
        ({"steps": 3}, r"items\[\]\.steps: \[2, 3\]"),
        ({"guidance": 5.0}, r"items\[\]\.guidance"),
        ({"reference_scale": 0.5}, r"items\[\]\.reference_scale"),
        ({"frame": (1.0, 1.0, -1.0)}, "frames"),
        ({"seed": -1}, "seeds"),
    ],
)
def test_items_that_cannot_be_one_batch_are_refused(
    renderer: RefAdGenRenderer, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(RenderArgumentError, match=message):
        renderer.render(RenderRequest(PICTURES, [item(), replace(item(), **changed)]))


@pytest.mark.parametrize(
    "picture",
    [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3)), np.zeros((32, 32, 3), np.uint8)],
    ids=["grey", "float", "too small"],
)
def test_bad_reference_pictures_are_refused(
    renderer: RefAdGenRenderer, picture: np.ndarray
) -> None:
    with pytest.raises(RenderArgumentError):
        renderer.render(RenderRequest({"new": picture}, [item("new")]))


def test_folders_and_dtypes_that_cannot_be_loaded_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model_index\.json"):
        RefAdGenRenderer.load(tmp_path)
    with pytest.raises(ModelError, match="float32, bfloat16, float16"):
        RefAdGenRenderer.load(folder, dtype="int8")
    with pytest.raises(ModelError, match="device 'gpu' cannot be used"):
        RefAdGenRenderer.load(folder, device="gpu")
    (tmp_path / "model_index.json").write_text('{"_class_name": "RefAdGenPipeline"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        RefAdGenRenderer.load(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"device: device 'cuda' cannot be used.*use cpu"):
        RefAdGenRenderer.load(folder, device="cuda")
