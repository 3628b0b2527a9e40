"""All measures of renders of held-out samples, beside what is above and below them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.segmentation import MaskExtractor
from training.judging.detail import scene_detail
from training.judging.frechet import Features, frechet_interval
from training.judging.heldout import Truth
from training.judging.hub import Measure
from training.judging.lite0 import FEATURE_SCALE, Lite0, share_of_overlap, views_of
from training.judging.scene_classifier import SceneClassifier
from training.judging.statistics import Interval, kernel_interval, mean_interval

Picture = NDArray[np.uint8]
KID: Final = "KID-EffLite0"


@dataclass(frozen=True, slots=True)
class Judges:
    """The networks that judge. scenes: by what they tell (`surface`, `light`); hub: measures of
    one picture by name; inception: FID's features, where they are asked for."""

    lite0: Lite0
    extractor: MaskExtractor
    scenes: dict[str, SceneClassifier] = field(default_factory=dict)
    hub: dict[str, Measure] = field(default_factory=dict)
    inception: Features | None = None


def measure(
    judges: Judges, truths: Sequence[Truth], renders: Sequence[Sequence[Picture]]
) -> dict[str, Interval]:
    """Every measure of the renders (seeds, samples), by its name."""
    of_seeds = [per_sample(judges, truths, made) for made in renders]
    names = of_seeds[0].keys()
    found = {name: mean_interval([values[name] for values in of_seeds]) for name in names}
    (true_features,) = whole_features(judges, [[t.ad for t in truths]])
    found[KID] = kernel_interval(whole_features(judges, renders), true_features)
    if judges.inception is not None:
        true = judges.inception([t.ad for t in truths])
        found["FID"] = frechet_interval([judges.inception(one) for one in renders], true)
    return found


def whole_features(
    judges: Judges, renders: Sequence[Sequence[Picture]]
) -> list[NDArray[np.float64]]:
    """What KID compares of whole pictures (seeds, samples): EfficientNet-Lite0's features (N, D) of
    each seed, of length FEATURE_SCALE."""
    return [FEATURE_SCALE * judges.lite0.features(one) for one in renders]


def per_sample(
    judges: Judges, truths: Sequence[Truth], made: Sequence[Picture]
) -> dict[str, list[float]]:
    """Every measure that one sample has by itself: name -> a value for each."""
    lite0 = judges.lite0
    pairs = [views_of(p, t.ad, t.mask) for p, t in zip(made, truths, strict=True)]
    shown, original = (lite0.features([pair[k] for pair in pairs]) for k in (0, 1))
    alike = shown @ original.T
    outlines = [judges.extractor.extract(p).mask for p in made]
    found = {
        "identity": np.diag(alike).tolist(),
        "retrieval@1": (alike.argmax(1) == np.arange(len(alike))).astype(float).tolist(),
        "matched-patch": [lite0.patch_distance(*pair) for pair in pairs],
        "mask IoU": [share_of_overlap(o, t.mask) for o, t in zip(outlines, truths, strict=True)],
    }
    masks = [t.mask for t in truths]
    for what, classifier in judges.scenes.items():
        asked = [t.shown[what] for t in truths]
        found[f"scene: {what}"] = classifier.top1(lite0, made, masks, asked)
    found["scene: detail"] = [
        scene_detail(p, t.ad, np.maximum(o, t.mask))
        for p, o, t in zip(made, outlines, truths, strict=True)
    ]
    for name, scored in judges.hub.items():
        found[name] = scored(made, truths)
    return found
