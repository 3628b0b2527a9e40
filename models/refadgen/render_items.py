"""What the batch engine takes and gives, and how it becomes tensors: numpy on this side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adloom.errors import AdloomError, RenderError
from adloom.render_spec import EXACT, Shortcuts
from models.refadgen.checks import refuse

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class RenderItem:
    """One picture to render.

    reference: names the content of a reference picture (such as a sha256), since features are kept
    by it; mask: (H, W) uint8 native, 255 = product; frame: the product frame (cx, cy, side) in
    native px; reference_scale: lambda; negative_prompt: "" is none; name: the caller's own.
    """

    reference: str
    prompt: str
    negative_prompt: str
    mask: Picture
    frame: tuple[float, float, float]
    seed: int
    steps: int = 20
    guidance: float = 4.0
    reference_scale: float = 1.0
    name: str = ""
    sampler: str = "ddim"
    shortcuts: Shortcuts = EXACT


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """picture: (H, W, 3); seconds: its share of the micro-batch's."""

    item: RenderItem
    picture: Picture
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class NotRendered:
    """An item that cannot be rendered, and why."""

    item: RenderItem
    error: AdloomError


Outcome = Rendered | NotRendered


@dataclass(frozen=True, slots=True)
class Kind:
    """What the items of a micro-batch have in common; native: (height, width) px."""

    native: tuple[int, ...]
    steps: int
    guidance: float
    reference_scale: float
    sampler: str
    shortcuts: Shortcuts

    @classmethod
    def of(cls, item: RenderItem) -> "Kind":
        return cls(
            item.mask.shape,
            item.steps,
            item.guidance,
            item.reference_scale,
            item.sampler,
            item.shortcuts,
        )

    @property
    def memory(self) -> tuple[object, ...]:
        """What decides how many fit: those without guidance take half the room."""
        return (self.native, self.guidance == 1)


def common_kind(items: Sequence[RenderItem]) -> Kind:
    """The kind of all items; RenderArgumentError where they are of several."""
    first = Kind.of(items[0])
    shapes = {item.mask.shape for item in items}
    if len(shapes) > 1:
        raise refuse("items[].mask", f"sizes {sorted(shapes)}", "one native size per request")
    for name in ("steps", "guidance", "reference_scale", "sampler", "shortcuts"):
        values = {getattr(item, name) for item in items}
        if len(values) > 1:
            raise refuse(f"items[].{name}", f"{sorted(values, key=str)}", "one value per request")
    return first


def stacked_masks(items: Sequence[RenderItem]) -> Tensor:
    """(B, 1, H, W) in [0, 1], of masks of one size."""
    for mask in (item.mask for item in items):
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise refuse("items[].mask", f"{mask.dtype} of shape {mask.shape}", "give (H, W) uint8")
    return torch.from_numpy(np.stack([item.mask for item in items]))[:, None].float() / 255


def reference_views(key: str, picture: Picture) -> Tensor:
    """(V, 3, H, W) in [0, 1] of a reference picture (H, W, 3) or of several views (V, H, W, 3)."""
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (3, 4)
        or picture.shape[-1] != 3
        or not picture.size
    ):
        raise refuse(
            f"references[{key!r}]",
            f"{picture.dtype} of shape {picture.shape}",
            "give (H, W, 3) uint8, or (V, H, W, 3) for several views",
        )
    views = picture if picture.ndim == 4 else picture[None]
    return torch.from_numpy(np.ascontiguousarray(views)).permute(0, 3, 1, 2).float() / 255


def to_pictures(decoded: Tensor) -> list[Picture]:
    """(B, 3, H, W) in [0, 1] -> B of (H, W, 3)."""
    scaled = (decoded.float() * 255).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).cpu().numpy())


def check_finite(made: Tensor) -> None:
    """RenderError where a latent or picture (B, C, h, w) is spoilt: it would become black."""
    spoilt = int((~torch.isfinite(made).flatten(1).all(dim=1)).sum())
    if spoilt:
        raise RenderError(
            f"{spoilt} of {len(made)} pictures became NaN or infinite",
            hint="render in float32 or bfloat16; lower guidance or reference_scale",
        )
