"""Rendering: batches, guidance halves, saving and loading, what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.text import TextEncoders
from tests.unit.refadgen.conftest import Inputs, small_pipeline

Render = Callable[..., Tensor]


def psnr_db(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean().clamp_min(1e-12)))


def test_pictures_have_the_masks_size_and_are_in_range(render: Render) -> None:
    pictures = render()
    assert pictures.shape == (4, 3, 96, 64)
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1


def test_a_sample_is_the_same_alone_and_in_a_batch(
    render: Render, pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    together = render()
    features = pipeline.encode_references(inputs.pictures)
    for i in range(4):
        alone = render(
            prompts=inputs.prompts[i : i + 1],
            negative_prompts=inputs.negatives[i : i + 1],
            references=features.select([inputs.products[i]]),
            masks=inputs.masks[i : i + 1],
            frames=inputs.frames[i : i + 1],
            seeds=inputs.seeds[i : i + 1],
        )
        assert psnr_db(alone, together[i : i + 1]) >= 50


def test_every_input_has_a_say(render: Render, pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    base = render()
    features = pipeline.encode_references(inputs.pictures)
    changes = {
        "prompts": ["a table", *inputs.prompts[1:]],
        "negative_prompts": ["red", *inputs.negatives[1:]],
        "references": features.select([1, *inputs.products[1:]]),
        "masks": torch.cat([inputs.masks[:1].flip(-2), inputs.masks[1:]]),
        "frames": torch.cat([inputs.frames[:1] + 8, inputs.frames[1:]]),
        "seeds": [9, *inputs.seeds[1:]],
    }
    for name, value in changes.items():
        changed = render(**{name: value})
        assert psnr_db(changed[1:], base[1:]) >= 50, f"{name} of one sample reached another"
        assert psnr_db(changed[:1], base[:1]) < 60, f"{name} has no effect"


def test_without_lambda_the_reference_has_no_say(
    render: Render, pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    other = pipeline.encode_references(inputs.pictures).select([1, 0, 1, 0])
    assert torch.equal(render(reference_scale=0.0), render(reference_scale=0.0, references=other))


def test_without_guidance_the_unconditional_half_has_no_say(render: Render, inputs: Inputs) -> None:
    changed = ["blue"] * 4
    assert torch.equal(
        render(guidance_scale=1.0), render(guidance_scale=1.0, negative_prompts=changed)
    )
    assert not torch.equal(render(), render(negative_prompts=changed))
    assert inputs.negatives != changed


NAN_MASK = torch.full((4, 1, 96, 64), float("nan"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masks": torch.ones(4, 1, 96, 60)}, "masks: .*60x96.*multiples of 16 px, such as 64x96"),
        ({"masks": torch.ones(4, 96, 64)}, r"masks: shape \(4, 96, 64\)"),
        ({"masks": torch.ones(4, 3, 96, 64)}, "masks: shape"),
        ({"masks": 255 * torch.ones(4, 1, 96, 64)}, "masks: .*255"),
        ({"masks": NAN_MASK}, "masks: .*NaN"),
        ({"masks": torch.zeros(4, 1, 96, 64)}, "masks: mask 0 is empty"),
        ({"frames": torch.ones(3, 3)}, "frames: "),
        ({"frames": torch.tensor([[32.0, 60.0, 0.0]] * 4)}, "frames: .*side"),
        ({"frames": torch.full((4, 3), float("inf"))}, "frames: not finite"),
        ({"prompts": ["a"]}, "prompts: 1 given for 4"),
        ({"negative_prompts": []}, "negative_prompts: 0 given"),
        ({"seeds": [1, 2, 3]}, "seeds: 3 given"),
        ({"seeds": [1, 2, 3, -4]}, "seeds: seed -4"),
        ({"seeds": [1, 2, 3, 4.5]}, "seeds: seed 4.5"),
        ({"steps": 0}, "steps: 0"),
        ({"steps": 1.5}, "steps: 1.5"),
        ({"guidance_scale": 0.5}, "guidance_scale: 0.5"),
        ({"guidance_scale": float("nan")}, "guidance_scale: nan"),
        ({"reference_scale": -0.1}, "reference_scale: lambda is -0.1"),
        ({"reference_scale": float("nan")}, "reference_scale: lambda is nan"),
    ],
)
def test_bad_arguments_are_named(render: Render, changed: dict[str, object], message: str) -> None:
    with pytest.raises(RenderArgumentError, match=message):
        render(**changed)


def test_numpy_seeds_are_seeds(render: Render, inputs: Inputs) -> None:
    assert torch.equal(render(seeds=[np.int64(s) for s in inputs.seeds]), render())


def test_references_must_be_one_per_sample(
    render: Render, pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    with pytest.raises(RenderArgumentError, match="references: 2 given for 4"):
        render(references=pipeline.encode_references(inputs.pictures))


@pytest.mark.parametrize(
    "pictures",
    [torch.rand(1, 3, 64, 48), torch.rand(3, 64, 64), torch.rand(0, 3, 64, 64)],
    ids=["not square", "no batch", "empty"],
)
def test_reference_pictures_of_another_shape_are_refused(
    pipeline: RefAdGenPipeline, pictures: Tensor
) -> None:
    with pytest.raises(RenderArgumentError, match=r"images: .*\(P, 3, 64, 64\)"):
        pipeline.encode_references(pictures)


def test_reference_pictures_out_of_range_are_refused(pipeline: RefAdGenPipeline) -> None:
    with pytest.raises(RenderArgumentError, match="images: values from"):
        pipeline.encode_references(200 * torch.ones(1, 3, 64, 64))


def test_a_prompt_beyond_the_encoders_length_is_refused_unless_it_may_be_cut(
    render: Render,
) -> None:
    long = "a " * 20
    prompts = ["a cup", long, "a cup", "a cup"]
    with pytest.raises(RenderArgumentError, match=r"prompts\[1\]: 22 tokens.* reads 12.*shorten"):
        render(prompts=prompts, steps=1)
    with pytest.raises(RenderArgumentError, match=r"negative_prompts\[0\]: 22 tokens"):
        render(negative_prompts=[long, "", "", ""], steps=1)
    cut = ["a cup", "a " * 10, "a cup", "a cup"]
    expected = render(prompts=cut, steps=1)
    assert torch.equal(render(prompts=prompts, steps=1, truncate_prompts=True), expected)


def test_text_encoders_that_do_not_fit_are_refused() -> None:
    parts = small_pipeline().components
    encoders = TextEncoders(parts["tokenizer"], parts["text_encoder"])
    encoders.check(context=32, pooled=0)
    with pytest.raises(ModelError, match="gives 32 numbers per token, the U-Net reads 40"):
        encoders.check(context=40, pooled=0)
    with pytest.raises(ModelError, match="pooled text embeddings of 10, the encoders give 0"):
        encoders.check(context=32, pooled=10)
    parts["tokenizer"].model_max_length = 77
    with pytest.raises(ModelError, match="allows 77 tokens, the text encoder reads 12"):
        encoders.check(context=32, pooled=0)
