"""How far a model's light on a product is to be trusted: against path-traced light."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adloom.errors import MaskError
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import Size
from adloom.imaging.arrays import Plane
from adloom.imaging.finishing import agreement_of, shown_in_both
from adloom.imaging.light import WHOLE, light_of
from adloom.imaging.warp import placed_mask, placed_photo
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.judging.heldout import Truth, box_in_frame, outline_of

Picture = NDArray[np.uint8]
WIDEST: Final = (0.2, 5.0)
"""Bounds of a gain that is measured, not used; the photo's headroom bounds both sides alike."""

NO_LIGHT: Final = 1e-9
"""A sum of squares up to which it is rounding: grey products in neutral light have no cast."""

LEAST_AGREEMENT: Final = FinishingSpec(1, 1).min_agreement


def light_slopes(
    raws: Sequence[Picture], truths: Sequence[Truth], extractor: MaskExtractor
) -> dict[str, float]:
    """Slopes of the true ads' light on the renders', least squares through the origin: `level` of
    the mean logarithm of a product's gain over its photo, `shape` of what differs from it from
    place to place (`adloom.imaging.light.Trust`); `cast level` and `cast shape` of its colour. NaN
    where no render shows its product, or none has a cast."""
    sums = {name: np.zeros(2) for name in ("level", "shape", "cast level", "cast shape")}
    for raw, truth in zip(raws, truths, strict=True):
        try:
            drawn, true = _lights(raw, truth, extractor)
        except MaskError:
            continue
        for of, columns in (("", np.s_[:, :1]), ("cast ", np.s_[:, 1:])):
            found, wanted = drawn[columns], true[columns]
            mean = found.mean(axis=0)
            sums[f"{of}level"] += (mean * wanted.mean(axis=0)).sum(), (mean**2).sum()
            deviation = found - mean
            shared = deviation * (wanted - wanted.mean(axis=0))
            sums[f"{of}shape"] += shared.mean(axis=0).sum(), (deviation**2).mean(axis=0).sum()
    return {n: float(xy / xx) if xx > NO_LIGHT else float("nan") for n, (xy, xx) in sums.items()}


def _lights(
    raw: Picture, truth: Truth, extractor: MaskExtractor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 4) logarithms of the gain over the photo and of the cast where the product is seen, in
    the render and in the true ad. MaskError where the render shows no such product at its place."""
    outline = outline_of(truth)
    bbox = bounding_box(outline)
    size = Size(raw.shape[1], raw.shape[0])
    box = box_in_frame(truth, bbox)
    own = extractor.extract(raw).mask
    if agreement_of(own, placed_mask(outline, bbox, box, size)) < LEAST_AGREEMENT:
        raise MaskError("the render shows no such product at its place")
    colours, alpha = placed_photo(truth.reference, outline, bbox, box, size)
    weight = shown_in_both(own, alpha)
    drawn, true = (_logarithms(picture, colours, weight) for picture in (raw, truth.ad))
    return drawn, true


def _logarithms(picture: Picture, colours: Picture, weight: Plane) -> NDArray[np.float64]:
    low, high = WIDEST
    light = light_of(
        picture, colours, weight, gain_min=low, gain_max=high, shift_max=0.0, cast_trust=WHOLE
    )
    assert light.cast is not None
    planes = np.concatenate([light.gain[..., None], light.cast], axis=2)
    return np.log(planes[weight > 0].astype(np.float64))
