"""Masks against their truth: plain u2netp and adloom's extractor on the same pictures, in turns.

    python -m benchmarks.masks --catalogue FOLDER [--products 48] [--threads 1]

The catalogue is a folder with `images/*.jpg` on white and `alpha/*.png`, their true alpha. Each
product is shown as delivered (on white) and laid over grey, wood, textile and a gradient, all made
here. `plain u2netp` is the network used as its authors and rembg do: squeezed to 320² by Lanczos,
stretched to 0..1, scaled back, cut at one half; its confidence is its mean saliency inside.

AUROC asks how well the confidence tells the masks below an IoU from the others (0.5: not at all).
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.segmentation import MaskExtractor
from models.segmentation.grabcut import iou
from models.segmentation.saliency import Saliency, installed_weights

TOLERANCE = 0.002
"""Of the boundary F-score, as a share of the photo's diagonal: 3 px at 1024²."""

Bool = NDArray[np.bool_]
Rgb = NDArray[np.uint8]
Float = NDArray[np.float32]


def _noise(rng: np.random.Generator, side: int, grain: int) -> Float:
    small = rng.normal(0, 1, (side // grain + 2, side // grain + 2)).astype(np.float32)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def grey(rng: np.random.Generator, side: int) -> Float:
    return np.full((side, side, 3), rng.integers(90, 200), np.float32)


def gradient(rng: np.random.Generator, side: int) -> Float:
    first, last = rng.uniform(40, 250, (2, 3))
    ramp = np.linspace(0, 1, side)
    t = ramp[:, None] * rng.uniform(0.3, 1) + ramp[None] * rng.uniform(0, 0.6)
    return (first + (last - first) * t.clip(0, 1)[..., None]).astype(np.float32)


def wood(rng: np.random.Generator, side: int) -> Float:
    y, x = np.mgrid[:side, :side].astype(np.float32)
    rings = np.sin(
        (y + 30 * _noise(rng, side, 96) + 2 * _noise(rng, side, 12)) / rng.uniform(7, 16)
    )
    fibre = cv2.resize(rng.normal(0, 1, (side, side // 32 + 1)).astype(np.float32), (side, side))
    plank = float(rng.integers(180, 300))
    tone = rng.uniform(-18, 18, int(side // plank) + 1)[(x // plank).astype(int)]
    value = 10 * rings + 7 * fibre + tone - 40 * (x % plank < 2)
    base = rng.choice([[150, 108, 70], [190, 150, 105], [110, 74, 46]])
    return np.float32(base) + value[..., None] * np.float32([1, 0.85, 0.7])


def textile(rng: np.random.Generator, side: int) -> Float:
    y, x = np.mgrid[:side, :side].astype(np.float32)
    thread = 2 * np.pi / rng.uniform(4, 9)
    weave = 14 * np.sin(x * thread) * np.sin(y * thread)
    value = weave + 6 * _noise(rng, side, 3) + 14 * _noise(rng, side, 120)
    return np.float32(rng.uniform(50, 210, 3)) + value[..., None]


GROUNDS: dict[str, Callable[[np.random.Generator, int], Float] | None] = {
    "white": None, "grey": grey, "wood": wood, "textile": textile, "gradient": gradient,
}  # fmt: skip


def cases(folder: Path, products: int) -> Iterator[tuple[str, Rgb, Bool]]:
    """Ground, picture (S, S, 3) and true mask of each product on each ground."""
    for i, file in enumerate(sorted((folder / "alpha").glob("*.png"))[:products]):
        alpha = np.asarray(Image.open(file).convert("L"), np.float32)[..., None] / 255
        photo = Image.open(folder / "images" / f"{file.stem}.jpg").convert("RGB")
        white = np.asarray(photo, np.float32)
        front = np.where(alpha > 0.02, (white - 255 * (1 - alpha)) / np.maximum(alpha, 0.02), white)
        for j, (ground, paint) in enumerate(GROUNDS.items()):
            shown = white
            if paint is not None:
                behind = paint(np.random.default_rng(1000 * i + j), alpha.shape[0]).clip(0, 255)
                shown = front.clip(0, 255) * alpha + behind * (1 - alpha)
            yield ground, np.round(shown).clip(0, 255).astype(np.uint8), alpha[..., 0] >= 0.5


class PlainU2netp:
    """The network alone."""

    def __init__(self, threads: int) -> None:
        self._network = Saliency(installed_weights(), threads)

    def __call__(self, rgb: Rgb) -> tuple[Bool, float]:
        side = (320, 320)
        small = np.asarray(Image.fromarray(rgb).resize(side, Image.Resampling.LANCZOS))
        found = self._network(small)
        stretched = (found - found.min()) / max(float(np.ptp(found)), 1e-6)
        size = (rgb.shape[1], rgb.shape[0])
        picture = Image.fromarray((stretched * 255).astype(np.uint8))
        mask = np.asarray(picture.resize(size, Image.Resampling.LANCZOS)) >= 128
        inside = stretched[stretched >= 0.5]
        return mask, float(inside.mean()) if inside.size else 0.0


class Ours:
    def __init__(self, threads: int) -> None:
        self._extractor = MaskExtractor.load(threads=threads)
        self.version = self._extractor.version

    def __call__(self, rgb: Rgb) -> tuple[Bool, float]:
        found = self._extractor.extract(rgb)
        return found.mask >= 128, found.confidence


@dataclass
class Column:
    """What one contender did: per picture its ground, IoU, boundary F, confidence, ms."""

    grounds: list[str] = field(default_factory=list[str])
    ious: list[float] = field(default_factory=list[float])
    boundaries: list[float] = field(default_factory=list[float])
    confidences: list[float] = field(default_factory=list[float])
    ms: list[float] = field(default_factory=list[float])

    def add(self, ground: str, mask: Bool, truth: Bool, confidence: float, ms: float) -> None:
        self.grounds.append(ground)
        self.ious.append(iou(mask, truth))
        self.boundaries.append(boundary_f(mask, truth))
        self.confidences.append(confidence)
        self.ms.append(ms)

    def summary(self) -> dict[str, float | None]:
        found = np.array(self.ious)
        on = {
            g: round(
                float(np.mean([v for v, h in zip(self.ious, self.grounds, strict=True) if h == g])),
                4,
            )
            for g in dict.fromkeys(self.grounds)
        }
        return {
            "mean_iou": round(float(found.mean()), 4),
            "p10_iou": round(float(np.percentile(found, 10)), 4),
            "boundary_f": round(float(np.mean(self.boundaries)), 4),
            "auroc_090": auroc(self.confidences, found >= 0.9),
            "auroc_098": auroc(self.confidences, found >= 0.98),
            "below_090": int((found < 0.9).sum()),
            "below_098": int((found < 0.98).sum()),
            "ms_median": round(float(np.median(self.ms)), 1),
            "ms_fastest_tenth": round(float(np.percentile(self.ms, 10)), 1),
            **{f"iou_{g}": v for g, v in on.items()},
        }


def boundary_f(mask: Bool, truth: Bool) -> float:
    """F-score of the outlines, a pixel right if the other outline is within the tolerance."""
    tolerance = TOLERANCE * float(np.hypot(*mask.shape))
    ours, theirs = _outline(mask), _outline(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = float((_distance(theirs)[ours] <= tolerance).mean())
    recall = float((_distance(ours)[theirs] <= tolerance).mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _outline(mask: Bool) -> Bool:
    plain = mask.astype(np.uint8)
    return plain - cv2.erode(plain, np.ones((3, 3), np.uint8)) > 0


def _distance(outline: Bool) -> Float:
    return np.asarray(cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, 5))


def auroc(confidences: list[float], good: Bool) -> float | None:
    """How often a good mask has the higher confidence of the two; None if all are good or bad."""
    values = np.array(confidences)
    above, below = values[good], values[~good]
    if not len(above) or not len(below):
        return None
    wins = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    return round(float(wins), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not (options.catalogue / "alpha").is_dir():
        raise SystemExit(
            f"{options.catalogue} has no alpha/: name a folder of images/*.jpg and alpha/*.png by "
            "--catalogue"
        )
    cv2.setNumThreads(options.threads)
    ours = Ours(options.threads)
    contenders = {"plain u2netp": PlainU2netp(options.threads), "ours": ours}
    columns = {name: Column() for name in contenders}
    for ground, rgb, truth in cases(options.catalogue, options.products):
        for name, contender in contenders.items():
            begun = time.perf_counter()
            mask, confidence = contender(rgb)
            ms = 1000 * (time.perf_counter() - begun)
            columns[name].add(ground, mask, truth, confidence, ms)
    found = {name: column.summary() for name, column in columns.items()}
    for key in found["ours"]:
        print(f"{key:18}", *(f"{found[name][key]!s:>14}" for name in found))
    print(json.dumps({
        "benchmark": "masks", "extractor": ours.version, "pictures": len(columns["ours"].ious),
        **found,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
