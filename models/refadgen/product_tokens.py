"""References cut down to the tokens that show the product.

A reference is a product on white. The paper's AFM attends to all of its tokens; attending to the
product's alone saves the white's share of the second attention and of the memory of K_ref, V_ref.
A model that was trained on all tokens gives another picture: `benchmarks.refadgen_levers` says how
far from the exact one.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from models.refadgen.attention import Fusion

WHITE = 1 - 2 / 255  # in [0, 1]; what is darker in any colour belongs to the product
EIGHTHS = 8  # so many shapes a layer at most: torch.compile gives up beyond a limit


def product_area(pictures: Tensor) -> Tensor:
    """Where pictures (P, 3, H, W) in [0, 1] show the product on white: (P, H, W), bool.

    White parts of the product count as its own where colours surround them along row and column.
    A picture all in white is product everywhere.
    """
    dark = (pictures < WHITE).any(dim=1)
    area = dark | (_between(dark, -1) & _between(dark, -2))
    return area | ~area.flatten(1).any(dim=1)[:, None, None]


def covered_tokens(area: Tensor, tokens: Mapping[str, tuple[int, int]]) -> dict[str, Tensor]:
    """By layer name, which of its h x w tokens an area (P, H, W) touches: (P, h * w), bool."""
    by_size = {
        size: F.adaptive_max_pool2d(area.float()[:, None], size).flatten(1) > 0
        for size in set(tokens.values())
    }
    return {name: by_size[size] for name, size in tokens.items()}


def product_only(
    fusion: Fusion, product: Mapping[str, Tensor], *, few_shapes: bool = False
) -> Fusion:
    """`fusion` with keys and values of the tokens of `product` alone: by layer (B, N_ref), bool.

    Samples with fewer tokens than others are filled up, and what fills them is masked. A batch of
    one product needs no mask, which is what the quickest kernels want. few_shapes: all are filled
    up to an eighth of N_ref and masked, for code that is compiled anew for each shape.
    """
    keys: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    logits = dict(fusion.logits)
    for name, taken in product.items():
        counts = taken.sum(dim=1)
        most = int(counts.max())
        if few_shapes:
            step = -(-taken.shape[1] // EIGHTHS)
            most = min(taken.shape[1], -(-most // step) * step)
        order = taken.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
        keys[name], values[name] = (_gathered(x[name], order) for x in (fusion.keys, fusion.values))
        if few_shapes or int(counts.min()) < most:
            filled = torch.arange(most, device=taken.device) >= counts[:, None]
            mask = torch.zeros(filled.shape, dtype=keys[name].dtype, device=taken.device)
            logits[name] = mask.masked_fill(filled, float("-inf"))[:, None, None]
    return replace(fusion, keys=keys, values=values, logits=logits)


def _gathered(x: Tensor, order: Tensor) -> Tensor:
    """(B, heads, N, d) -> the tokens (B, n) of it, (B, heads, n, d)."""
    index = order[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[-1])
    return x.gather(2, index)


def _between(dark: Tensor, dim: int) -> Tensor:
    """Whether there is dark on both sides along `dim`."""
    forth = dark.int().cummax(dim).values
    back = dark.int().flip(dim).cummax(dim).values.flip(dim)
    return (forth & back).bool()
