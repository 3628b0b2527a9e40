"""A second pass of the model over an enlarged render: detail that the first pass had no pixels for.

SDEdit (arXiv 2108.01073): the picture is encoded, noised part of the way and denoised again with
its own prompt and references. Tile by tile, each of the size that the model renders, their
predictions blended at every step (MultiDiffusion, arXiv 2302.08113), so that a canvas of any size
is one picture. The product is kept: at every step its latents are put back, noised as far.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.refadgen import checks
from models.refadgen.added import TextTime
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.sampling import (
    Conditions,
    Guidance,
    denoise,
    generators_of,
    guided_prediction,
    latent_mask,
    standard_normal,
)
from models.refadgen.schedules import check_schedule
from models.refadgen.text import TextFeatures
from models.refadgen.tiles import Tiling
from models.refadgen.unet import GenerationUNet

TILES_AT_ONCE = 4
Prediction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class SecondPass:
    """How an enlarged render is refined. strength: the share of the `steps` that is taken again,
    in (0, 1]; 0.2 to 0.35 keeps what the picture shows. tiles_at_once bounds the memory, but for
    the picture and an aligned model's references, one per tile."""

    seed: int
    steps: int
    strength: float
    guidance_scale: float
    reference_scale: float
    tiles_at_once: int = TILES_AT_ONCE

    @property
    def steps_taken(self) -> int:
        return max(1, round(self.strength * self.steps))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the model is told of an enlarged render.

    text, negative_text: the render's own, one entry each; mask: (1, 1, H, W) in [0, 1], the product
    on the enlarged render; frame: (3,) = (cx, cy, side) of its product frame there, None for U-Nets
    without position features; references: one entry per tile: a canonical product's is the same
    for all, an aligned one's shows what of the product stands in that tile, on white.
    """

    text: TextFeatures
    negative_text: TextFeatures
    mask: Tensor
    frame: Tensor | None
    references: ReferenceFeatures


def tiling_of(pipeline: RefAdGenPipeline, size: tuple[int, int], tile: tuple[int, int]) -> Tiling:
    """Tiles (height, width px, of a native size) over a picture of `size`, in latent tokens.

    RenderArgumentError where the model cannot render such tiles or encode such a picture.
    """
    unit, px = pipeline.native_unit, pipeline.latent_px
    if tile[0] % unit or tile[1] % unit:
        raise checks.refuse("tile", f"{tile} px", f"give multiples of {unit} px")
    if size[0] % px or size[1] % px:
        raise checks.refuse("picture", f"{size} px", f"give multiples of {px} px")
    return Tiling.over((size[0] // px, size[1] // px), (tile[0] // px, tile[1] // px))


@torch.no_grad()
def refine(
    pipeline: RefAdGenPipeline,
    picture: Tensor,
    seen: Seen,
    tiling: Tiling,
    how: SecondPass,
) -> Tensor:
    """(1, 3, H, W) in [0, 1], `picture` with the background drawn again.

    picture: (1, 3, H, W) in [0, 1], an enlarged render; tiling: by `tiling_of`.
    RenderArgumentError names the argument that cannot be used.
    """
    _check(how)
    check_schedule(pipeline.scheduler, pipeline.trained_schedule)
    conditions = _conditions(pipeline, seen, tiling, how)
    guidance = pipeline.guidance(how.guidance_scale)
    predict = _tiled(pipeline.unet, _chunks(conditions, how), guidance, tiling)
    device, dtype = pipeline.device, pipeline.unet.dtype
    in_pixels = tiling.times(pipeline.latent_px)
    tiles = in_pixels.cut(picture.to(device, dtype))
    clean = tiling.blend(_by_chunks(pipeline.encode_picture, tiles, how.tiles_at_once))
    generators = generators_of([_second_seed(how.seed)])
    _, channels, height, width = clean.shape
    noise = standard_normal(generators, (channels, height, width)).to(clean)
    kept = F.interpolate(seen.mask.to(clean), tiling.size, mode="area")
    latents = _denoised(pipeline.scheduler, predict, clean, noise, kept, how, generators)
    decoded = _by_chunks(pipeline.decode_picture, tiling.cut(latents), how.tiles_at_once)
    return in_pixels.blend(decoded)


def _denoised(
    scheduler: Any,
    predict: Prediction,
    clean: Tensor,
    noise: Tensor,
    kept: Tensor,
    how: SecondPass,
    generators: list[torch.Generator],
) -> Tensor:
    """The last steps of the schedule from the noised latents, `kept` (1, 1, h, w) put back after
    each."""
    scheduler.set_timesteps(how.steps, device=clean.device)
    taken = scheduler.timesteps[-how.steps_taken :]

    def noised(i: int) -> Tensor:
        if i == len(taken):
            return clean
        return scheduler.add_noise(clean, noise, taken[i : i + 1])

    def keep_product(i: int, _: Tensor, z: Tensor) -> Tensor:
        return torch.lerp(z, noised(i + 1).to(z), kept)

    return denoise(
        predict,
        noised(0) / float(scheduler.init_noise_sigma),  # denoise begins by multiplying with it
        scheduler,
        how.steps,
        generators=generators,
        taken=lambda timesteps: timesteps[-how.steps_taken :],
        after_step=keep_product,
    )


def _tiled(
    unet: GenerationUNet, chunks: list[Conditions], guidance: Guidance, tiling: Tiling
) -> Prediction:
    """The network as a function of the whole (z_t, t), from that of each chunk of tiles.

    What a chunk is given beside z_t is made anew in each step, at little cost: kept, it would be
    K_ref and V_ref of both guidance halves for every tile of the canvas.
    """
    sizes = [len(chunk.mask) for chunk in chunks]

    def predict(z: Tensor, t: Tensor) -> Tensor:
        parts = zip(chunks, tiling.cut(z).split(sizes), strict=True)
        made = [guided_prediction(unet, chunk, guidance)(tiles, t) for chunk, tiles in parts]
        return tiling.blend(torch.cat(made))

    return predict


def _conditions(
    pipeline: RefAdGenPipeline, seen: Seen, tiling: Tiling, how: SecondPass
) -> Conditions:
    """Of all tiles: each its part of the mask, and the product frame as it lies in the tile."""
    checks.check_lengths(len(tiling), references=range(len(seen.references)))
    in_pixels = tiling.times(pipeline.latent_px)
    masks = in_pixels.cut(seen.mask.to(pipeline.device, pipeline.unet.dtype))
    text, added = _for_each(seen.text, in_pixels)
    negative, negative_added = _for_each(seen.negative_text, in_pixels)
    return Conditions(
        text=text,
        negative_text=negative,
        mask=latent_mask(masks, tiling.tile, pipeline.config["mask_resize"]),
        references=seen.references,
        positions=_positions(pipeline, seen.frame, in_pixels, tiling.tile),
        reference_scale=how.reference_scale,
        added=added,
        negative_added=negative_added,
    )


def _for_each(text: TextFeatures, in_pixels: Tiling) -> tuple[Tensor, TextTime | None]:
    """One text for all tiles."""
    tiles = len(in_pixels)
    hidden = text.hidden.expand(tiles, -1, -1)
    if text.pooled is None:
        return hidden, None
    return hidden, TextTime.uncropped(text.pooled.expand(tiles, -1), *in_pixels.tile)


def _positions(
    pipeline: RefAdGenPipeline, frame: Tensor | None, in_pixels: Tiling, tile: tuple[int, int]
) -> dict[int, Tensor]:
    """Each tile's positions in the product frame, which lies elsewhere in every tile."""
    if not pipeline.unet.config["position_frequencies"]:
        return {}
    frames = None
    if frame is not None:
        corners = torch.tensor([[x, y, 0] for y, x in in_pixels.places])
        frames = frame[None].float().cpu() - corners
    checks.check_frames(frames, len(in_pixels))
    assert frames is not None  # check_frames refuses it
    return pipeline.unet.frame_positions(
        frames.to(pipeline.device, torch.float32), tile, pipeline.latent_px
    )


