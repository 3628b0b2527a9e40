"""Finishing: a raw render becomes the delivered image.

Upscale the render to the canvas; lay the photo's own product over it, in the render's light
(detail lock); refuse the lock where the render shows no such product at that place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Final

import cv2
import numpy as np

from adloom.errors import ConfigurationError, MaskError
from adloom.finishing_spec import DetailLock, FinishingSpec
from adloom.geometry import Box, CoverMap, Size, cover
from adloom.imaging.arrays import OPAQUE, Mask, Plane, Rgb, as_alpha, check_cutout
from adloom.imaging.background import THIN, Rim, grained, upscaled, without_product
from adloom.imaging.enlarging import as_it_is, enlarged
from adloom.imaging.light import MODELS, MODELS_CAST, WHOLE, Light, Trust, light_of, lit, tinted
from adloom.imaging.warp import placed_mask, placed_photo


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished image: (H, W, 3) canvas pixels; (H, W) alpha in 0..1 of the placed product;
    agreement (IoU) of the render's product with the placed mask, NaN where it was not measured."""

    image: Rgb
    product_alpha: Plane
    agreement: float
    detail_lock: DetailLock


@dataclass(frozen=True, slots=True)
class Manner:
    """What a version of finishing does in a way of its own. eats_edge: its edge lies a pixel or
    more within the mask; cast_trust: how far the light's cast is trusted, where it is no shift."""

    rim: Rim
    trust: Trust
    eats_edge: bool
    cast_trust: Trust | None = None


MANNERS: Final = {
    "1": Manner(Rim(0.015, 2), WHOLE, eats_edge=True),
    "2": Manner(THIN, MODELS, eats_edge=False),
    "3": Manner(THIN, MODELS, eats_edge=False, cast_trust=MODELS_CAST),
}
"""By `FinishingSpec.version`: a recipe that was stored gives the pixels that it gave."""


def finish(
    raw: Rgb,
    raw_product_mask: Mask | None,
    photo: Rgb,
    mask: Mask,
    bbox: Box,
    native_box: Box,
    spec: FinishingSpec,
    enlarge: Callable[[Rgb], Rgb] = as_it_is,
) -> Finished:
    """Finishes one native render `raw` after `spec`; the same arguments give the same pixels.

    `raw_product_mask`: (h, w) the product that the render itself shows, as an extractor sees it;
    `photo`, `mask`, `bbox`: the cutout, photo px; `native_box`: where the product was placed;
    `enlarge`: what draws the native picture a whole number of times larger before it is brought to
    the canvas (see `enlarging`); it must give the same for the same.

    Raises MaskError where photo, mask and box, or render and its mask, do not belong together;
    ValueError where detail lock is asked for without `raw_product_mask`; ConfigurationError where
    the recipe's version is one of a newer adloom.
    """
    manner = manner_of(spec)
    check_cutout(photo, mask, bbox)
    native, canvas = _size(raw), Size(spec.canvas_width, spec.canvas_height)
    to_canvas = cover(native, canvas)
    box = to_canvas.to_canvas(native_box)
    agreement = nan
    if raw_product_mask is not None:
        agreement = agreement_of(raw_product_mask, placed_mask(mask, bbox, native_box, native))
    elif spec.detail_lock:
        raise ValueError("detail lock needs raw_product_mask, the mask of the render's own product")

    if not spec.detail_lock or raw_product_mask is None or agreement < spec.min_agreement:
        image = _on_canvas(raw, enlarge, to_canvas, canvas)
        alpha = as_alpha(placed_mask(mask, bbox, box, canvas))
        lock = DetailLock.REFUSED if spec.detail_lock else DetailLock.OFF
        return Finished(image, alpha, agreement, lock)

    native_photo = placed_photo(photo, mask, bbox, native_box, native)
    scene, light = _parted(raw, raw_product_mask, *native_photo, spec, manner)
    background = _on_canvas(scene, enlarge, to_canvas, canvas)
    colours, alpha = placed_photo(photo, mask, bbox, box, canvas)
    alpha = soft_edge(alpha, spec.edge_px, eats=manner.eats_edge)
    image = _locked(background, colours, alpha, light, to_canvas)
    return Finished(image, alpha, agreement, DetailLock.APPLIED)


