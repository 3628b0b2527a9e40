"""Held-out samples as pictures: what is rendered, and the truth that it is judged by."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from adloom.geometry import CANONICAL_FILL, Box, Size, cover
from adloom.imaging.arrays import OPAQUE
from adloom.imaging.warp import on_colour, placed_photo
from models.refadgen.pipeline import RefAdGenPipeline
from models.segmentation.measures import bounding_box
from training.adprod_mini.dataset import read_rows
from training.latents import unit_pictures
from training.shards import Shard, read_shards

Picture = NDArray[np.uint8]
BATCH = 8
SEED_STRIDE = 100_003
NEARLY_WHITE = 250
SAMPLED_ALIKE = {"product_noise_scale": None, "product_guidance": 1.0, "scene_eta": 0.0}
DELIVERED_PX = 1024
"""A canvas' shorter side, about."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One held-out sample: the true ad (H, W, 3), where the product stands in it, the reference
    picture, the product frame, the caption, and what is shown by name."""

    ad: Picture
    mask: Picture
    reference: Picture
    frame: tuple[float, float, float]
    caption: str
    shown: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How pictures are rendered; without the mask for models that were trained without it."""

    steps: int = 12
    guidance: float = 4.0
    reference_scale: float = 1.0
    with_mask: bool = True


def read_truths(folder: Path, count: int, view: int = 0) -> list[Truth]:
    """At most `count` samples, spread evenly over the shards, each ad once, its product seen from
    the ad's own side (view 0) or another. ModelError where the folder does not say what it
    shows."""
    found: list[Truth] = []
    for shard in read_shards(folder):
        rows = read_rows(folder, shard.native)
        found += [_truth(shard, i, row) for i, row in enumerate(rows) if row["view"] == view]
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [found[i] for i in chosen]


def shown_in(reference: Picture) -> Picture:
    """(H, W) 0 or 255: where a reference picture shows its product, which stands on white. Of one
    that is all white, as a light product overexposed, the square that it may stand in."""
    shown = np.asarray((reference < NEARLY_WHITE).any(axis=2))
    if not shown.any():
        side = reference.shape[0]
        edge = round(side * (1 - CANONICAL_FILL) / 2)
        shown[edge : side - edge, edge : side - edge] = True
    return np.where(shown, 255, 0).astype(np.uint8)


def outline_of(truth: Truth) -> Picture:
    """(S, S) 0 to 255: the reference picture's product by the ad's own mask, which is a photo's
    brought to its place; cut where the white around the product begins, since that mask has fewer
    pixels and reaches over it. Of a reference from another side than the ad's, what `shown_in`
    sees."""
    shown = shown_in(truth.reference)
    if truth.shown.get("view", 0) != 0:
        return shown
    size = truth.reference.shape[0]
    cx, cy, side = truth.frame
    scale = size / side
    matrix = np.array(
        [
            [scale, 0, scale * (0.5 - cx + side / 2) - 0.5],
            [0, scale, scale * (0.5 - cy + side / 2) - 0.5],
        ]
    )
    brought = cv2.warpAffine(truth.mask, matrix, (size, size))
    outline = np.minimum(brought, _without_holes(shown)).astype(np.uint8)
    return outline if (outline >= OPAQUE).any() else shown


