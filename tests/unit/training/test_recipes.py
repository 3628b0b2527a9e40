"""What the recipes say, and which parameters they train."""

from pathlib import Path

import pytest
import torch

from adloom.errors import SpecError
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.refadgen.starting_points import ip_adapter, stable_diffusion
from tests.unit.training.conftest import NATIVES, drawn_shard
from training.latents import Bucket, encode_shard
from training.recipe import RECIPES, Training, read_recipe
from training.schedule import rate_factor
from training.train import Trainer
from training.trainable import choose_trainable


@pytest.mark.parametrize("name", sorted(p.stem for p in RECIPES.glob("*.yaml")))
def test_every_recipe_of_the_project_can_be_read(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.steps > recipe.warmup
    assert recipe.ema_decay == 0 or 2 / (1 - recipe.ema_decay) < recipe.steps


@pytest.fixture(scope="module")
def from_sd15(tmp_path_factory: pytest.TempPathFactory) -> RefAdGenPipeline:
    """The paper's starting point, every part of SD1.5's shape at a width fit for a test."""
    folder = tmp_path_factory.mktemp("sd15")
    base, adapter = stable_diffusion(folder / "base", "sd15"), ip_adapter(folder / "ip", 16)
    return RefAdGenPipeline.from_stable_diffusion(base, None, adapter, adapter, head_dim=8)


def test_from_sd15_the_paper_trains_these_parameters_and_no_other(
    from_sd15: RefAdGenPipeline,
) -> None:
    trained = set(choose_trainable(from_sd15, read_recipe("paper").trainable))
    unet = {n for n in trained if n.startswith("unet.")}
    layers = [
        *(f"down_blocks.{b}.attentions.{a}" for b in range(3) for a in range(2)),
        "mid_block.attentions.0",
        *(f"up_blocks.{b}.attentions.{a}" for b in range(1, 4) for a in range(3)),
    ]
    assert len(layers) == 16
    afm = {
        f"unet.{layer}.transformer_blocks.0.attn1.processor.to_{which}_ref.weight"
        for layer in layers
        for which in "kv"
    }
    assert unet == afm | {"unet.conv_in.weight", "unet.conv_in.bias"}
    every = {f"reference_unet.{n}" for n, _ in from_sd15.reference_unet.named_parameters()}
    last = "reference_unet.up_blocks.3.attentions.2."
    block = f"{last}transformer_blocks.0."
    unread = {
        n for n in every
        if n.startswith((f"{last}proj_out", f"{block}attn", f"{block}norm2", f"{block}norm3",
                         f"{block}ff", "reference_unet.conv_norm_out", "reference_unet.conv_out"))
    }  # fmt: skip
    assert {n for n in trained if n.startswith("reference_unet.")} == every - unread
    resampler = {f"resampler.{n}" for n, _ in from_sd15.resampler.named_parameters()}
    assert trained - unet - every == resampler


def test_a_step_of_the_paper_moves_the_trained_parameters_alone(
    from_sd15: RefAdGenPipeline, tmp_path: Path
) -> None:
    shard = drawn_shard((64, 64), 4)
    buckets = [encode_shard(from_sd15, shard)]
    before = {
        f"{network}.{name}": p.detach().clone()
        for network, part in from_sd15.networks.items()
        for name, p in part.named_parameters()
    }
    recipe = read_recipe("paper", {"steps": 3, "batch": 2, "warmup": 1})
    trainer = Trainer(from_sd15, buckets, recipe, tmp_path)
    trainer.take_step(0.0)
    trainer.take_step(0.0)  # what is zero at first gets its gradient at the second step
    moved = {
        f"{network}.{name}"
        for network, part in from_sd15.networks.items()
        for name, p in part.named_parameters()
        if not torch.equal(p, before[f"{network}.{name}"])
    }
    assert moved == set(trainer.trained)


def test_the_papers_figures() -> None:
    paper = read_recipe("paper")
    assert (paper.lr, paper.weight_decay, paper.batch, paper.epochs) == (1e-5, 0.01, 3, 8)
    assert (paper.noise_offset, paper.warmup, paper.schedule) == (0.05, 500, "linear")
    assert (paper.drop_image, paper.drop_text, paper.drop_both) == (0.05, 0.05, 0.05)
    assert paper.steps_over(90_000, workers=2) == 120_000
    assert read_recipe("mini") == Training()


def test_gradient_checkpointing_changes_no_gradient(tmp_path: Path) -> None:
    gradients: list[list[torch.Tensor]] = []
    for checkpointing in (False, True):
        pipeline = small_pipeline()
        buckets: list[Bucket] = [encode_shard(pipeline, drawn_shard(n, 12)) for n in NATIVES]
        changes = {"gradient_checkpointing": checkpointing, "bf16": False, "batch": 4}
        trainer = Trainer(pipeline, buckets, read_recipe("mini", changes), tmp_path)
        trainer.take_step(0.0)
        gradients.append([p.grad.clone() for p in trainer.parameters if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    pairs = zip(*gradients, strict=True)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("lr: fast", "lr"), ("learning_rate: 1", "unknown: learning_rate"), ("- 1", "names and"),
     ("schedule: sawtooth", "schedule"), ("a: [", "cannot be read"),
     ("{cuda_graphs: true, gradient_checkpointing: true}", "turn one of them off")],
)  # fmt: skip
def test_a_recipe_that_cannot_be_used_says_why(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(SpecError, match=reason):
        read_recipe(str(tmp_path / "own.yaml"))
    with pytest.raises(SpecError, match="mini, onward, onward-scenes, paper"):
        read_recipe("unheard-of")


def test_rates_rise_and_fall_as_their_kind_says() -> None:
    assert rate_factor("linear", 0, 10, 0.0) == pytest.approx(0.1)
    assert rate_factor("linear", 99, 10, 0.75) == pytest.approx(0.25)
    assert rate_factor("constant", 99, 10, 0.75) == 1.0
