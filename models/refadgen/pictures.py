"""Pictures as diffusers' users give and take them <-> tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from models.refadgen.checks import refuse

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Picture = Image.Image | NDArray[Any] | Tensor


def encoder_pixels(images: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> what CLIP's image encoder takes: the shorter side brought to
    `side`, the middle square cut out, CLIP's mean and deviation."""
    height, width = images.shape[-2:]
    if (height, width) != (side, side):
        short = min(height, width)
        size = side * height // short, side * width // short
        # In float32: not every device resizes in half precision, and none as well.
        resized = F.interpolate(images.float(), size, mode="bicubic", antialias=True)
        images = resized.clamp(0, 1).to(images.dtype)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        images = images[..., top : top + side, left : left + side]
    mean, std = (torch.tensor(v).to(images)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    return (images - mean) / std


def as_tensor(argument: str, pictures: Picture | Sequence[Picture], channels: int) -> Tensor:
    """(B, channels, H, W) float in [0, 1] of one picture or several of one size.

    PIL: any mode; arrays: (H, W) or (H, W, C), uint8 or float in [0, 1]; tensors: (C, H, W) or
    (B, C, H, W) in [0, 1]. Colour pictures with alpha come to stand on white. RenderArgumentError
    names `argument`.
    """
    if isinstance(pictures, Tensor) and pictures.ndim == 4:
        return pictures.float()
    several = pictures if isinstance(pictures, list | tuple) else [pictures]
    single = [_one(argument, p, channels) for p in several]
    sizes = {tuple(p.shape) for p in single}
    if len(sizes) != 1:
        raise refuse(argument, f"shapes {sorted(sizes)}", "give pictures of one size")
    return torch.stack(single)


def _one(argument: str, picture: Any, channels: int) -> Tensor:
    """(channels, H, W) float."""
    if isinstance(picture, Tensor):
        if picture.ndim != 3:
            raise refuse(argument, f"a tensor of shape {tuple(picture.shape)}", "give (C, H, W)")
        return picture.float()
    if isinstance(picture, Image.Image):
        colour = "RGBA" if picture.has_transparency_data else "RGB"
        picture = np.asarray(picture.convert("L" if channels == 1 else colour))
    if not isinstance(picture, np.ndarray) or picture.ndim not in (2, 3):
        kind = getattr(picture, "shape", type(picture).__name__)
        raise refuse(argument, f"{kind} is no picture", "give PIL pictures, arrays or tensors")
    array = picture if picture.ndim == 3 else picture[..., None]
    scale = 255 if array.dtype == np.uint8 else 1
    if array.shape[2] not in (channels, 4 if channels == 3 else channels):
        raise refuse(argument, f"{array.shape[2]} channels", f"give {channels}")
    made = torch.from_numpy(np.array(array, order="C")).permute(2, 0, 1).float() / scale
    return made if len(made) == channels else made[3:] * made[:3] + (1 - made[3:])


def as_output(images: Tensor, output_type: str) -> Any:
    """(B, 3, H, W) in [0, 1] as diffusers' `pil`, `np` (B, H, W, 3) or `pt`."""
    if output_type in ("pt", "latent"):
        return images
    arrays = images.float().permute(0, 2, 3, 1).cpu().numpy()
    if output_type == "np":
        return arrays
    return [Image.fromarray(a) for a in np.rint(arrays * 255).astype(np.uint8)]
