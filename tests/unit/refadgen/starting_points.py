"""The paper's starting points as tiny folders: Stable Diffusion, IP-Adapter-Plus, image encoder."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
)

from models.refadgen.resampler import Resampler
from models.refadgen.tokens import word_tokenizer
from tests.unit.refadgen.bases import BASES
from tests.unit.refadgen.conftest import WORDS

VISION = 24  # width of the image encoder
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def stable_diffusion(folder: Path, base: str, seed: int = 0) -> Path:
    """A Stable Diffusion folder of a base's shape, with random weights."""
    torch.manual_seed(seed)
    config = BASES[base]
    tokenizer = word_tokenizer(WORDS, 12)
    parts: dict[str, Any] = {
        "vae": AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            scaling_factor=0.2,
        ),
        "unet": UNet2DConditionModel(**config),
        "tokenizer": tokenizer,
        "scheduler": PNDMScheduler(skip_prk_steps=True, steps_offset=1, **BETAS),
    }
    if base == "sdxl":
        half = text_config(tokenizer, config["cross_attention_dim"] // 2)
        parts |= {
            "text_encoder": CLIPTextModel(half),
            "text_encoder_2": CLIPTextModelWithProjection(half),
            "tokenizer_2": tokenizer,
            "scheduler": EulerDiscreteScheduler(**BETAS),
        }
        StableDiffusionXLPipeline(**parts).save_pretrained(folder)
        return folder
    parts |= {
        "text_encoder": CLIPTextModel(text_config(tokenizer, config["cross_attention_dim"])),
        "safety_checker": None,
        "feature_extractor": None,
    }
    StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


def text_config(tokenizer: PreTrainedTokenizerFast, width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        projection_dim=10,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def resampler(context: int, seed: int = 3) -> Resampler:
    torch.manual_seed(seed)
    return Resampler(
        dim=16,
        depth=2,
        dim_head=8,
        heads=2,
        num_queries=3,
        embedding_dim=VISION,
        output_dim=context,
        ff_mult=2,
    )


def ip_adapter(folder: Path, context: int) -> Path:
    """A folder with a pickled adapter and an image encoder, laid out as the hub's."""
    (folder / "models").mkdir(parents=True)
    state = {"image_proj": resampler(context).state_dict(), "ip_adapter": {}}
    torch.save(state, folder / "models" / "ip-adapter-plus_sd15.bin")
    image_encoder().save_pretrained(folder / "models" / "image_encoder")
    return folder


def image_encoder() -> CLIPVisionModelWithProjection:
    torch.manual_seed(4)
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=VISION,
            intermediate_size=VISION,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=8,
        )
    )


def released_state(plain: UNet2DConditionModel, projection: Resampler) -> dict[str, Tensor]:
    """The layout of the authors' checkpoint, by names written out: as it was trained, nothing in
    it equals the base."""
    state: dict[str, Tensor] = {}
    for name, tensor in plain.state_dict().items():
        state[f"ref_unet.{name}"] = torch.randn_like(tensor) * 0.1
        grown = torch.randn_like(tensor) * 0.1
        if name == "conv_in.weight":
            grown = torch.cat([grown, torch.ones_like(grown[:, :1])], dim=1)
        state[f"unet.{name}"] = grown
    for number, name in enumerate(plain.attn_processors):
        if not name.endswith("attn1.processor"):
            continue
        layer = name.removesuffix(".processor")
        for which in ("k", "v"):
            like = plain.state_dict()[f"{layer}.to_{which}.weight"]
            weight = torch.randn_like(like) * 0.1
            state[f"unet.{layer}.processor.to_{which}_ref.weight"] = weight
            state[f"adapter_modules.{number}.to_{which}_ref.weight"] = weight.clone()
    for name, tensor in projection.state_dict().items():
        state[f"proj.{name}"] = tensor
    return state
