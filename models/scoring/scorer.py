"""The scorer: raw renders and finished images in, `Scores` out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adloom.errors import MaskError
from adloom.geometry import Box, Size
from adloom.imaging.arrays import Mask, Rgb
from adloom.imaging.measures import clipping, coverage, growth, sharpness
from adloom.imaging.views import product_views
from adloom.imaging.warp import placed_mask
from adloom.scores import Metric, Scores, Stage
from models.scoring.identity import VIEW_PX, IdentityNetwork
from models.scoring.safety import SafetyClassifier

SCORER_VERSION = "1"
"""Raised by hand when the same weights give other scores."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture to score, and the cutout that it should show.

    `picture`: (H, W, 3) a raw render or a finished image; `photo`, `mask`, `bbox`: the cutout, in
    photo px; `box`: where the product was placed, in px of the picture; `own_mask`: (H, W) the
    product that the picture itself shows, as an extractor sees it.
    """

    picture: Rgb
    photo: Rgb
    mask: Mask
    bbox: Box
    box: Box
    own_mask: Mask | None = None


class Scorer:
    """Loaded once per worker. Not safe for use by several threads at once."""

    def __init__(self, identity: IdentityNetwork, safety: SafetyClassifier) -> None:
        self._identity, self._safety = identity, safety
        self.revision = _revision(identity.weights, safety.weights)

    @classmethod
    def load(cls, *, device: str = "cpu", threads: int | None = None) -> "Scorer":
        """`device`: of the identity network; `threads`: of the safety classifier, which runs on
        the CPU. The number of torch's threads is the caller's to set. Raises ModelError."""
        return cls(IdentityNetwork().to(torch.device(device)), SafetyClassifier(threads))

    def score_render(
        self, raw: Rgb, photo: Rgb, mask: Mask, bbox: Box, native_box: Box, render_mask: Mask
    ) -> Scores:
        """The `model.*` scores of one raw render; see `score_renders`."""
        return self.score_renders([Sample(raw, photo, mask, bbox, native_box, render_mask)])[0]

    def score_final(
        self, finished: Rgb, photo: Rgb, mask: Mask, bbox: Box, canvas_box: Box
    ) -> Scores:
        """The `final.*` scores of one finished image; see `score_finals`."""
        return self.score_finals([Sample(finished, photo, mask, bbox, canvas_box)])[0]

    def score_renders(self, samples: Sequence[Sample]) -> list[Scores]:
        """`model.*`: identity, growth, coverage, sharpness, clipping of raw renders.

        Raises MaskError where a sample has no `own_mask`, or one of another size.
        """
        return [
            self._scores(Stage.MODEL, sample, identity, _shape_scores(sample))
            for sample, identity in zip(samples, self.identities(samples), strict=True)
        ]

    def score_finals(self, samples: Sequence[Sample]) -> list[Scores]:
        """`final.*`: identity, sharpness, clipping, safety of finished images."""
        safe = self._safety.safe([s.picture for s in samples])
        return [
            self._scores(Stage.FINAL, sample, identity, {Metric.SAFETY: safety})
            for sample, identity, safety in zip(
                samples, self.identities(samples), safe, strict=True
            )
        ]

    def identities(self, samples: Sequence[Sample]) -> list[float]:
        """Cosine in -1..1 between the product in each picture and in its photo; 1 for a copy."""
        if not samples:
            return []
        views = [
            view
            for s in samples
            for view in product_views(s.picture, s.photo, s.mask, s.bbox, s.box, VIEW_PX)
        ]
        features = self._identity.features(views)
        return [float(a @ b) for a, b in zip(features[0::2], features[1::2], strict=True)]

    def _scores(
        self, stage: Stage, sample: Sample, identity: float, more: dict[Metric, float]
    ) -> Scores:
        values = {
            Metric.IDENTITY: identity,
            Metric.SHARPNESS: sharpness(sample.picture),
            Metric.CLIPPING: clipping(sample.picture),
            **more,
        }
        return Scores(stage, self.revision, {metric.value: v for metric, v in values.items()})


def _shape_scores(sample: Sample) -> dict[Metric, float]:
    size = Size(sample.picture.shape[1], sample.picture.shape[0])
    if sample.own_mask is None or sample.own_mask.shape != (size.height, size.width):
        found = None if sample.own_mask is None else sample.own_mask.shape
        raise MaskError(
            f"a {size.width}×{size.height} render with a product mask of shape {found}",
            hint="extract the render's own product mask at the render's size",
        )
    placed = placed_mask(sample.mask, sample.bbox, sample.box, size)
    return {
        Metric.GROWTH: growth(sample.own_mask, placed, sample.box),
        Metric.COVERAGE: coverage(sample.own_mask, placed),
    }


def _revision(*weights: Path) -> str:
    digest = hashlib.sha256(SCORER_VERSION.encode())
    for path in weights:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{SCORER_VERSION}-{digest.hexdigest()[:12]}"
