"""RefAdGen at the shapes that are measured, with random weights: speed does not depend on them."""

from dataclasses import dataclass

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from benchmarks.sd15_shapes import build as build_sd15
from benchmarks.sd15_shapes import numbers_in
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline

WORDS = ("a", "red", "bottle", "on", "white", "marble", "table", "soft", "morning", "light")
PROMPT = "a red bottle on white marble table, soft morning light"


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is rendered, px: the canvas; and what is referred to: `canonical`, a square of
    `side`, or `aligned` as in the paper, the product on white where it stands on the canvas."""

    name: str
    width: int
    height: int
    reference_frame: str
    side: int = 0

    @property
    def reference(self) -> tuple[int, int]:
        """(height, width) of the reference pictures, px."""
        if self.reference_frame == "aligned":
            return self.height, self.width
        return self.side, self.side

    @property
    def described(self) -> str:
        height, width = self.reference
        references = f"{self.reference_frame} references of {width}x{height}"
        return f"{self.name} {self.width}x{self.height}, {references}"


MINI = Shapes("mini", 128, 160, "canonical", 128)
SD15 = Shapes("sd15", 512, 640, "aligned")
BY_NAME = {s.name: s for s in (MINI, SD15)}


def build(shapes: Shapes, device: str, dtype: torch.dtype) -> RefAdGenPipeline:
    """The pipeline with random weights on `device`."""
    torch.manual_seed(0)
    if shapes is MINI:
        pipeline = build_mini(WORDS).to(device=device, dtype=dtype)
        _frozen(*pipeline.components.values())
        return pipeline
    with numbers_in(dtype):
        pipeline = build_sd15(shapes.reference_frame).to(device)
    _frozen(*pipeline.components.values())
    return pipeline


def plain_unet(pipeline: RefAdGenPipeline) -> UNet2DConditionModel:
    """The text-to-image U-Net of the same size: no mask, no AFMs."""
    hidden = ("position_frequencies",)
    config = {k: v for k, v in pipeline.unet.config.items() if k not in hidden and k[0] != "_"}
    with torch.device(pipeline.device):
        unet = UNet2DConditionModel(**{**config, "in_channels": config["in_channels"] - 1})
    _frozen(unet)
    return unet.to(pipeline.unet.dtype)


def _frozen(*components: object) -> None:
    for component in components:
        if isinstance(component, torch.nn.Module):
            component.eval().requires_grad_(False)
