"""The Attention Fusion Module (eq. 1 of RefAdGen, arXiv 2508.11695) as an attention processor.

    out = to_out( softmax(Q K^T / sqrt d) V  +  lambda * softmax(Q K_ref^T / sqrt d) V_ref )

It goes into every self-attention layer (`attn1`) of the Generation U-Net, found by what it is, so
any configuration of diffusers' UNet2DConditionModel that has transformer blocks will do.

Our addition, off by default: with `position_frequencies` > 0 the second attention's queries and
keys also carry where they are in the product frame (`frames.fourier`), scaled by a learned factor
per head. The logits then gain a_h^2 * sum_j cos(w_j du): each head looks around the place of the
reference that corresponds to its own, and a small model copies from its first steps on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

SHARP, MEDIUM, BROAD = 4.0, 1.0, 0.1  # initial a_h^2; 4 looks about one sixteenth of the frame far


@dataclass(frozen=True, slots=True)
class Fusion:
    """What the attention layers need in one forward of the Generation U-Net on a batch of B.

    keys, values: by layer name, (B, heads, N_ref, d); positions: Fourier features (B, N, P) by
    the layer's number of tokens N, empty where the model has none; scale: lambda.

    What does not change from step to step may be computed ahead (`ahead.prepared`):
    logits: by layer name, what is added to Q K_ref^T / sqrt d, (B, heads or 1, N or 1, N_ref);
    texts: by layer name, K and V (B, heads, L, d) of the prompts' tokens.
    repeats: how many equal parts the hidden states (B, N, C) of the next AFM are (`forward`).
    """

    keys: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    positions: Mapping[int, Tensor]
    scale: float
    logits: Mapping[str, Tensor] = field(default_factory=dict)
    texts: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    repeats: int = 1


class FusionProcessor(nn.Module):
    """The AFM of one attn1 layer: self-attention plus attention to the reference's tokens."""

    def __init__(self, layer: str, attn: Attention, position_frequencies: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.heads = attn.heads
        _, to_k, _ = projections(attn)
        self.to_k_ref = nn.Linear(to_k.in_features, to_k.out_features, bias=False)
        self.to_v_ref = nn.Linear(to_k.in_features, to_k.out_features, bias=False)
        self.log_sharpness: nn.Parameter | None = None
        if position_frequencies:
            self.log_sharpness = nn.Parameter(_initial_sharpness(attn.heads).log())

    @torch.no_grad()
    def copy_projections(self, attn: Attention) -> None:
        """Start from the layer's own projections, as the paper does."""
        _, to_k, to_v = projections(attn)
        self.to_k_ref.weight.copy_(to_k.weight)
        self.to_v_ref.weight.copy_(to_v.weight)

    def project(self, hidden: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """K_ref, V_ref (B, heads, N_ref, d) of the Reference U-Net's hidden state (B, N_ref, C);
        positions: Fourier features (N_ref, P) of its tokens."""
        key, value = (split_heads(to(hidden), self.heads) for to in (self.to_k_ref, self.to_v_ref))
        if self.log_sharpness is not None:
            assert positions is not None
            key = self._with_positions(key, positions.expand(len(key), -1, -1))
        return key, value

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,  # noqa: ARG002  (diffusers passes it by name)
        fusion: Fusion | None = None,
    ) -> Tensor:
        assert encoder_hidden_states is None
        assert attention_mask is None
        repeats = 1 if fusion is None else fusion.repeats
        own = hidden_states if repeats == 1 else hidden_states[: len(hidden_states) // repeats]
        q, k, v = (split_heads(to(own), attn.heads) for to in projections(attn))
        out = attend(q, k, v)
        if repeats > 1:
            q, out = (x.repeat(repeats, 1, 1, 1) for x in (q, out))
        if fusion is not None and fusion.scale != 0:
            out = torch.add(out, self._reference_attention(q, fusion), alpha=fusion.scale)
        return leave(attn, out)

    def position_logits(self, key: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Parts K_ref (B, heads, N_ref, d + P) into the content's (B, heads, N_ref, d) and what
        the positions (B, N, P) of the queries add to the logits, (B, heads, N, N_ref)."""
        width = key.shape[-1] - positions.shape[-1]
        assert self.log_sharpness is not None
        gain = (0.5 * self.log_sharpness).exp()[:, None, None]
        queries = (gain * positions[:, None]).to(key.dtype)
        return key[..., :width].contiguous(), queries @ key[..., width:].mT

    def _reference_attention(self, q: Tensor, fusion: Fusion) -> Tensor:
        k_ref, v_ref = fusion.keys[self.layer], fusion.values[self.layer]
        added = fusion.logits.get(self.layer)
        if k_ref.shape[-1] == q.shape[-1]:
            return attend(q, k_ref, v_ref, added)
        # The content's logits keep their 1/sqrt d; those of the positions have their own scale.
        q = self._with_positions(q * q.shape[-1] ** -0.5, fusion.positions[q.shape[-2]])
        return _fused_attention(q, k_ref, v_ref, added)

    def _with_positions(self, x: Tensor, positions: Tensor) -> Tensor:
        """Append a_h * phi(u) to queries or keys: (B, heads, N, d) -> (B, heads, N, d + P)."""
        assert self.log_sharpness is not None
        gain = (0.5 * self.log_sharpness).exp()[:, None, None]
        return torch.cat([x, (gain * positions[:, None]).to(x.dtype)], dim=-1)


def attend(
    q: Tensor, k: Tensor, v: Tensor, added: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale * q k^T + added) v, (B, heads, N, d) from keys (B, heads, M, d); scale: 1 /
    sqrt d if none is given.

    Training on a CPU multiplies matrices plainly: the backward pass of torch's fused kernel takes
    longer there, and its own plain way computes in float32 and looks for rows without any key
    (`python -m benchmarks.training_speed`). Under autocast logits are rounded to bfloat16; the
    gradient is as far from float32's as with torch's way (docs/performance.md).
    """
    if not _is_trained_on_cpu(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=scale)
    logits = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT
    if added is not None:
        logits = logits + added
    return logits.softmax(-1) @ v


def _is_trained_on_cpu(q: Tensor) -> bool:
    return torch.is_grad_enabled() and q.device.type == "cpu"


def _fused_attention(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None) -> Tensor:
    """softmax(q k^T + added) v where q and k are wider than v. Fused kernels want one width: v is
    filled up with zeros, which on a CPU takes a third of the time of going without them. On a GPU
    that width is a multiple of 8."""
    if _is_trained_on_cpu(q):
        return attend(q, k, v, added, scale=1.0)
    width, common = v.shape[-1], q.shape[-1]
    if q.is_cuda:
        common = -(-common // 8) * 8
        q, k = (F.pad(x, (0, common - x.shape[-1])) for x in (q, k))
    filled = F.pad(v, (0, common - width))
    made = F.scaled_dot_product_attention(q, k, filled, attn_mask=added, scale=1.0)
    return made[..., :width]


class TextProcessor(AttnProcessor2_0):
    """The other layers' processor: of the AFM's argument, which reaches all, it takes K and V of
    the text where they were computed ahead."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        fusion: Fusion | None = None,
    ) -> Tensor:
        if fusion is None or self.layer not in fusion.texts:
            return super().__call__(
                attn, hidden_states, encoder_hidden_states, attention_mask, temb
            )
        assert attention_mask is None
        q = split_heads(projections(attn)[0](hidden_states), attn.heads)
        return leave(attn, F.scaled_dot_product_attention(q, *fusion.texts[self.layer]))


def leave(attn: Attention, out: Tensor) -> Tensor:
    """An attention's output (B, heads, N, d) through the layer's last projection: (B, N, C)."""
    assert attn.to_out is not None
    return attn.to_out[1](attn.to_out[0](join_heads(out)))


def projections(attn: Attention) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """A layer's to_q, to_k, to_v, which diffusers declares as optional."""
    return cast(tuple[nn.Linear, nn.Linear, nn.Linear], (attn.to_q, attn.to_k, attn.to_v))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) -> (B, heads, N, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, N, d) -> (B, N, heads * d)."""
    return x.transpose(1, 2).flatten(-2)


def self_attentions(unet: UNet2DConditionModel) -> Iterator[tuple[str, Attention]]:
    """Every self-attention layer of a transformer block with its name, in the order of the modules
    (down, up, middle). An `attn1` of an `only_cross_attention` block looks at the text: it is none.
    """
    for name, module in _attentions(unet):
        if name.endswith(".attn1") and not module.is_cross_attention:
            yield name, module


def other_attentions(unet: UNet2DConditionModel) -> Iterator[tuple[str, Attention]]:
    """Every other attention layer with a plain processor: the text's, for the most part."""
    ours = {name for name, _ in self_attentions(unet)}
    for name, module in _attentions(unet):
        if name not in ours and isinstance(module.processor, AttnProcessor2_0):
            yield name, module


def _attentions(unet: UNet2DConditionModel) -> Iterator[tuple[str, Attention]]:
    for name, module in unet.named_modules():
        if isinstance(module, Attention):
            yield name, module


def _initial_sharpness(heads: int) -> Tensor:
    """a_h^2: half of the heads sharp, a quarter broad, the rest between."""
    sharp, broad = (heads + 1) // 2, heads // 4
    return torch.tensor([SHARP] * sharp + [MEDIUM] * (heads - sharp - broad) + [BROAD] * broad)
