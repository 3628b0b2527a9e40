"""What does not change from step to step of a render, computed once before the first of them.

The prompts' K and V by cross-attention layer and, where that is quicker, the share of the second
attention's logits that comes from the positions. The pictures stay the same.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from models.refadgen.attention import (
    Fusion,
    TextProcessor,
    other_attentions,
    projections,
    split_heads,
)
from models.refadgen.unet import GenerationUNet

LOGITS_BYTES = 2**28  # beyond, they would be read from memory more slowly than made anew


def prepared(unet: GenerationUNet, fusion: Fusion, text: Tensor) -> Fusion:
    """`fusion` for all steps of a render from the prompts' hidden states (B, L, D)."""
    return with_texts(unet, with_position_logits(unet, fusion), text)


def with_texts(unet: GenerationUNet, fusion: Fusion, text: Tensor) -> Fusion:
    """K and V of the prompts for each cross-attention layer; the layers' `to_k`, `to_v` run no
    more."""
    if unet.config["encoder_hid_dim_type"] not in (None, "text_proj"):
        return fusion
    read = unet.process_encoder_hidden_states(text, added_cond_kwargs={})
    texts: dict[str, tuple[Tensor, Tensor]] = {}
    for name, attn in _of_text(unet):
        _, to_k, to_v = projections(attn)
        texts[name] = split_heads(to_k(read), attn.heads), split_heads(to_v(read), attn.heads)
    return replace(fusion, texts=texts)


def with_position_logits(unet: GenerationUNet, fusion: Fusion) -> Fusion:
    """The positions' logits of all layers, for a fused kernel that takes them as its mask.

    On a CPU that is quicker than queries, keys and values made wider by the positions: 1.5 times
    at `mini`'s shapes. A GPU's quickest kernels take no mask, and half precision would round the
    logits: there the fusion stays as it is.
    """
    numbers = [*fusion.keys.values()]
    here = all(k.device.type == "cpu" and k.dtype == torch.float32 for k in numbers)
    if not fusion.positions or not here or _logits_bytes(unet, fusion) > LOGITS_BYTES:
        return fusion
    keys, logits = dict(fusion.keys), dict(fusion.logits)
    for name, processor in unet.fusion_processors.items():
        positions = _positions(unet, fusion, name)
        keys[name], near = processor.position_logits(fusion.keys[name], positions)
        logits[name] = near + logits[name] if name in logits else near
    return replace(fusion, keys=keys, logits=logits)


def _of_text(unet: GenerationUNet) -> Iterator[tuple[str, Attention]]:
    """Cross-attention layers without any of diffusers' extras around the products."""
    for name, attn in other_attentions(unet):
        extras = (attn.group_norm, attn.spatial_norm, attn.norm_cross, attn.norm_q, attn.norm_k)
        plain = not any(extras) and not attn.residual_connection
        if attn.is_cross_attention and plain and isinstance(attn.processor, TextProcessor):
            yield name, attn


def _positions(unet: GenerationUNet, fusion: Fusion, layer: str) -> Tensor:
    return list(fusion.positions.values())[unet.level(layer)]


def _logits_bytes(unet: GenerationUNet, fusion: Fusion) -> int:
    queries = {n: _positions(unet, fusion, n).shape[1] for n in fusion.keys}
    return sum(4 * math.prod(k.shape[:3]) * queries[n] for n, k in fusion.keys.items())
