"""Normalization that keeps bfloat16 under autocast.

torch's autocast computes layer and group norms in float32 and hands float32 on: on a GPU a small
network's steps then mostly move memory, there and back between the two (docs/performance.md). The
kernels sum in float32 whatever they are given; what they write is rounded, and their weights, as a
linear layer's are. Where float32 comes in, float32 goes on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeanLayerNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        if not _is_lean(input):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            weight, bias = _like(input, self.weight), _like(input, self.bias)
            return F.layer_norm(input, self.normalized_shape, weight, bias, self.eps)


class LeanGroupNorm(nn.GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        if not _is_lean(input):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            weight, bias = _like(input, self.weight), _like(input, self.bias)
            return F.group_norm(input, self.num_groups, weight, bias, self.eps)


LEAN = {nn.LayerNorm: LeanLayerNorm, nn.GroupNorm: LeanGroupNorm}


def make_lean(network: nn.Module) -> None:
    """Has every layer and group norm of the network keep bfloat16 from now on; parameters stay
    float32."""
    for module in network.modules():
        if type(module) in LEAN:
            module.__class__ = LEAN[type(module)]


def _is_lean(given: Tensor) -> bool:
    return given.dtype == torch.bfloat16 and torch.is_autocast_enabled(given.device.type)


def _like(given: Tensor, parameter: Tensor | None) -> Tensor | None:
    return None if parameter is None else parameter.to(given.dtype)