def _chunks(conditions: Conditions, how: SecondPass) -> list[Conditions]:
    tiles = len(conditions.mask)
    firsts = range(0, tiles, how.tiles_at_once)
    return [_some(conditions, slice(i, min(i + how.tiles_at_once, tiles))) for i in firsts]


def _some(conditions: Conditions, which: slice) -> Conditions:
    c = conditions

    def added(of: TextTime | None) -> TextTime | None:
        return None if of is None else TextTime(of.pooled[which], of.sizes[which])

    return replace(
        c,
        text=c.text[which],
        negative_text=c.negative_text[which],
        mask=c.mask[which],
        references=c.references.part(which),
        positions={n: p[which] for n, p in c.positions.items()},
        added=added(c.added),
        negative_added=added(c.negative_added),
    )


def _by_chunks(network: Callable[[Tensor], Tensor], tiles: Tensor, at_once: int) -> Tensor:
    return torch.cat([network(chunk) for chunk in tiles.split(at_once)])


def _second_seed(seed: int) -> int:
    """The second pass draws other noise than the first."""
    digest = hashlib.sha256(f"second pass of {seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _check(how: SecondPass) -> None:
    checks.check_sampler(how.steps, how.guidance_scale, how.reference_scale)
    checks.check_seeds([how.seed])
    if not isfinite(how.strength) or not 0 < how.strength <= 1:
        raise checks.refuse("strength", f"{how.strength}", "give above 0, at most 1")
    if how.tiles_at_once < 1:
        raise checks.refuse("tiles_at_once", f"{how.tiles_at_once}", "give 1 or more")
