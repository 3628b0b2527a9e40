"""The Reference U-Net and what it hands the AFMs.

It sees the clean product latent at t = 0, once per product: nothing of what it gives depends on
the scene, the placement, the seed or the step.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

# diffusers reloads a component by looking for ModelMixin beside its class.
from diffusers.models.modeling_utils import ModelMixin as ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from models.refadgen.attention import self_attentions
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
    """attn2's processor: accepts `capture` and ignores it."""

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
        layers = list(self_attentions(self))
        # Modules are registered down, up, mid; the last layer to run is the last of the up blocks.
        last = [name for name, _ in layers if name.startswith("up_blocks")][-1]
        for name, module in list(self.named_modules()):
            if isinstance(module, Attention):
                capture = CaptureProcessor(name, last=name == last)
                processor = capture if name.endswith(".attn1") else _PlainProcessor()
                module.set_processor(processor)  # pyright: ignore[reportArgumentType]
        self._last_layer = last

    @staticmethod
    def _get_init_keys(input_class: type) -> set[str]:
        del input_class  # its own __init__ only passes on
        return set(inspect.signature(UNet2DConditionModel.__init__).parameters)

    def capture(self, latent: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """The hidden state (B, N, C) that enters each self-attention layer after its norm, by
        layer name, for clean product latents (B, C, h, w) and image tokens (B, L, D)."""
        hidden: dict[str, Tensor] = {}
        try:
            self(latent, 0, tokens, cross_attention_kwargs={"capture": hidden})
        except _LastLayerReached:
            return hidden
        raise AssertionError(f"{self._last_layer} did not run")

    def freeze_unread(self) -> None:
        """Take the parameters that no captured hidden state depends on out of training."""
        block, rest = self._last_layer.rsplit(".transformer_blocks.", 1)
        index = int(rest.split(".")[0])
        read = (f"{block}.norm.", f"{block}.proj_in.", f"{block}.transformer_blocks.{index}.norm1.")
        after = (f"{block}.", "conv_norm_out.", "conv_out.")
        for name, parameter in self.named_parameters():
            unread = name.startswith(after) and not name.startswith(read)
            earlier = any(name.startswith(f"{block}.transformer_blocks.{i}.") for i in range(index))
            if unread and not earlier:
                parameter.requires_grad_(False)


@dataclass(frozen=True, slots=True)
class ReferenceFeatures:
    """K_ref and V_ref of every AFM for P products, both guidance halves: by layer name
    (P, 2, heads, N, d), index UNCONDITIONAL or CONDITIONAL."""

    keys: dict[str, Tensor]
    values: dict[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.keys.values())))

    def select(self, products: Sequence[int]) -> "ReferenceFeatures":
        """The features of these products, in this order; an index may come more than once."""
        index = list(products)
        return ReferenceFeatures(
            {n: k[index] for n, k in self.keys.items()},
            {n: v[index] for n, v in self.values.items()},
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
            t.numel() * t.element_size() for t in (*self.keys.values(), *self.values.values())
        )

    @staticmethod
    def concatenate(parts: Sequence["ReferenceFeatures"]) -> "ReferenceFeatures":
        return ReferenceFeatures(
            {n: torch.cat([p.keys[n] for p in parts]) for n in parts[0].keys},
            {n: torch.cat([p.values[n] for p in parts]) for n in parts[0].values},
        )


def reference_features(
    reference_unet: ReferenceUNet,
    unet: GenerationUNet,
    latent: Tensor,
    tokens: tuple[Tensor, Tensor],
) -> ReferenceFeatures:
    """Features for clean product latents (P, C, h, w). tokens: the image tokens (P, L, D) of the
    all-zero image and of the products, in this order."""
    halves = [unet.project_references(reference_unet.capture(latent, t)) for t in tokens]
    return ReferenceFeatures(
        *(
            {n: torch.stack([half[i][n] for half in halves], dim=1) for n in halves[0][i]}
            for i in (0, 1)
        )
    )
