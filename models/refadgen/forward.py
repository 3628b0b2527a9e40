"""diffusers' forward of the Generation U-Net taken apart: what is the same is computed once.

The halves of classifier-free guidance see the same z_t, mask and timestep. Up to where the first of
them reads its own text or reference they are one: conv_in, the first ResNet and the first
self-attention run for B samples and not for 2 B, which changes nothing (`FirstLayer`).

Deep features change slowly from step to step (DeepCache, arXiv 2312.00858). `forward` can hand out
what enters the last layers of the U-Net, and take it back in a later step instead of running all
that is below; that changes the picture.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from diffusers.models.unets.unet_2d_blocks import (
    CrossAttnDownBlock2D,
    CrossAttnUpBlock2D,
    DownBlock2D,
    UpBlock2D,
)
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.attention import Fusion

SHALLOW_LAYERS = 2  # at the end of the last up block; their skips come from the first two outputs


@dataclass(frozen=True, slots=True)
class Given:
    """What one forward is given beside its input: B samples, their conditions k B.

    text: (k B, L, D); added: diffusers' `added_cond_kwargs`, or None.
    """

    t: Tensor | int
    text: Tensor
    fusion: Fusion | None
    added: dict[str, Tensor] | None


@dataclass(frozen=True, slots=True)
class Deep:
    """What entered the last SHALLOW_LAYERS layers in an earlier step, (k B, C, h, w)."""

    hidden: Tensor


def forward(
    unet: UNet2DConditionModel, x: Tensor, given: Given, deep: Deep | None = None
) -> tuple[Tensor, Tensor | None]:
    """The prediction (k B, C, h, w) for x (B, C + 1, h, w), and what `Deep` is made of, where the
    last up block can be taken apart. With `deep`, only the shallow layers run."""
    pass_ = _Pass(unet, x, given)
    first = pass_.first_layer(x)
    if deep is not None:
        return pass_.leave(pass_.tail(deep.hidden, first)), deep.hidden
    hidden, skips = pass_.down(first)
    hidden = pass_.middle(hidden)
    hidden, skips = pass_.up(hidden, skips)
    return pass_.last_block(hidden, skips)


class _Pass:
    """One forward: the embeddings, and diffusers' blocks called as its own forward does."""

    def __init__(self, unet: UNet2DConditionModel, x: Tensor, given: Given) -> None:
        self.unet = cast(Any, unet)
        self.given = given
        self.repeats = len(given.text) // len(x)
        many = x[:1].expand(len(given.text), -1, -1, -1)  # only its batch and dtype are read
        embedded = self.unet.time_embedding(self.unet.get_time_embed(sample=many, timestep=given.t))
        extra = self.unet.get_aug_embed(
            emb=embedded, encoder_hidden_states=given.text, added_cond_kwargs=given.added or {}
        )
        self.one_embedding = extra is None
        embedded = embedded if extra is None else embedded + extra
        act = self.unet.time_embed_act
        self.embedded = embedded if act is None else act(embedded)
        self.text = self.unet.process_encoder_hidden_states(
            encoder_hidden_states=given.text, added_cond_kwargs=given.added or {}
        )

    def first_layer(self, x: Tensor) -> "FirstLayer":
        hidden = self.unet.conv_in(2 * x - 1.0 if self.unet.config.center_input_sample else x)
        block = self.unet.down_blocks[0]
        parted = isinstance(block, CrossAttnDownBlock2D | DownBlock2D)
        if not parted or _checkpointed(block):
            return FirstLayer(self.repeated(hidden), None)
        if self.one_embedding:
            after = self.repeated(block.resnets[0](hidden, self.embedded[: len(x)]))
        else:
            after = block.resnets[0](self.repeated(hidden), self.embedded)
        if isinstance(block, CrossAttnDownBlock2D):
            first: Any = block.attentions[0]
            alone = len(first.transformer_blocks) == 1  # a second one's halves have read their text
            after = self.attend(first, after, same=self.one_embedding and alone)
        return FirstLayer(self.repeated(hidden), after)

    def repeated(self, x: Tensor) -> Tensor:
        return x.repeat(self.repeats, 1, 1, 1) if self.repeats > 1 else x

    def attend(self, attention: Any, hidden: Tensor, *, same: bool = False) -> Tensor:
        """same: whether the halves of `hidden` are equal, which the only AFM makes use of."""
        fusion = self.given.fusion
        if fusion is not None and same and self.repeats > 1:
            fusion = replace(fusion, repeats=self.repeats)
        return attention(
            hidden,
            encoder_hidden_states=self.text,
            cross_attention_kwargs={"fusion": fusion},
            return_dict=False,
        )[0]

    def down(self, first: "FirstLayer") -> tuple[Tensor, list[Tensor]]:
        """The last hidden state and all skips, the first of them conv_in's output."""
        hidden, skips = first.conv_in, [first.conv_in]
        blocks = list(self.unet.down_blocks)
        if first.after is not None:
            block, hidden = blocks.pop(0), first.after
            skips.append(hidden)
            for i in range(1, len(block.resnets)):
                hidden = self.layer(block, i, hidden)
                skips.append(hidden)
            for downsampler in block.downsamplers or ():
                hidden = downsampler(hidden)
            if block.downsamplers is not None:
                skips.append(hidden)
        for block in blocks:
            hidden, outputs = self.block(block, hidden)
            skips += outputs
        return hidden, skips

    def layer(self, block: Any, index: int, hidden: Tensor) -> Tensor:
        hidden = block.resnets[index](hidden, self.embedded)
        if getattr(block, "has_cross_attention", False):
            return self.attend(block.attentions[index], hidden)
        return hidden

    def block(self, block: Any, hidden: Tensor, **more: Any) -> Any:
        if getattr(block, "has_cross_attention", False):
            more["encoder_hidden_states"] = self.text
            more["cross_attention_kwargs"] = {"fusion": self.given.fusion}
        return block(hidden, temb=self.embedded, **more)

    def middle(self, hidden: Tensor) -> Tensor:
        block = self.unet.mid_block
        return hidden if block is None else self.block(block, hidden)

    def up(self, hidden: Tensor, skips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """All up blocks but the last."""
        blocks = list(self.unet.up_blocks)[:-1]
        factor = 2 ** len(blocks)
        odd = any(side % factor for side in skips[0].shape[-2:])
        for block in blocks:
            count = len(block.resnets)
            taken, skips = skips[-count:], skips[:-count]
            size = skips[-1].shape[2:] if odd else None
            hidden = self.block(
                block, hidden, res_hidden_states_tuple=tuple(taken), upsample_size=size
            )
        return hidden, skips

    def last_block(self, hidden: Tensor, skips: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        block = self.unet.up_blocks[-1]
        if not _can_be_parted(self.unet) or _checkpointed(block):
            whole = self.block(block, hidden, res_hidden_states_tuple=tuple(skips))
            return self.leave(whole), None
        for i in range(len(block.resnets) - SHALLOW_LAYERS):
            hidden = self.layer(block, i, torch.cat([hidden, skips.pop()], dim=1))
        return self.leave(self.tail(hidden, FirstLayer(*skips))), hidden

    def tail(self, hidden: Tensor, first: "FirstLayer") -> Tensor:
        """The last SHALLOW_LAYERS layers."""
        block = self.unet.up_blocks[-1]
        start = len(block.resnets) - SHALLOW_LAYERS
        assert first.after is not None
        for i, skip in enumerate((first.after, first.conv_in)):
            hidden = self.layer(block, start + i, torch.cat([hidden, skip], dim=1))
        return hidden

    def leave(self, hidden: Tensor) -> Tensor:
        if self.unet.conv_norm_out:
            hidden = self.unet.conv_act(self.unet.conv_norm_out(hidden))
        return self.unet.conv_out(hidden)


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """conv_in's output and what leaves the first layer of the first down block, (k B, C, h, w);
    None where that block cannot be taken apart."""

    conv_in: Tensor
    after: Tensor | None


def check_reusable(unet: UNet2DConditionModel) -> None:
    """ModelError for U-Nets whose deep features cannot be reused."""
    if not _can_be_parted(unet):
        raise ModelError(
            "deep features of this U-Net cannot be reused from step to step",
            where="unet/config.json",
            hint="render with reuse_every 1; reuse is for (CrossAttn)DownBlock2D and "
            "(CrossAttn)UpBlock2D without FreeU",
        )


def _checkpointed(block: Any) -> bool:
    """In training with gradient checkpointing a block's own forward knows what to keep."""
    return torch.is_grad_enabled() and getattr(block, "gradient_checkpointing", False)


def _can_be_parted(unet: UNet2DConditionModel) -> bool:
    first, last = unet.down_blocks[0], unet.up_blocks[-1]
    return (
        isinstance(first, CrossAttnDownBlock2D | DownBlock2D)
        and isinstance(last, CrossAttnUpBlock2D | UpBlock2D)
        and len(last.resnets) >= SHALLOW_LAYERS
        and last.upsamplers is None
        and getattr(last, "s1", None) is None
    )
