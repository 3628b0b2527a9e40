"""Triplets -> training samples: cropped as in the paper, written as the trainer's shards.

The shorter side is brought to the native size and a random window is cut, the same of ad, product
and mask; the mask is binarised at 0.5. A `canonical` model takes the whole product instead, centred
on a square of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adloom.errors import PhotoError
from adloom.geometry import Box
from adloom.imaging.canonical import canonical_picture
from models.segmentation.measures import bounding_box
from training.adprod.released import Triplet
from training.scenes_synth import REFERENCE_SIZE
from training.shards import ARRAYS

Picture = NDArray[np.uint8]
MaskOf = Literal["ad", "annotated"]

LEAST_SEEN = 0.5
"""A window that shows less of the product's area than this is drawn again."""

TRIES = 8


@dataclass(frozen=True, slots=True)
class AdProdSample:
    """A triplet cut to a native size: ad (h, w, 3), `product` (h, w, 3) under the same window,
    `mask` (h, w) 0 or 255; the whole product on a white square, `canonical` (S, S, 3), and where
    that square lies on the ad, `frame` (cx, cy, side) in native px; one of its captions."""

    ad: Picture
    product: Picture
    mask: Picture
    canonical: Picture
    frame: tuple[float, float, float]
    caption: str


def read_sample(
    triplet: Triplet,
    native: tuple[int, int],
    rng: np.random.Generator,
    *,
    mask_of: MaskOf = "ad",
    reference_px: int = REFERENCE_SIZE,
) -> AdProdSample:
    """A sample at the native size (width, height).

    `mask_of`: where the product is said to stand, "ad" where it does stand in the ad, "annotated"
    by the annotation's mask, which for a novel view is that view's own. Raises PhotoError, which
    names the file that cannot be used.
    """
    ad, product = _picture(triplet.ad), _picture(triplet.product)
    mask = _mask(triplet.ad_mask if mask_of == "ad" else triplet.mask)
    if product.shape != ad.shape or mask.shape != ad.shape[:2]:
        raise PhotoError(
            f"ad {ad.shape[:2]}, product {product.shape[:2]} and mask {mask.shape} differ in size",
            where=str(triplet.ad),
        )
    if not (mask >= 128).any():
        raise PhotoError("the mask is empty", where=str(triplet.mask))
    window = _window(mask, native, rng)
    box = bounding_box(mask)
    return AdProdSample(
        window.cut(ad),
        window.cut(product),
        np.where(window.cut(mask) >= 128, 255, 0).astype(np.uint8),
        _canonical(triplet, product, reference_px),
        window.frame_of(box),
        str(rng.choice(np.array(triplet.captions, object))),
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """A picture scaled to `size` (w, h), of which the native size is taken from (x, y) on."""

    size: tuple[int, int]
    native: tuple[int, int]
    scale: float
    x: int
    y: int

    def cut(self, picture: Picture) -> Picture:
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, self.size, interpolation=method)
        width, height = self.native
        return np.asarray(scaled[self.y : self.y + height, self.x : self.x + width], np.uint8)

    def frame_of(self, box: Box) -> tuple[float, float, float]:
        """The product frame, native px, of a box in the uncut picture's px."""
        x, y = box.x * self.scale - self.x, box.y * self.scale - self.y
        return Box(x, y, box.width * self.scale, box.height * self.scale).product_frame


def _window(mask: Picture, native: tuple[int, int], rng: np.random.Generator) -> _Window:
    height, width = mask.shape
    scale = max(native[0] / width, native[1] / height)
    size = max(round(width * scale), native[0]), max(round(height * scale), native[1])
    room = size[0] - native[0], size[1] - native[1]
    small = cv2.resize((mask >= 128).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    whole = max(int(small.sum()), 1)
    for _ in range(TRIES):
        x, y = (int(rng.integers(r + 1)) for r in room)
        if small[y : y + native[1], x : x + native[0]].sum() >= LEAST_SEEN * whole:
            return _Window(size, native, scale, x, y)
    ys, xs = np.nonzero(small)
    x = int(np.clip(xs.mean() - native[0] / 2, 0, room[0]))
    y = int(np.clip(ys.mean() - native[1] / 2, 0, room[1]))
    return _Window(size, native, scale, x, y)


def _canonical(triplet: Triplet, product: Picture, side: int) -> Picture:
    """The product picture centred on white; its mask is its own, else what is not white."""
    if triplet.product_mask is not None:
        mask = _mask(triplet.product_mask)
    else:
        mask = np.where((product < 250).any(axis=2), 255, 0).astype(np.uint8)
    if mask.shape != product.shape[:2]:
        raise PhotoError("product and mask differ in size", where=str(triplet.product_mask))
    box = bounding_box(mask)
    if box.width < 1 or box.height < 1:
        raise PhotoError("there is no product on the white ground", where=str(triplet.product))
    return canonical_picture(product, mask, box, side)


def _picture(path: Path) -> Picture:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"the picture cannot be read: {error}", where=str(path)) from error


def _mask(path: Path) -> Picture:
    """(H, W) 0..255 of a .npy of truth values, shares or bytes, with or without a channel."""
    try:
        stored = np.squeeze(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise PhotoError(f"the mask cannot be read: {error}", where=str(path)) from error
    if stored.ndim != 2:
        raise PhotoError(f"a mask of shape {stored.shape} is none", where=str(path))
    if stored.dtype == np.uint8 and stored.max(initial=0) > 1:
        return stored
    return (stored.astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8)


def write_samples(
    triplets: Sequence[Triplet],
    folder: Path,
    native: tuple[int, int],
    count: int,
    *,
    seed: int,
    mask_of: MaskOf = "ad",
    aligned: bool = False,
) -> list[str]:
    """`count` samples of one native size as a shard (`training.shards`), triplets in random order,
    each as often as the others; what was wrong with those that cannot be used. The arrays are
    filled on disk. The same arguments write the same bytes.

    aligned: product pictures under the ad's own window, for models of the `aligned` frame.
    """
    rng = np.random.default_rng([seed, *native])
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{native[0]}x{native[1]}"
    usable, problems = list(rng.permutation(len(triplets))), []
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{stem}.{name}.npy", "w+", dtype, (count, *shape))
        for name, (dtype, shape) in _layout(native, aligned).items()
    }
    captions: list[str] = []
    turn = 0
    while len(captions) < count:
        if not usable:
            raise PhotoError("no triplet can be used", hint="; ".join(problems[:3]))
        if turn >= len(usable):
            usable, turn = list(rng.permutation(usable)), 0
        try:
            sample = read_sample(triplets[int(usable[turn])], native, rng, mask_of=mask_of)
        except PhotoError as error:
            problems.append(str(error))
            del usable[turn]
            continue
        turn += 1
        row = len(captions)
        product = sample.product if aligned else sample.canonical
        parts = sample.ad, sample.mask, product, sample.frame
        for name, part in zip(ARRAYS, parts, strict=True):
            arrays[name][row] = part
        captions.append(sample.caption)
    for array in arrays.values():
        array.flush()
    (folder / f"{stem}.captions.json").write_text(json.dumps(captions))
    return problems


def _layout(
    native: tuple[int, int], aligned: bool
) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    width, height = native
    product = (height, width, 3) if aligned else (REFERENCE_SIZE, REFERENCE_SIZE, 3)
    shapes = (height, width, 3), (height, width), product, (3,)
    kinds = np.uint8, np.uint8, np.uint8, np.float32
    return dict(zip(ARRAYS, zip(kinds, shapes, strict=True), strict=True))