def manner_of(spec: FinishingSpec) -> Manner:
    """Raises ConfigurationError."""
    if spec.version not in MANNERS:
        raise ConfigurationError(
            f"finishing version {spec.version!r} is not known here",
            hint=f"update this process: it knows {', '.join(MANNERS)}",
        )
    return MANNERS[spec.version]


def _on_canvas(
    picture: Rgb, enlarge: Callable[[Rgb], Rgb], to_canvas: CoverMap, canvas: Size
) -> Rgb:
    """Enlarged, and what is left of the way to the canvas interpolated and grained."""
    large, left = enlarged(picture, enlarge, to_canvas)
    return grained(upscaled(large, left, canvas), left.scale)


def agreement_of(own_mask: Mask, placed: Mask) -> float:
    """IoU in 0..1 of two masks of one size; 0 where both are empty. Raises MaskError."""
    if own_mask.shape != placed.shape:
        raise MaskError(
            f"the render's product mask has shape {own_mask.shape}, the render {placed.shape}",
            hint="extract the mask at the render's own size",
        )
    a, b = own_mask >= OPAQUE, placed >= OPAQUE
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def soft_edge(alpha: Plane, edge_px: float, *, eats: bool = False) -> Plane:
    """The alpha with an edge about `edge_px` wide, nowhere above the old one; where it `eats`, it
    begins half as far within."""
    if edge_px <= 0:
        return alpha
    kept = alpha
    if eats:
        side = 2 * max(1, round(edge_px / 2)) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        kept = np.asarray(cv2.erode(alpha, disc), np.float32)
    blurred = cv2.GaussianBlur(kept, (0, 0), edge_px / 2)
    return np.asarray(np.minimum(alpha, blurred), np.float32)


def shown_in_both(own_mask: Mask, native_alpha: Plane) -> Plane:
    """(h, w) 1 where the render and the placed photo both show the product, 0 elsewhere: well
    inside it, where no background bleeds in, unless it is so slim that too little would be left."""
    both = (own_mask >= OPAQUE) & (native_alpha > 0.5)
    inside = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    enough = np.count_nonzero(inside) >= 0.4 * np.count_nonzero(both)
    return (inside if enough else both).astype(np.float32)


def _parted(
    raw: Rgb, own_mask: Mask, colours: Rgb, alpha: Plane, spec: FinishingSpec, manner: Manner
) -> tuple[Rgb, Light]:
    """The render without its product, and its light on the photo's, within the recipe's bounds;
    `colours`, `alpha`: the photo's product, native and in place."""
    placed = np.rint(alpha * 255).astype(np.uint8)
    light = light_of(
        raw,
        colours,
        shown_in_both(own_mask, alpha),
        gain_min=spec.gain_min,
        gain_max=spec.gain_max,
        shift_max=spec.chroma_shift_max,
        trust=manner.trust,
        cast_trust=manner.cast_trust,
    )
    return without_product(raw, own_mask, placed, manner.rim), light


def _locked(background: Rgb, colours: Rgb, alpha: Plane, light: Light, to_canvas: CoverMap) -> Rgb:
    """The product laid over the background under the native light; works on its box alone."""
    rows, columns = np.nonzero(alpha.any(1))[0], np.nonzero(alpha.any(0))[0]
    if rows.size == 0:
        return background
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    at = partial(_magnified, to_canvas=to_canvas, area=area)
    product = lit(colours[area], at(light.gain), None if light.shift is None else at(light.shift))
    if light.cast is not None:
        product = tinted(product, at(light.cast), light.shift_max)
    image = background.copy()
    under = background[area].astype(np.float32)
    mixed = under + (product - under) * alpha[area][..., None]
    image[area] = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return image


def _magnified(plane: Plane, to_canvas: CoverMap, area: tuple[slice, slice]) -> Plane:
    """A native map, bilinear, on a part of the canvas."""
    rows, columns = area
    scale = to_canvas.scale
    # Pixel centres: native = (canvas + 0.5 + offset) / scale - 0.5.
    matrix = np.array(
        [
            [1 / scale, 0, (columns.start + 0.5 + to_canvas.offset_x) / scale - 0.5],
            [0, 1 / scale, (rows.start + 0.5 + to_canvas.offset_y) / scale - 0.5],
        ]
    )
    magnified = cv2.warpAffine(
        plane,
        matrix,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(magnified, np.float32)


def _size(picture: Rgb) -> Size:
    return Size(picture.shape[1], picture.shape[0])
