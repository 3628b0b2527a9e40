"""The second pass at the border: numpy pictures in, numpy pictures out, as much at once as fits."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from adloom.errors import OutOfMemoryError, RenderError
from models.device import free_unused
from models.refadgen.checks import refuse
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.refine import TILES_AT_ONCE, SecondPass, Seen, refine, tiling_of
from models.refadgen.text import TextFeatures
from models.refadgen.tiles import Tiling

log = structlog.get_logger(__name__)
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class RefineRequest:
    """An enlarged render whose background is to be drawn again.

    picture: (H, W, 3); mask: (H, W), 255 = product; frame: the product frame (cx, cy, side), px of
    the picture; tile: (height, width) px that the model sees at once, a native size; prompt, seed
    and the sampler's parameters: the render's own. reference: for a model of the canonical frame
    the product picture (S, S, 3) as it was rendered from, and its key; for an aligned one the
    product on white where the mask has it, (H, W, 3).
    """

    picture: Picture
    mask: Picture
    frame: tuple[float, float, float]
    tile: tuple[int, int]
    reference_key: str
    reference: Picture
    prompt: str
    negative_prompt: str
    seed: int
    strength: float
    steps: int
    guidance: float
    reference_scale: float


def refined(
    pipeline: RefAdGenPipeline,
    request: RefineRequest,
    texts: tuple[TextFeatures, TextFeatures],
    canonical: Callable[[], ReferenceFeatures],
    at_once: int = TILES_AT_ONCE,
) -> Picture:
    """(H, W, 3) with the background drawn again, see `refine.refine`.

    texts: of the prompt and the negative prompt, one entry each; canonical: gives the product's
    reference features, one entry, asked for if the model is of that frame; at_once: tiles of one
    forward, halved while they do not fit. RenderArgumentError names what cannot be used;
    OutOfMemoryError where not even one tile fits; RenderError where the picture became NaN.
    """
    picture = _tensor("picture", request.picture, 3)
    mask = _tensor("mask", request.mask[..., None], 1)
    if mask.shape[2:] != picture.shape[2:]:
        raise refuse("mask", f"{request.mask.shape}", f"give {request.picture.shape[:2]}")
    tiling = tiling_of(pipeline, request.picture.shape[:2], request.tile)
    how = SecondPass(
        request.seed, request.steps, request.strength, request.guidance, request.reference_scale
    )

    def tried() -> Tensor | None:
        """None: out of memory. The error, and the tensors in its frames, end with this call."""
        try:
            references = _references(pipeline, request, tiling, canonical, at_once)
            seen = Seen(*texts, mask, torch.tensor(request.frame), references)
            return refine(pipeline, picture, seen, tiling, replace(how, tiles_at_once=at_once))
        except torch.OutOfMemoryError:
            return None

    while (made := tried()) is None:
        if at_once == 1:
            raise does_not_fit(pipeline, f"{len(tiling)} tiles")
        at_once //= 2
        log.warning("out of memory in the second pass", tiles_at_once=at_once)
        free_unused(pipeline.device)
    if not bool(torch.isfinite(made).all()):
        raise RenderError(
            "the second pass became NaN or infinite", hint="render in float32 or bfloat16"
        )
    return (made[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def does_not_fit(pipeline: RefAdGenPipeline, what: str) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"the second pass over {what} does not fit",
        where=str(pipeline.device),
        hint="finish with `upscaler: lanczos`, or on a larger device",
    )


def _references(
    pipeline: RefAdGenPipeline,
    request: RefineRequest,
    tiling: Tiling,
    canonical: Callable[[], ReferenceFeatures],
    at_once: int,
) -> ReferenceFeatures:
    """One entry per tile."""
    if pipeline.reference_frame != "aligned":
        return canonical().expanded(len(tiling))
    reference = _tensor("reference", request.reference, 3)
    if request.reference.shape != request.picture.shape:
        raise refuse(
            "reference",
            f"{request.reference.shape}",
            f"give the product where it stands on the enlarged render: {request.picture.shape}",
        )
    tiles = tiling.times(pipeline.latent_px).cut(reference)
    return ReferenceFeatures.concatenate(
        [pipeline.encode_references(part) for part in tiles.split(at_once)]
    )


def _tensor(argument: str, picture: Picture, channels: int) -> Tensor:
    """(H, W, C) uint8 -> (1, C, H, W) in [0, 1]."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != channels:
        raise refuse(argument, f"{picture.dtype} of shape {picture.shape}", "give (H, W, C) uint8")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255  # writable
