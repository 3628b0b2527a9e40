"""SDXL's added conditioning (`addition_embed_type: text_time`), and what no U-Net here may ask for.

SDXL's U-Net takes, beside the text's hidden states, the prompt's pooled embedding and six numbers:
the picture's original size, where it was cropped, and its target size. Both of our U-Nets then need
them: the Generation U-Net those of the prompt and the native size, the Reference U-Net, which reads
no text, a pooled embedding of zeros (SDXL's own for an empty prompt) and its picture's size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.checks import refuse

SIZES = 6  # original height, width; crop top, left; target height, width


@dataclass(frozen=True, slots=True)
class TextTime:
    """pooled: (B, P) pooled text embedding; sizes: (B, 6) px, see `SIZES`."""

    pooled: Tensor
    sizes: Tensor

    @classmethod
    def uncropped(cls, pooled: Tensor, height: int, width: int) -> "TextTime":
        """For pictures that are delivered whole, at the size that they are made in."""
        sizes = torch.tensor([[height, width, 0, 0, height, width]], device=pooled.device)
        return cls(pooled, sizes.to(pooled.dtype).expand(len(pooled), -1))

    @staticmethod
    def concatenate(parts: Sequence["TextTime"]) -> "TextTime":
        return TextTime(torch.cat([p.pooled for p in parts]), torch.cat([p.sizes for p in parts]))


def check_conditioning(config: Mapping[str, Any]) -> None:
    """Refuse U-Nets that ask for something else than text and text_time: ModelError says what."""
    kind = config["addition_embed_type"]
    if kind not in (None, "text", "text_time"):
        raise ModelError(
            f"addition_embed_type {kind!r} is not supported",
            where="unet/config.json",
            hint="use a text-to-image base: Stable Diffusion 1.x, 2.x or XL",
        )
    for name in ("class_embed_type", "num_class_embeds"):
        if config[name] is not None:
            raise ModelError(
                f"{name} is {config[name]!r}: the U-Net asks for class labels",
                where="unet/config.json",
                hint="use a text-to-image base: Stable Diffusion 1.x, 2.x or XL",
            )


def pooled_size(config: Mapping[str, Any]) -> int:
    """P of a U-Net's pooled text embedding; 0 for one that takes none."""
    if config["addition_embed_type"] != "text_time":
        return 0
    width = config["projection_class_embeddings_input_dim"]
    return int(width - SIZES * config["addition_time_embed_dim"])


def added_arguments(
    config: Mapping[str, Any], added: TextTime | None, batch: int
) -> dict[str, Tensor] | None:
    """diffusers' `added_cond_kwargs`; RenderArgumentError where `added` is not what is needed."""
    size = pooled_size(config)
    if not size and added is None:
        return None
    if not size:
        raise refuse("added", "this U-Net takes no added conditioning", "leave it out")
    if added is None:
        raise refuse(
            "added",
            "this U-Net (text_time) needs pooled text embeddings and sizes",
            f"give TextTime(pooled ({batch}, {size}), sizes ({batch}, {SIZES}))",
        )
    shapes = tuple(added.pooled.shape), tuple(added.sizes.shape)
    if shapes != ((batch, size), (batch, SIZES)):
        raise refuse(
            "added",
            f"pooled {shapes[0]} and sizes {shapes[1]}",
            f"give ({batch}, {size}) and ({batch}, {SIZES})",
        )
    return {"text_embeds": added.pooled, "time_ids": added.sizes}
