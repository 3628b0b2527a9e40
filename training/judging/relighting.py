"""How far a model's light on a product is to be trusted: against path-traced light."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adloom.errors import MaskError
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import Size
from adloom.imaging.finishing import agreement_of, shown_in_both
from adloom.imaging.light import light_of
from adloom.imaging.warp import placed_mask, placed_photo
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.judging.heldout import Truth, box_in_frame, outline_of

Picture = NDArray[np.uint8]
WIDEST: Final = (0.2, 5.0)
"""Bounds of a gain that is measured, not used; the photo's headroom bounds both sides alike."""

LEAST_AGREEMENT: Final = FinishingSpec(1, 1).min_agreement


def light_slopes(
    raws: Sequence[Picture], truths: Sequence[Truth], extractor: MaskExtractor
) -> dict[str, float]:
    """Slopes of the true ads' light on the renders', least squares through the origin: `level` of
    the mean logarithm of a product's gain over its photo, `shape` of what differs from it from
    place to place (`adloom.imaging.light.Trust`). NaN where no render shows its product."""
    sums = {"level": np.zeros(2), "shape": np.zeros(2)}
    for raw, truth in zip(raws, truths, strict=True):
        try:
            drawn, true = _gains(raw, truth, extractor)
        except MaskError:
            continue
        sums["level"] += drawn.mean() * np.array([true.mean(), drawn.mean()])
        deviation = drawn - drawn.mean()
        sums["shape"] += (deviation * (true - true.mean())).mean(), (deviation**2).mean()
    return {name: float(xy / xx) if xx else float("nan") for name, (xy, xx) in sums.items()}


def _gains(
    raw: Picture, truth: Truth, extractor: MaskExtractor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) logarithms of the gain over the photo where the product is seen, in the render and in
    the true ad. MaskError where the render shows no such product at its place."""
    outline = outline_of(truth)
    bbox = bounding_box(outline)
    size = Size(raw.shape[1], raw.shape[0])
    box = box_in_frame(truth, bbox)
    own = extractor.extract(raw).mask
    if agreement_of(own, placed_mask(outline, bbox, box, size)) < LEAST_AGREEMENT:
        raise MaskError("the render shows no such product at its place")
    colours, alpha = placed_photo(truth.reference, outline, bbox, box, size)
    weight = shown_in_both(own, alpha)
    low, high = WIDEST
    lights = (
        light_of(p, colours, weight, gain_min=low, gain_max=high, shift_max=0.0)
        for p in (raw, truth.ad)
    )
    drawn, true = (np.log(light.gain[weight > 0].astype(np.float64)) for light in lights)
    return drawn, true
