"""The Reference U-Net and what it hands the AFMs.

It sees the clean product latent at t = 0, once per product: nothing of what it gives depends on
the scene, the placement, the seed or the step.
"""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

# diffusers reloads a component by looking for ModelMixin beside its class.
from diffusers.models.modeling_utils import ModelMixin as ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from torch.func import functional_call

from adloom.errors import ModelError
from models.refadgen.added import SIZES, TextTime, added_arguments, check_conditioning, pooled_size
from models.refadgen.attention import other_attentions, self_attentions
from models.refadgen.checks import refuse
from models.refadgen.product_tokens import covered_tokens
from models.refadgen.unet import GenerationUNet

UNCONDITIONAL, CONDITIONAL = 0, 1


class _LastLayerReached(Exception):
    """Ends the forward where nothing that follows is read."""


class CaptureProcessor(AttnProcessor2_0):
    """Plain self-attention that first hands out the hidden state entering its layer."""

    def __init__(self, layer: str, *, last: bool) -> None:
        super().__init__()
        self.layer = layer
        self.last = last

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        capture: dict[str, Tensor] | None = None,
    ) -> Tensor:
        if capture is not None:
            capture[self.layer] = hidden_states
            if self.last:
                raise _LastLayerReached
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


class _PlainProcessor(AttnProcessor2_0):
    """The other layers' processor: accepts `capture` and ignores it."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        capture: dict[str, Tensor] | None = None,  # noqa: ARG002
    ) -> Tensor:
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


class ReferenceUNet(UNet2DConditionModel):
    """A U-Net read by its self-attention layers. What follows the last of them is never run in
    `capture`; `freeze_unread` takes it out of training."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        check_conditioning(self.config)
        layers = list(self_attentions(self))
        last = last_to_run([name for name, _ in layers])
        for _, attn in list(other_attentions(self)):
            attn.set_processor(_PlainProcessor())  # pyright: ignore[reportArgumentType]
        for name, attn in layers:
            capture = CaptureProcessor(name, last=name == last)
            attn.set_processor(capture)  # pyright: ignore[reportArgumentType]
        self._last_layer = last

    @staticmethod
    def _get_init_keys(input_class: type) -> set[str]:
        del input_class  # its own __init__ only passes on
        return set(inspect.signature(UNet2DConditionModel.__init__).parameters)

    def capture(
        self, latent: Tensor, tokens: Tensor, added: TextTime | None = None
    ) -> dict[str, Tensor]:
        """The hidden state (B, N, C) that enters each self-attention layer after its norm, by
        layer name, for clean product latents (B, C, h, w) and image tokens (B, L, D).

        added: what SDXL-shaped U-Nets need (`added`), refused by all others.
        """
        hidden: dict[str, Tensor] = {}
        conditions = added_arguments(self.config, added, len(latent))
        try:
            self(
                latent,
                # A number would be copied to the device, which a CUDA graph cannot do.
                torch.zeros((), dtype=torch.long, device=latent.device),
                tokens,
                added_cond_kwargs=conditions,
                cross_attention_kwargs={"capture": hidden},
            )
        except _LastLayerReached:
            return hidden
        raise AssertionError(f"{self._last_layer} did not run")

    def freeze_unread(self) -> None:
        """Take the parameters that no captured hidden state depends on out of training."""
        read = self._read_parameters()
        for name, parameter in self.named_parameters():
            if name not in read:
                parameter.requires_grad_(False)

    def _read_parameters(self) -> set[str]:
        """Those that get a gradient, found by a backward pass of shapes alone (`meta`)."""
        shapes = {"device": "meta", "dtype": self.dtype}
        side = 2 ** len(self.config["block_out_channels"])
        latent = torch.empty(1, self.config["in_channels"], side, side, **shapes)
        context = self.config["cross_attention_dim"]
        width = context if isinstance(context, int) else context[0]
        tokens = torch.empty(1, 1, width, **shapes)
        pooled = pooled_size(self.config)
        sizes = torch.empty(1, SIZES, **shapes)
        added = TextTime(torch.empty(1, pooled, **shapes), sizes) if pooled else None
        weights = {
            name: torch.empty_like(p, device="meta", requires_grad=True)
            for name, p in self.named_parameters()
        }
        hidden: dict[str, Tensor] = {}
        arguments = {
            "added_cond_kwargs": added_arguments(self.config, added, 1),
            "cross_attention_kwargs": {"capture": hidden},
        }
        with torch.enable_grad(), contextlib.suppress(_LastLayerReached):
            functional_call(self, weights, (latent, 0, tokens), arguments)
        total = torch.stack([h.sum() for h in hidden.values()]).sum()
        gradients = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
        return {n for n, g in zip(weights, gradients, strict=True) if g is not None}


