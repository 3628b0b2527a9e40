"""The Generation U-Net: diffusers' U-Net with the mask as one more input channel and AFMs."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

# diffusers reloads a component by looking for ModelMixin beside its class.
from diffusers.models.modeling_utils import ModelMixin as ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.added import TextTime, added_arguments, check_conditioning
from models.refadgen.attention import (
    Fusion,
    FusionProcessor,
    TextProcessor,
    other_attentions,
    self_attentions,
)
from models.refadgen.forward import Deep, Given, forward
from models.refadgen.frames import fourier, generation_positions, reference_positions


class GenerationUNet(UNet2DConditionModel):
    """Takes concat(z_t, M'): `in_channels` counts the mask, `out_channels` does not.

    The AFMs are installed here, so that `save_pretrained` and `from_pretrained` carry them.
    position_frequencies: 0 is the paper's AFM, more adds positions in the product frame.
    Raises ModelError for a configuration without self-attention or with unknown conditioning.
    """

    def __init__(self, *, position_frequencies: int = 0, **config: Any) -> None:
        super().__init__(**config)
        self.register_to_config(position_frequencies=position_frequencies)
        check_conditioning(self.config)
        self._forward: Callable[..., tuple[Tensor, Tensor | None]] = forward
        layers = list(self_attentions(self))
        if not layers:
            raise ModelError(
                "no self-attention layer, so nowhere for the AFM",
                where="unet/config.json",
                hint="use blocks with transformers, such as CrossAttnDownBlock2D",
            )
        for name, attn in layers:
            processor = FusionProcessor(name, attn, position_frequencies)
            processor.copy_projections(attn)
            attn.set_processor(processor)  # pyright: ignore[reportArgumentType]
        for name, attn in list(other_attentions(self)):
            attn.set_processor(TextProcessor(name))  # pyright: ignore[reportArgumentType]
        with torch.no_grad():
            self.conv_in.weight[:, -1].zero_()  # the mask says nothing at first

    def run_by(self, how: Callable[..., tuple[Tensor, Tensor | None]]) -> None:
        """Has `predict` call `how` in place of `forward`: the same, compiled."""
        self._forward = how

    @property
    def is_compiled(self) -> bool:
        """Whether `predict` runs code that is compiled for each shape of its arguments."""
        return self._forward is not forward

    @staticmethod
    def _get_init_keys(input_class: type) -> set[str]:
        inherited = inspect.signature(UNet2DConditionModel.__init__).parameters
        own = inspect.signature(input_class.__init__).parameters
        return {*inherited, *own} - {"config"}

    @property
    def fusion_processors(self) -> dict[str, FusionProcessor]:
        """The AFM of every self-attention layer, by the layer's name."""
        return {name: attn.processor for name, attn in self_attentions(self)}  # pyright: ignore[reportReturnType]

    @property
    def downscale(self) -> int:
        """How often the latent's sides are halved, as a factor."""
        return 2 ** (len(self.config["block_out_channels"]) - 1)

    def level(self, layer: str) -> int:
        """How often the latent is halved, on both sides, where this attention layer stands."""
        part, index = layer.split(".")[:2]
        last = len(self.config["block_out_channels"]) - 1
        if part == "down_blocks":
            return int(index)
        return last - int(index) if part == "up_blocks" else last

    def layer_size(self, layer: str, latent: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in tokens of an attention layer, for a latent's."""
        height, width = latent
        for _ in range(self.level(layer)):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    def project_references(
        self, hidden: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """K_ref and V_ref of every layer from the Reference U-Net's hidden states (B, N, C)."""
        keys: dict[str, Tensor] = {}
        values: dict[str, Tensor] = {}
        for name, processor in self.fusion_processors.items():
            h = hidden[name]
            keys[name], values[name] = processor.project(h, self._reference_phi(h))
        return keys, values

    def frame_positions(
        self, frames: Tensor, size: tuple[int, int], latent_px: int
    ) -> dict[int, Tensor]:
        """Fourier features of the canvas' tokens in the product frames (B, 3), for every level:
        number of tokens -> (B, N, P). size: the latent's (height, width)."""
        count = self.config["position_frequencies"]
        if not count:
            return {}
        height, width = size
        positions: dict[int, Tensor] = {}
        factor = 1
        for _ in self.config["block_out_channels"]:
            u = generation_positions(frames, height, width, float(latent_px * factor))
            positions[height * width] = fourier(u, count)
            height, width, factor = (height + 1) // 2, (width + 1) // 2, factor * 2
        return positions

    def predict(
        self,
        z: Tensor,
        mask: Tensor,
        t: Tensor | int,
        text: Tensor,
        fusion: Fusion | None,
        added: TextTime | None = None,
    ) -> Tensor:
        """One forward: z (B, C, h, w), mask (B, 1, h, w), t () or (B,), text (k B, L, D), and
        with it fusion and added: k conditions for each sample, (k B, C, h, w) predicted.

        added: what SDXL-shaped U-Nets need (`added`), refused by all others.
        """
        given = Given(t, text, fusion, added_arguments(self.config, added, len(text)))
        return self._forward(self, torch.cat([z, mask], dim=1), given, None)[0]

    def predict_with(
        self,
        deep: Deep | None,
        z: Tensor,
        mask: Tensor,
        t: Tensor | int,
        text: Tensor,
        fusion: Fusion | None,
        added: TextTime | None = None,
    ) -> tuple[Tensor, Deep | None]:
        """`predict` and its deep features; given those of an earlier step, they are used again."""
        given = Given(t, text, fusion, added_arguments(self.config, added, len(text)))
        predicted, hidden = self._forward(self, torch.cat([z, mask], dim=1), given, deep)
        if deep is not None or hidden is None:
            return predicted, deep
        return predicted, Deep(hidden.clone())  # CUDA graphs use their outputs' memory again

    def _reference_phi(self, hidden: Tensor) -> Tensor | None:
        count = self.config["position_frequencies"]
        if not count:
            return None
        side = round(hidden.shape[1] ** 0.5)
        return fourier(reference_positions(side, hidden.device), count)
