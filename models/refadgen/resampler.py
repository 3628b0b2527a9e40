"""The Resampler: an image encoder's hidden states -> a few image tokens.

The perceiver of IP-Adapter-Plus (arXiv 2308.06721), with the parameter names of its release, so
that released weights load by name.
"""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from models.refadgen.attention import join_heads, split_heads


class PerceiverAttention(nn.Module):
    """Queries attend to the image's hidden states and to themselves."""

    def __init__(self, dim: int, head_dim: int, heads: int) -> None:
        super().__init__()
        inner = head_dim * heads
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, image: Tensor, queries: Tensor) -> Tensor:
        image, queries = self.norm1(image), self.norm2(queries)
        key, value = self.to_kv(torch.cat([image, queries], dim=1)).chunk(2, dim=-1)
        q, k, v = (split_heads(x, self.heads) for x in (self.to_q(queries), key, value))
        return self.to_out(join_heads(F.scaled_dot_product_attention(q, k, v)))


def feed_forward(dim: int, mult: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, dim * mult, bias=False),
        nn.GELU(),
        nn.Linear(dim * mult, dim, bias=False),
    )


class Resampler(ModelMixin, ConfigMixin):
    """(B, N, embedding_dim) -> (B, num_queries, output_dim). Defaults: the release for SD1.5."""

    @register_to_config
    def __init__(
        self,
        dim: int = 768,
        depth: int = 4,
        dim_head: int = 64,
        heads: int = 12,
        num_queries: int = 16,
        embedding_dim: int = 1280,
        output_dim: int = 768,
        ff_mult: int = 4,
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, num_queries, dim) / dim**0.5)
        self.proj_in = nn.Linear(embedding_dim, dim)
        self.proj_out = nn.Linear(dim, output_dim)
        self.norm_out = nn.LayerNorm(output_dim)
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(dim, dim_head, heads), feed_forward(dim, ff_mult)])
            for _ in range(depth)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        queries = self.latents.expand(len(hidden), -1, -1)
        image = self.proj_in(hidden)
        for layer in self.layers:
            attention, feed = layer  # pyright: ignore[reportGeneralTypeIssues]
            queries = queries + attention(image, queries)
            queries = queries + feed(queries)
        return self.norm_out(self.proj_out(queries))