def last_to_run(layers: Sequence[str]) -> str:
    """Of layers named in the order of the modules (down, up, middle), the one that runs last."""
    for part in ("up_blocks.", "mid_block.", "down_blocks."):
        of_part = [name for name in layers if name.startswith(part)]
        if of_part:
            return of_part[-1]
    raise ModelError(
        "no self-attention layer, so nothing to refer to",
        where="reference_unet/config.json",
        hint="use blocks with transformers, such as CrossAttnDownBlock2D",
    )


@dataclass(frozen=True, slots=True)
class ReferenceFeatures:
    """K_ref and V_ref of every AFM for P products, both guidance halves: by layer name
    (P, 2, heads, N, d), index UNCONDITIONAL or CONDITIONAL.

    native: (height, width) px of the one canvas they are aligned with; None: canonical, any canvas.
    product: by layer name, which tokens show the product, (P, N) bool; empty where it is not known.
    """

    keys: dict[str, Tensor]
    values: dict[str, Tensor]
    native: tuple[int, int] | None = None
    product: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.keys.values())))

    def select(self, products: Sequence[int]) -> "ReferenceFeatures":
        """The features of these products, in this order; an index may come more than once."""
        index = list(products)
        return self._each(lambda x: x[index])

    def part(self, which: slice) -> "ReferenceFeatures":
        """The features of some products that follow each other, without a copy."""
        return self._each(lambda x: x[which])

    def expanded(self, count: int) -> "ReferenceFeatures":
        """The features of the one product for `count` samples, without a copy."""
        return self._each(lambda x: x.expand(count, *x.shape[1:]))

    def _each(self, of: Callable[[Tensor], Tensor]) -> "ReferenceFeatures":
        return ReferenceFeatures(
            {n: of(k) for n, k in self.keys.items()},
            {n: of(v) for n, v in self.values.items()},
            self.native,
            {n: of(p) for n, p in self.product.items()},
        )

    def half(self, which: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Keys and values (P, heads, N, d) of one guidance half."""
        return (
            {n: k[:, which] for n, k in self.keys.items()},
            {n: v[:, which] for n, v in self.values.items()},
        )

    @property
    def nbytes(self) -> int:
        return sum(
            t.numel() * t.element_size()
            for kind in (self.keys, self.values, self.product)
            for t in kind.values()
        )

    def as_views(self) -> "ReferenceFeatures":
        """The P products taken as P views of one: their tokens follow each other along N, so that
        one softmax looks for each query's place in all views."""
        if len(self) == 1:
            return self
        return ReferenceFeatures(
            {n: _along_tokens(k) for n, k in self.keys.items()},
            {n: _along_tokens(v) for n, v in self.values.items()},
            self.native,
            {n: p.flatten()[None] for n, p in self.product.items()},
        )

    @staticmethod
    def concatenate(parts: Sequence["ReferenceFeatures"]) -> "ReferenceFeatures":
        """The products of all parts; RenderArgumentError where their tokens differ in number."""
        kinds = {(p.native, *(k.shape[-2] for k in p.keys.values())) for p in parts}
        if len(kinds) > 1:
            raise refuse(
                "references",
                "of several sizes or numbers of views",
                "one size and one number of views per batch",
            )
        return ReferenceFeatures(
            {n: torch.cat([p.keys[n] for p in parts]) for n in parts[0].keys},
            {n: torch.cat([p.values[n] for p in parts]) for n in parts[0].values},
            parts[0].native,
            {n: torch.cat([p.product[n] for p in parts]) for n in parts[0].product},
        )


def _along_tokens(x: Tensor) -> Tensor:
    """(V, 2, heads, N, d) -> (1, 2, heads, V * N, d), view after view."""
    return x.permute(1, 2, 0, 3, 4).flatten(2, 3)[None]


def reference_features(
    reference_unet: ReferenceUNet,
    unet: GenerationUNet,
    latent: Tensor,
    tokens: tuple[Tensor, Tensor],
    added: TextTime | None = None,
    native: tuple[int, int] | None = None,
    area: Tensor | None = None,
) -> ReferenceFeatures:
    """Features for clean product latents (P, C, h, w). tokens: the image tokens (P, L, D) of the
    all-zero image and of the products, in this order. native: see `ReferenceFeatures`; area:
    where the pictures show the product, (P, H, W) bool."""
    halves = [unet.project_references(reference_unet.capture(latent, t, added)) for t in tokens]
    keys, values = (
        {n: torch.stack([half[i][n] for half in halves], dim=1) for n in halves[0][i]}
        for i in (0, 1)
    )
    if area is None:
        return ReferenceFeatures(keys, values, native)
    height, width = latent.shape[-2:]
    sizes = {n: unet.layer_size(n, (height, width)) for n in keys}
    return ReferenceFeatures(keys, values, native, covered_tokens(area, sizes))
