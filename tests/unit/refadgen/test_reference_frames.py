"""Both reference frames, and several views of one product."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.attention import Fusion, self_attentions
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from tests.unit.refadgen.conftest import Inputs, randomise, small_pipeline, small_unet
from tests.unit.refadgen.equations import EquationOne, relative_error

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def aligned() -> RefAdGenPipeline:
    made = small_pipeline(position_frequencies=0, reference_frame="aligned")
    randomise(made.unet)
    randomise(made.reference_unet, 2)
    return made


@pytest.fixture(scope="module")
def folder(aligned: RefAdGenPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aligned")
    aligned.save_pretrained(path)
    return path


def render(pipeline: RefAdGenPipeline, inputs: Inputs, features: ReferenceFeatures) -> Tensor:
    return pipeline.render(
        inputs.prompts[:1],
        inputs.negatives[:1],
        features,
        inputs.masks[:1],
        None,
        inputs.seeds[:1],
        steps=2,
    )


def test_an_aligned_reference_is_as_rectangular_as_the_canvas(
    aligned: RefAdGenPipeline, inputs: Inputs
) -> None:
    features = aligned.encode_references(torch.rand(2, 3, 96, 64))
    assert features.native == (96, 64)
    assert next(iter(features.keys.values())).shape[-2] == 12 * 8
    assert render(aligned, inputs, features.select([1])).shape == (1, 3, 96, 64)


def test_the_frame_is_saved_with_the_weights(folder: Path) -> None:
    assert RefAdGenPipeline.from_pretrained(folder).reference_frame == "aligned"
    assert RefAdGenRenderer.load(folder).reference_frame == "aligned"


def test_references_of_another_canvas_or_frame_are_refused(
    aligned: RefAdGenPipeline, inputs: Inputs
) -> None:
    other = aligned.encode_references(torch.rand(1, 3, 64, 64))
    with pytest.raises(RenderArgumentError, match=r"references: made for 64x64 px.* 64x96 px"):
        render(aligned, inputs, other)
    with pytest.raises(RenderArgumentError, match="references: made for no canvas"):
        render(aligned, inputs, replace(other, native=None))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(1, 3, 96, 60), "images: .*60x96 px .*multiples of 16 px, such as 64x96"),
        (torch.rand(1, 1, 96, 64), r"images: shape \(1, 1, 96, 64\)"),
        (255 * torch.ones(1, 3, 96, 64), "images: values from 255"),
    ],
)
def test_aligned_pictures_of_other_sizes_are_refused(
    aligned: RefAdGenPipeline, images: Tensor, message: str
) -> None:
    with pytest.raises(RenderArgumentError, match=message):
        aligned.encode_references(images)


def test_frames_that_cannot_be_are_refused(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    with pytest.raises(ModelError, match="position features are of the canonical frame"):
        small_pipeline(position_frequencies=3, reference_frame="aligned")
    with pytest.raises(ModelError, match=r"reference_frame 'askew'.*canonical or aligned"):
        small_pipeline(reference_frame="askew")
    features = pipeline.encode_references(inputs.pictures[:1])
    with pytest.raises(RenderArgumentError, match="frames: not given"):
        render(pipeline, inputs, features)


def item(key: str, seed: int = 1) -> RenderItem:
    mask = np.zeros((96, 64), np.uint8)
    mask[40:80, 16:48] = 255
    return RenderItem(key, "a red cup", "", mask, (32.0, 60.0, 47.0), seed, steps=2)


def test_the_renderer_takes_aligned_pictures_and_names_those_that_do_not_fit(folder: Path) -> None:
    renderer = RefAdGenRenderer.load(folder)
    pictures = {n: RNG.integers(0, 256, (96, 64, 3), np.uint8) for n in ("here", "there")}
    made = renderer.render(RenderRequest(pictures, [item("here"), item("there")]))
    assert not np.array_equal(*made)
    square = {"square": RNG.integers(0, 256, (64, 64, 3), np.uint8)}
    with pytest.raises(RenderArgumentError, match="references: made for 64x64"):
        renderer.render(RenderRequest(square, [item("square")]))
    with pytest.raises(RenderArgumentError, match="references: of several sizes"):
        renderer.render(RenderRequest({**pictures, **square}, [item("here"), item("square")]))


def test_views_are_one_softmax_over_all_their_tokens() -> None:
    unet = small_unet(0)
    randomise(unet)
    name, attn = next(iter(self_attentions(unet)))
    hidden, views = torch.randn(1, 12, 16), torch.randn(3, 10, 16)
    with torch.no_grad():
        key, value = unet.fusion_processors[name].project(views, None)
        one = ReferenceFeatures({name: key[:, None]}, {name: value[:, None]}).as_views()
        fusion = Fusion({name: one.keys[name][:, 0]}, {name: one.values[name][:, 0]}, {}, 0.7)
        made = attn(hidden, fusion=fusion)
        weights = unet.double().fusion_processors[name]
        attn.set_processor(
            EquationOne(
                weights.to_k_ref.weight,
                weights.to_v_ref.weight,
                views.double().reshape(1, 30, 16),
                0.7,
            )
        )
        expected = attn(hidden.double())
    assert len(one) == 1
    assert relative_error(made, expected) <= 1e-5


def test_the_same_view_twice_is_the_view_once(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    picture = inputs.pictures[:1]
    once = pipeline.encode_references(picture)
    twice = pipeline.encode_views(picture.repeat(2, 1, 1, 1))
    another = pipeline.encode_views(inputs.pictures)
    made = [
        pipeline.render(["a cup"], [""], f, inputs.masks[:1], inputs.frames[:1], [1], steps=2)
        for f in (once, twice, another)
    ]
    assert (made[0] - made[1]).abs().max() <= 1e-4
    assert (made[0] - made[2]).abs().max() > 1e-3


def test_the_renderer_takes_several_views(pipeline: RefAdGenPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    renderer = RefAdGenRenderer.load(tmp_path)
    views = RNG.integers(0, 256, (2, 64, 64, 3), np.uint8)
    pictures = {"both": views, "first": views[0]}
    made = [renderer.render(RenderRequest(pictures, [item(k)]))[0] for k in pictures]
    assert not np.array_equal(*made)
    with pytest.raises(RenderArgumentError, match="one number of views per batch"):
        renderer.render(RenderRequest(pictures, [item("both"), item("first")]))
    with pytest.raises(RenderArgumentError, match=r"references\['none'\]"):
        renderer.render(RenderRequest({"none": views[:0]}, [item("none")]))
