"""What the paper compares with (its table 2), by diffusers: other ways from a product to an ad.

They take Stable Diffusion 1.5 and weights of their own from a hub or folders; where those are not
to be had the error says so, and the others are made all the same.

None sees the true ad. All have the caption, and beside it: IP-Adapter the reference picture, not
where the product is to stand; ControlNet and T2I-Adapter its edges where it is to stand, not its
colours; InstructPix2Pix the product on white where it is to stand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from adloom.errors import ModelError, first_line
from adloom.geometry import Box, Size
from adloom.imaging.canonical import aligned_picture
from models.segmentation.measures import bounding_box
from training.judging.heldout import SEED_STRIDE, Truth, box_in_frame, shown_in
from training.judging.hub import STABLE_DIFFUSION

Picture = NDArray[np.uint8]
STEPS: Final = 50
GUIDANCE: Final = 7.5
BESIDE_TEXT: Final = 0.5
"""IP-Adapter's scale where a picture and a text are to be heard alike, as its authors advise."""

CANNY: Final = (100, 200)
INSTRUCTION: Final = "turn it into a photo of {caption}"
PLUS: Final = "ip-adapter-plus_sd15"
UNPLACED: Final = "ip-adapter"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A diffusers pipeline, and what of a sample it is called with. unit_px: the side of the square
    pictures that its U-Net knows best; a sample's reference is brought to it, and the ad along."""

    pipeline: Any
    given: Callable[[Truth, Size], dict[str, Any]]
    unit_px: int
    steps: int = STEPS
    is_placed: bool = True
    """Whether it is told where the product is to stand."""

    def render(self, truths: Sequence[Truth], seed: int) -> list[Picture]:
        """A picture of every truth, at its ad's size."""
        return [self._render(t, seed * SEED_STRIDE + i) for i, t in enumerate(truths)]

    def _render(self, truth: Truth, seed: int) -> Picture:
        height, width = truth.ad.shape[:2]
        grown = self.unit_px / truth.reference.shape[0]
        step = self.pipeline.vae_scale_factor * 8
        size = Size(*(max(step, round(side * grown / step) * step) for side in (width, height)))
        made = self.pipeline(
            num_inference_steps=self.steps,
            guidance_scale=GUIDANCE,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
            **self.given(truth, size),
        ).images[0]
        picture = np.rint(np.asarray(made) * 255).astype(np.uint8)
        return np.asarray(
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )


def baseline_named(
    name: str, source: str = "", base: str = "", *, steps: int = STEPS, device: str = "cpu"
) -> Baseline:
    """`ip-adapter`, `controlnet`, `t2i-adapter` or `instruct-pix2pix`; source: a hub id or folder
    in place of the usual one, base: of Stable Diffusion 1.5. ModelError names those that there are,
    or says what is missing."""
    if name not in BASELINES:
        raise ModelError(f"no baseline {name!r}", hint=f"one of {', '.join(BASELINES)}")
    load, usual, given = BASELINES[name]
    try:
        pipeline = load(source or usual, base or STABLE_DIFFUSION, _dtype(device))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} cannot be loaded: {first_line(error)}",
            where=f"{source or usual}, {base or STABLE_DIFFUSION}",
            hint="give a hub id or a folder that has them: --baseline NAME=SOURCE, --base SOURCE",
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    unit = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    return Baseline(pipeline.to(device), given, unit, steps, name != UNPLACED)


def _dtype(device: str) -> torch.dtype:
    return torch.float32 if device == "cpu" else torch.float16


def _ip_adapter(source: str, base: str, dtype: torch.dtype) -> Any:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import (
        StableDiffusionPipeline,
    )

    pipeline: Any = StableDiffusionPipeline.from_pretrained(base, **_plain(dtype))
    local = Path(source) / "models" / f"{PLUS}.bin"
    weights = f"{PLUS}.bin" if local.is_file() else f"{PLUS}.safetensors"
    pipeline.load_ip_adapter(source, subfolder="models", weight_name=weights)
    pipeline.set_ip_adapter_scale(BESIDE_TEXT)
    return pipeline


def _controlnet(source: str, base: str, dtype: torch.dtype) -> Any:
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline

    control = ControlNetModel.from_pretrained(source, dtype=dtype)
    return StableDiffusionControlNetPipeline.from_pretrained(
        base, controlnet=control, **_plain(dtype)
    )


def _t2i_adapter(source: str, base: str, dtype: torch.dtype) -> Any:
    from diffusers.models.adapter import T2IAdapter
    from diffusers.pipelines.t2i_adapter.pipeline_stable_diffusion_adapter import (
        StableDiffusionAdapterPipeline,
    )

    adapter = T2IAdapter.from_pretrained(source, dtype=dtype)
    return StableDiffusionAdapterPipeline.from_pretrained(base, adapter=adapter, **_plain(dtype))


def _instruct_pix2pix(source: str, base: str, dtype: torch.dtype) -> Any:
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
        StableDiffusionInstructPix2PixPipeline,
    )

    del base  # it is a model of its own
    return StableDiffusionInstructPix2PixPipeline.from_pretrained(source, **_plain(dtype))


def _plain(dtype: torch.dtype) -> dict[str, Any]:
    return {"dtype": dtype, "safety_checker": None, "requires_safety_checker": False}


def placed_product(truth: Truth, size: Size) -> Picture:
    """The reference's product on white where the ad is to show it, `size` px."""
    mask = shown_in(truth.reference)
    bbox = bounding_box(mask)
    height, width = truth.ad.shape[:2]
    box = box_in_frame(truth, bbox)
    across, down = size.width / width, size.height / height
    grown = Box(box.x * across, box.y * down, box.width * across, box.height * down)
    return aligned_picture(truth.reference, mask, bbox, grown, size)


def _edges(truth: Truth, size: Size) -> Image.Image:
    grey = cv2.cvtColor(placed_product(truth, size), cv2.COLOR_RGB2GRAY)
    return Image.fromarray(np.asarray(cv2.Canny(grey, *CANNY), np.uint8))


def _asked(truth: Truth, size: Size) -> dict[str, Any]:
    return {"prompt": truth.caption, "width": size.width, "height": size.height}


def _pictured(truth: Truth, size: Size) -> dict[str, Any]:
    return _asked(truth, size) | {"ip_adapter_image": Image.fromarray(truth.reference)}


def _drawn(truth: Truth, size: Size) -> dict[str, Any]:
    return _asked(truth, size) | {"image": _edges(truth, size).convert("RGB")}


def _sketched(truth: Truth, size: Size) -> dict[str, Any]:
    return _asked(truth, size) | {"image": _edges(truth, size)}


def _edited(truth: Truth, size: Size) -> dict[str, Any]:
    """It takes its size from the picture."""
    return {
        "prompt": INSTRUCTION.format(caption=truth.caption),
        "image": Image.fromarray(placed_product(truth, size)),
    }


Loader = Callable[[str, str, torch.dtype], Any]
BASELINES: Final[dict[str, tuple[Loader, str, Callable[[Truth, Size], dict[str, Any]]]]] = {
    UNPLACED: (_ip_adapter, "h94/IP-Adapter", _pictured),
    "controlnet": (_controlnet, "lllyasviel/sd-controlnet-canny", _drawn),
    "t2i-adapter": (_t2i_adapter, "TencentARC/t2iadapter_canny_sd15v2", _sketched),
    "instruct-pix2pix": (_instruct_pix2pix, "timbrooks/instruct-pix2pix", _edited),
}