def _without_holes(shown: Picture) -> Picture:
    """All but what is joined to the picture's border: white parts of a product are part of it."""
    beyond = cv2.copyMakeBorder(shown, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(beyond, None, (0, 0), 1)
    return np.where(beyond[1:-1, 1:-1] == 1, 0, 255).astype(np.uint8)


def box_in_frame(truth: Truth, box: Box) -> Box:
    """A box of the reference picture in px of the ad: its square stands in the product frame."""
    cx, cy, side = truth.frame
    scale = side / truth.reference.shape[0]
    x, y = cx - side / 2 + box.x * scale, cy - side / 2 + box.y * scale
    return Box(x, y, box.width * scale, box.height * scale)


def _truth(shard: Shard, i: int, row: dict[str, Any]) -> Truth:
    x, y, side = (float(v) for v in shard.frames[i])
    ad, mask, product = (np.array(a[i]) for a in (shard.ads, shard.masks, shard.products))
    return Truth(ad, mask, product, (x, y, side), str(shard.captions[i]), row)


def render_all(
    pipeline: RefAdGenPipeline, truths: Sequence[Truth], seed: int, how: Sampling
) -> list[Picture]:
    """A render of every truth, in their order."""
    made: dict[int, Picture] = {}
    by_size: dict[tuple[int, ...], list[int]] = {}
    for i, truth in enumerate(truths):
        by_size.setdefault(truth.ad.shape, []).append(i)
    for indices in by_size.values():
        for start in range(0, len(indices), BATCH):
            part = indices[start : start + BATCH]
            seeds = [seed * SEED_STRIDE + i for i in part]
            with nullcontext() if how.with_mask else _mask_unread(pipeline):
                pictures = _render(pipeline, [truths[i] for i in part], seeds, how)
            made |= dict(zip(part, pictures, strict=True))
    return [made[i] for i in range(len(truths))]


@contextmanager
def _mask_unread(pipeline: RefAdGenPipeline) -> Iterator[None]:
    """The U-Net with its mask channel's weights at zero, which is as good as a mask of zeros, and
    a sampler that does not tell the product from its scene."""
    weights = pipeline.unet.conv_in.weight
    settings = {name: pipeline.config[name] for name in SAMPLED_ALIKE}
    with torch.no_grad():
        kept = weights[:, -1].clone()
        weights[:, -1] = 0
        pipeline.register_to_config(**SAMPLED_ALIKE)
        try:
            yield
        finally:
            weights[:, -1] = kept
            pipeline.register_to_config(**settings)


def _render(
    pipeline: RefAdGenPipeline, truths: Sequence[Truth], seeds: Sequence[int], how: Sampling
) -> list[Picture]:
    references = np.stack([t.reference for t in truths])
    features = pipeline.encode_references(unit_pictures(references))
    masks = torch.from_numpy(np.stack([t.mask for t in truths]))[:, None].float() / 255
    pictures = pipeline.render(
        [t.caption for t in truths],
        [""] * len(truths),
        features,
        masks,
        torch.tensor([t.frame for t in truths]),
        list(seeds),
        steps=how.steps,
        guidance_scale=how.guidance,
        reference_scale=how.reference_scale,
    )
    return as_pictures(pictures)


def as_pictures(tensors: torch.Tensor) -> list[Picture]:
    """(B, 3, H, W) in [0, 1] -> (H, W, 3) uint8 each."""
    return list((tensors.float() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())


@torch.no_grad()
def round_trips(pipeline: RefAdGenPipeline, truths: Sequence[Truth]) -> list[Picture]:
    """The true ads through the autoencoder: the most that any U-Net on its latents can reach."""
    made: list[Picture] = []
    for truth in truths:
        given = unit_pictures(truth.ad[None]).to(pipeline.device, pipeline.vae.dtype)
        made += as_pictures(pipeline.decode_picture(pipeline.encode_picture(given)))
    return made


def pasted(ground: Picture, truth: Truth) -> Picture:
    """The reference picture's product over a picture (H, W, 3), in none of the scene's light: the
    cutout that finishing has, laid on a canvas of a delivered size with a plain edge, brought
    back."""
    mask = outline_of(truth)
    bbox = bounding_box(mask)
    height, width = ground.shape[:2]
    grown = canvas_growth(height, width)
    canvas = Size(grown * width, grown * height)
    on_canvas = cover(Size(width, height), canvas).to_canvas(box_in_frame(truth, bbox))
    colours, alpha = placed_photo(truth.reference, mask, bbox, on_canvas, canvas)
    sides = canvas.width, canvas.height
    large = np.asarray(cv2.resize(ground, sides, interpolation=cv2.INTER_LANCZOS4), np.uint8)
    small = cv2.resize(
        on_colour(colours, alpha, large), (width, height), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.uint8)


def canvas_growth(height: int, width: int) -> int:
    """How many times larger a canvas of a delivered size is."""
    return max(2, round(DELIVERED_PX / min(height, width)))


def filled_silhouettes(truths: Sequence[Truth]) -> list[Picture]:
    """The true ads with the product painted over in its mean colour: the floor, what is to be had
    without looking at the product."""
    made: list[Picture] = []
    for truth in truths:
        alpha = truth.mask[..., None] / 255.0
        weight = max(float(alpha.sum()), 1e-6)
        mean = (truth.ad * alpha).sum((0, 1)) / weight
        made.append(np.rint(truth.ad * (1 - alpha) + mean * alpha).astype(np.uint8))
    return made
