"""Rendering: batches, guidance halves, saving and loading, what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.weights import weights_hash
from tests.unit.refadgen.conftest import Inputs

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


def test_a_saved_model_renders_the_same_in_a_fresh_process(
    pipeline: RefAdGenPipeline, render: Render, inputs: Inputs, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    saved = {f: getattr(inputs, f) for f in inputs.__slots__}
    torch.save(saved, tmp_path / "inputs.pt")
    script = """
import sys, torch
from models.refadgen.pipeline import RefAdGenPipeline
torch.set_num_threads(int(sys.argv[2]))
folder = sys.argv[1]
pipeline = RefAdGenPipeline.from_pretrained(folder + "/model")
i = torch.load(folder + "/inputs.pt", weights_only=True)
features = pipeline.encode_references(i["pictures"]).select(i["products"])
made = pipeline.render(
    i["prompts"], i["negatives"], features, i["masks"], i["frames"], i["seeds"], steps=3
)
torch.save(made, folder + "/made.pt")
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(torch.get_num_threads())]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], capture_output=True)
    assert psnr_db(torch.load(tmp_path / "made.pt", weights_only=True), render()) >= 80


def test_weights_hash_names_the_content(pipeline: RefAdGenPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "a")
    pipeline.save_pretrained(tmp_path / "b")
    before = weights_hash(tmp_path / "a")
    assert before == weights_hash(tmp_path / "b")
    (tmp_path / "a" / "README.md").write_text("a model card decides no pixel")
    assert before == weights_hash(tmp_path / "a")
    index = tmp_path / "a" / "model_index.json"
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "guidance_rescale": 0.7}))
    assert before != weights_hash(tmp_path / "a")
    with pytest.raises(ModelError, match=r"model_index\.json"):
        weights_hash(tmp_path)


NAN_MASK = torch.full((4, 1, 96, 64), float("nan"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masks": torch.ones(4, 1, 96, 60)}, "masks: .*60x96.*multiples of 16"),
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
        ({"steps": 0}, "steps: 0"),
        ({"guidance_scale": 0.5}, "guidance_scale: 0.5"),
        ({"guidance_scale": float("nan")}, "guidance_scale: nan"),
        ({"reference_scale": -0.1}, "reference_scale: lambda is -0.1"),
        ({"reference_scale": float("nan")}, "reference_scale: lambda is nan"),
    ],
)
def test_bad_arguments_are_named(render: Render, changed: dict[str, object], message: str) -> None:
    with pytest.raises(RenderArgumentError, match=message):
        render(**changed)


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
