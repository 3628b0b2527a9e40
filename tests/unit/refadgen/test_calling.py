"""RefAdGen used as one of diffusers' pipelines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.callbacks import SDCFGCutoffCallback
from PIL import Image
from torch import Tensor

from adloom.errors import RenderArgumentError
from models.refadgen.calling import product_frame
from models.refadgen.pipeline import RefAdGenPipeline

Call = Callable[..., Any]


def drawn_mask() -> Image.Image:
    array = np.zeros((96, 64), np.uint8)
    array[40:80, 16:48] = 255
    return Image.fromarray(array)


PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.fixture
def call(pipeline: RefAdGenPipeline) -> Call:
    def call(**changed: Any) -> Any:
        arguments = {
            "prompt": "a red cup",
            "image": PICTURE,
            "mask_image": drawn_mask(),
            "num_inference_steps": 3,
            "generator": torch.Generator().manual_seed(7),
            "output_type": "pt",
        }
        return pipeline(**{**arguments, **changed}).images

    return call


def test_it_gives_what_render_gives(call: Call, pipeline: RefAdGenPipeline) -> None:
    picture = torch.from_numpy(np.asarray(PICTURE).copy()).permute(2, 0, 1)[None].float() / 255
    mask = torch.from_numpy(np.asarray(drawn_mask()).copy())[None, None].float() / 255
    expected = pipeline.render(
        ["a red cup"],
        [""],
        pipeline.encode_references(picture),
        mask,
        torch.tensor([[32.0, 60.0, 40 / 0.85]]),
        [7],
        steps=3,
    )
    assert torch.allclose(call(), expected, atol=1e-5)
    latents = call(output_type="latent")
    assert torch.allclose(pipeline.decode_picture(latents), expected, atol=1e-5)


def test_pictures_come_as_asked(call: Call, pipeline: RefAdGenPipeline) -> None:
    (pil,) = call(output_type="pil")
    array = call(output_type="np")
    assert (pil.size, array.shape) == ((64, 96), (1, 96, 64, 3))
    assert np.abs(np.asarray(pil) / 255 - array[0]).max() <= 0.5 / 255 + 1e-6
    arguments = {"num_inference_steps": 1, "return_dict": False}
    assert isinstance(pipeline("a cup", PICTURE, drawn_mask(), **arguments), tuple)


def test_arrays_and_tensors_are_taken_as_pictures_are(call: Call) -> None:
    expected = call()
    array = np.asarray(PICTURE)
    assert torch.equal(expected, call(image=array, mask_image=np.asarray(drawn_mask())))
    as_float = array.astype(np.float32) / 255
    assert torch.allclose(expected, call(image=as_float), atol=1e-5)
    tensor = torch.from_numpy(as_float).permute(2, 0, 1)
    assert torch.allclose(expected, call(image=[tensor]), atol=1e-5)
    larger = PICTURE.resize((128, 128), Image.Resampling.NEAREST)
    assert call(image=larger).shape == expected.shape


def test_prompts_share_a_picture_or_bring_their_own(call: Call) -> None:
    generators = [torch.Generator().manual_seed(s) for s in (7, 8, 9, 10)]
    made = call(prompt=["a red cup", "a table"], num_images_per_prompt=2, generator=generators)
    assert made.shape == (4, 3, 96, 64)
    assert torch.allclose(made[:1], call(), atol=1e-4)
    assert not torch.allclose(made[0], made[1])
    flipped = PICTURE.transpose(Image.Transpose.ROTATE_90)
    both = [torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)]
    own = call(prompt=["a red cup"] * 2, image=[PICTURE, flipped], generator=both)
    assert torch.allclose(own[:1], call(), atol=1e-4)
    assert not torch.allclose(own[0], own[1])


def test_a_callback_sees_each_step_and_may_change_it(call: Call) -> None:
    seen: list[tuple[int, int]] = []

    def watch(pipe: RefAdGenPipeline, i: int, t: Tensor, given: dict[str, Any]) -> dict[str, Any]:
        assert isinstance(pipe, RefAdGenPipeline)
        assert pipe.num_timesteps == 3
        seen.append((i, int(t)))
        return given

    assert torch.equal(call(callback_on_step_end=watch), call())
    assert seen == [(0, 999), (1, 666), (2, 332)]
    zeroed = call(callback_on_step_end=lambda _p, _i, _t, given: {"latents": 0 * given["latents"]})
    assert not torch.allclose(zeroed, call())


def test_a_callback_may_end_the_sampling(call: Call) -> None:
    steps: list[int] = []

    def stop(pipe: RefAdGenPipeline, i: int, _t: Tensor, given: dict[str, Any]) -> dict[str, Any]:
        steps.append(i)
        pipe._interrupt = i == 1
        return given

    call(callback_on_step_end=stop)
    assert steps == [0, 1]
    assert not torch.equal(call(), call(callback_on_step_end=stop))


def test_the_progress_bar_counts_the_steps(
    call: Call, pipeline: RefAdGenPipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.set_progress_bar_config(disable=False)
    try:
        call()
    finally:
        pipeline.set_progress_bar_config(disable=True)
    assert "3/3" in capsys.readouterr().err
    call()
    assert capsys.readouterr().err == ""


def test_the_frame_is_that_of_the_masks_product() -> None:
    mask = torch.zeros(96, 64)
    mask[40:80, 16:48] = 1
    assert product_frame(mask) == pytest.approx((32, 60, 40 / 0.85))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"output_type": "jpeg"}, "output_type: 'jpeg'"),
        ({"negative_prompt": ["a", "b"]}, "negative_prompt: 2 for 1 prompts"),
        ({"image": [PICTURE, PICTURE]}, "image: 2 for 1 prompts"),
        ({"mask_image": [drawn_mask()] * 3}, "mask_image: 3 for 1 prompts"),
        ({"image": "cup.png"}, "image: str is no picture"),
        ({"image": np.zeros((64, 64, 5), np.uint8)}, "image: 5 channels"),
        ({"image": PICTURE.resize((64, 48))}, "images: shape"),
        ({"mask_image": drawn_mask().resize((60, 90))}, "masks: .*60x90 .*such as 64x96"),
        ({"mask_image": Image.new("L", (64, 96))}, "masks: mask 0 is empty"),
        ({"generator": [torch.Generator()] * 2}, "generator: 2 for 1 pictures"),
        (
            {
                "callback_on_step_end": lambda *_: {},
                "callback_on_step_end_tensor_inputs": ["text"],
            },
            "text cannot be handed out .*latents",
        ),
        ({"callback_on_step_end": SDCFGCutoffCallback()}, "prompt_embeds cannot be handed out"),
    ],
)
def test_what_cannot_be_used_is_named(call: Call, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(RenderArgumentError, match=message):
        call(**changed)
