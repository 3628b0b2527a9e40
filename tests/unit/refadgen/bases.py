"""U-Nets of the shapes of Stable Diffusion 1.5, 2.1 and XL, at widths fit for a unit test."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from models.refadgen.added import TextTime
from models.refadgen.attention import self_attentions
from models.refadgen.mini import reference_copy
from models.refadgen.reference import ReferenceUNet
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import randomise

SD15: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (8, 16, 16, 16),
    "attention_head_dim": 2,
    "cross_attention_dim": 16,
    "norm_num_groups": 4,
}
SD21: dict[str, Any] = {
    **SD15,
    "attention_head_dim": (1, 2, 4, 4),
    "cross_attention_dim": 24,
    "use_linear_projection": True,
}
SDXL: dict[str, Any] = {
    **SD21,
    "block_out_channels": (8, 16, 16),
    "attention_head_dim": (1, 2, 4),
    "cross_attention_dim": 32,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 3),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 10 + 6 * 4,
}
BASES = {"sd15": SD15, "sd21": SD21, "sdxl": SDXL}
LAYERS = {"sd15": 16, "sd21": 16, "sdxl": 2 * 2 + 2 * 3 + 3 * 3 + 3 * 2 + 3}
SIZE = (16, 8)  # latents


def unets(base: str, seed: int = 0) -> tuple[GenerationUNet, ReferenceUNet]:
    """Both U-Nets of a base, nothing in them zero."""
    torch.manual_seed(seed)
    generation = GenerationUNet(in_channels=5, **BASES[base]).eval()
    reference = reference_copy(generation).eval()
    randomise(generation, 1)
    randomise(reference, 2)
    return generation, reference


def plain(unet: UNet2DConditionModel, dtype: torch.dtype = torch.float64) -> UNet2DConditionModel:
    """diffusers' own U-Net with the same weights, AFMs left out."""
    copy = UNet2DConditionModel(**_plain_config(unet.config)).eval()
    copy.load_state_dict({k: v for k, v in unet.state_dict().items() if ".processor." not in k})
    return copy.to(dtype)


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    ours = ("position_frequencies",)
    return {k: v for k, v in config.items() if k not in ours and not k.startswith("_")}


def text_time(base: str, batch: int, seed: int = 5) -> TextTime | None:
    if base != "sdxl":
        return None
    pooled = torch.randn(batch, 10, generator=torch.Generator().manual_seed(seed))
    return TextTime.uncropped(pooled, 128, 64)


def added(condition: TextTime | None, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """diffusers' name for it."""
    if condition is None:
        return {}
    return {"text_embeds": condition.pooled.to(dtype), "time_ids": condition.sizes.to(dtype)}


def layer_names(unet: UNet2DConditionModel) -> list[str]:
    return [name for name, _ in self_attentions(unet)]
