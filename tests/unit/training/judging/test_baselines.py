"""Baselines through diffusers, on Stable Diffusion folders with small random weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
)
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from adloom.errors import ModelError
from adloom.geometry import Size
from models.refadgen.resampler import Resampler
from tests.unit.refadgen.bases import SD15
from tests.unit.refadgen.conftest import randomise, small_pipeline
from tests.unit.refadgen.starting_points import VISION, image_encoder, stable_diffusion
from tests.unit.training.conftest import drawn_shard
from tests.unit.training.judging.test_evaluation import samples
from training.judging.baselines import BASELINES, baseline_named, placed_product
from training.judging.heldout import Sampling, Truth
from training.judging.run import Evaluation, Peers, run_evaluation

EDITING: dict[str, Any] = {**SD15, "in_channels": 8}


def truth(seed: int = 0) -> Truth:
    shard = drawn_shard((64, 96), 1, seed)
    frame = (32.0, 40.0, 32 / 0.85)
    return Truth(shard.ads[0], shard.masks[0], shard.products[0], frame, "a red cup", {})


def controlnet(folder: Path) -> Path:
    torch.manual_seed(5)
    network = ControlNetModel(
        block_out_channels=SD15["block_out_channels"],
        attention_head_dim=2,
        cross_attention_dim=SD15["cross_attention_dim"],
        norm_num_groups=4,
        conditioning_embedding_out_channels=(4, 8),
    )
    randomise(network)
    network.save_pretrained(folder)
    return folder


def t2i_adapter(folder: Path) -> Path:
    torch.manual_seed(6)
    T2IAdapter(
        in_channels=1,
        channels=list(SD15["block_out_channels"]),
        num_res_blocks=1,
        downscale_factor=2,
        adapter_type="full_adapter",
    ).save_pretrained(folder)
    return folder


def ip_adapter(folder: Path) -> Path:
    """Laid out as the hub's, with the two projections of every cross-attention."""
    torch.manual_seed(7)
    context = SD15["cross_attention_dim"]
    projection = Resampler(
        dim=64, depth=4, dim_head=64, heads=1, num_queries=3, embedding_dim=VISION,
        output_dim=context, ff_mult=4,
    )  # fmt: skip
    unet: Any = UNet2DConditionModel(**SD15)
    state = {f"image_proj.{k}": v for k, v in projection.state_dict().items()}
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            width = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            for which in ("k", "v"):
                weight = torch.randn(int(width), context)
                state[f"ip_adapter.{number}.to_{which}_ip.weight"] = weight
    (folder / "models").mkdir(parents=True)
    save_file(state, folder / "models" / "ip-adapter-plus_sd15.safetensors")
    image_encoder().save_pretrained(folder / "models" / "image_encoder")
    return folder


def instruct_pix2pix(folder: Path) -> Path:
    base = stable_diffusion(folder.with_name("base-of-editing"), "sd15")
    torch.manual_seed(8)
    unet = UNet2DConditionModel(**EDITING)
    made: Any = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        base, unet=unet, safety_checker=None, requires_safety_checker=False
    )
    made.save_pretrained(folder)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "controlnet": controlnet,
    "t2i-adapter": t2i_adapter,
    "ip-adapter": ip_adapter,
    "instruct-pix2pix": instruct_pix2pix,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = stable_diffusion(tmp_path_factory.mktemp("sd") / "base", "sd15")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(
        folder / "feature_extractor"
    )
    index = json.loads((folder / "model_index.json").read_text())
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_renders_what_it_is_given_the_same_twice(
    base: Path, tmp_path: Path, name: str
) -> None:
    source = MAKERS[name](tmp_path / "source")
    contender = baseline_named(name, str(source), str(base), steps=2)
    given = truth()
    [made] = contender.render([given], seed=1)
    assert made.shape == given.ad.shape
    assert np.array_equal(contender.render([given], seed=1)[0], made)
    assert not np.array_equal(contender.render([given], seed=2)[0], made)
    wider = given.reference.copy()
    wider[20:30, 10:50] = 0
    assert not np.array_equal(
        contender.render([replace(given, reference=wider)], seed=1)[0], made
    ), "another product, another picture"
    unseen = replace(given, ad=255 - given.ad)
    assert np.array_equal(contender.render([unseen], seed=1)[0], made), "it saw the true ad"


def test_the_product_is_placed_where_the_ad_shows_it() -> None:
    given = truth()
    placed = placed_product(given, Size(64, 96))
    shown = (placed < 250).any(axis=2)
    assert np.mean(shown == (given.mask > 127)) > 0.98
    assert np.abs(placed[36:44, 28:36].astype(int) - given.ad[36:44, 28:36]).max() <= 2


def test_one_is_judged_beside_the_model_and_one_that_cannot_be_had_is_left_out(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    there, nowhere = t2i_adapter(tmp_path / "adapter"), tmp_path / "nowhere"
    peers = Peers((f"t2i-adapter={there}", f"controlnet={nowhere}"), str(base), 1)
    asked = Evaluation(
        tmp_path / "model", samples(tmp_path / "held", 3, 1), tmp_path / "out", count=2, seeds=1,
        how=Sampling(steps=1), peers=peers,
    )  # fmt: skip
    head = run_evaluation(asked).splitlines()[0]
    assert "t2i-adapter" in head
    assert "controlnet" not in head
    said = capsys.readouterr().err
    assert "left out: " in said
    assert str(nowhere) in said
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(report["left out"]) == {"controlnet"}
    assert report["baselines"]["steps"] == 1
    assert "mask IoU" in report["measures"]["t2i-adapter"]


def test_measures_of_place_are_not_held_against_a_baseline_that_is_not_told_it(
    base: Path, tmp_path: Path
) -> None:
    small_pipeline().save_pretrained(tmp_path / "model")
    source = ip_adapter(tmp_path / "adapter")
    asked = Evaluation(
        tmp_path / "model", samples(tmp_path / "held", 2, 1), tmp_path / "out", count=2, seeds=1,
        how=Sampling(steps=1), peers=Peers((f"ip-adapter={source}",), str(base), 1),
    )  # fmt: skip
    run_evaluation(asked)
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(report["measures"]["ip-adapter"]) == {"KID-EffLite0"}


def test_a_name_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    asked = Evaluation(
        tmp_path / "model", samples(tmp_path / "held", 3, 1), tmp_path / "out", count=2, seeds=1
    )
    with pytest.raises(ModelError, match="one of ip-adapter, controlnet"):
        run_evaluation(replace(asked, peers=Peers(("dreambooth",))))
    with pytest.raises(ModelError, match="one of clip-score"):
        run_evaluation(replace(asked, hub=("clip=somewhere",)))
