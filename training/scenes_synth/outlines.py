"""Drawing tools for products that are drawn as silhouettes with panels, seams and holes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import cv2
import numpy as np

from training.scenes_synth.fields import F32, blobs, f32, fractal
from training.scenes_synth.palette import Colour
from training.scenes_synth.relief import SIZE, Relief, inflate, normals
from training.scenes_synth.scale import PX

Points: TypeAlias = Sequence[tuple[float, float]]


def smooth(points: Points, closed: bool = True, steps: int = 8) -> F32:
    """A Catmull-Rom curve through the points, (N * steps, 2)."""
    p = np.asarray(points, np.float32)
    n = len(p)
    order = np.arange(n if closed else n - 1)
    at = (lambda k: p[k % n]) if closed else (lambda k: p[np.clip(k, 0, n - 1)])
    p0, p1, p2, p3 = at(order - 1), at(order), at(order + 1), at(order + 2)
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[None, :, None]
    p0, p1, p2, p3 = (q[:, None] for q in (p0, p1, p2, p3))
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )  # fmt: skip
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


INSET: Final = 0.92  # of the square that unit coordinates span; the rest is room to turn in


def _pixels(points: F32 | Points) -> F32:
    """Unit coordinates as OpenCV's fixed-point pixels (4 fractional bits)."""
    inner = (f32(points) - 0.5) * INSET + 0.5
    return np.round(inner * SIZE * 16).astype(np.int32)


@dataclass(slots=True)
class Drawing:
    """A picture under construction: colour, coverage and height, in unit coordinates [0, 1]."""

    albedo: F32 = field(default_factory=lambda: np.zeros((SIZE, SIZE, 3), np.float32))
    alpha: F32 = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.float32))
    height: F32 = field(default_factory=lambda: np.zeros((SIZE, SIZE), np.float32))

    @staticmethod
    def mask(points: F32 | Points) -> F32:
        """Coverage (S, S) of a closed polygon."""
        cover = np.zeros((SIZE, SIZE), np.uint8)
        pixels = _pixels(points)
        cv2.fillPoly(cover, [pixels], 255, cv2.LINE_AA, 4)
        return cover.astype(np.float32) / 255

    def body(self, points: F32 | Points, paint: F32 | Colour, bulge: float = 0.1) -> F32:
        """A new part laid over the others: it adds to the silhouette and swells by `bulge`."""
        cover = self.mask(points)
        self._lay(cover, paint)
        self.alpha = np.maximum(self.alpha, cover)
        swell = inflate(cover, max(2.0 * PX, bulge * SIZE))
        self.height = np.where(cover > 0.5, np.maximum(swell, 0.4 * self.height + swell * 0.7),
                               self.height)  # fmt: skip
        return cover

    def panel(
        self, points: F32 | Points, paint: F32 | Colour, within: F32, raised: float = 1.0
    ) -> F32:
        """A patch on a part: stays inside `within`, stands out by `raised` px at a scale of 1."""
        cover = self.mask(points) * within
        self._lay(cover, paint)
        self.height = self.height + raised * PX * cv2.GaussianBlur(cover, (0, 0), 1.0 * PX)
        return cover

    def line(
        self, points: F32 | Points, colour: Colour, width: float, within: F32 | None = None,
        sunk: float = 0.8,
    ) -> None:  # fmt: skip
        """A line or seam `width` px wide; pressed in by `sunk` px (negative: a cord)."""
        cover = np.zeros((SIZE, SIZE), np.uint8)
        pixels = _pixels(points)
        cv2.polylines(cover, [pixels], False, 255, max(1, round(width * PX)), cv2.LINE_AA, 4)
        ink = cover.astype(np.float32) / 255 * min(1.0, width * PX)
        if within is None:
            self.alpha = np.maximum(self.alpha, ink)
        else:
            ink = ink * within
        self._lay(ink, colour)
        self.height = self.height - sunk * PX * cv2.GaussianBlur(ink, (0, 0), 0.8 * PX)

    def hole(self, points: F32 | Points) -> None:
        """Cuts a hole through everything."""
        cover = self.mask(points)
        self.alpha = self.alpha * (1 - cover)

    def crumple(self, rng: np.random.Generator, depth: float, stretch: tuple[float, float]) -> None:
        """Folds, as in cloth, up to `depth` px deep."""
        folds = fractal(rng, 128, 4.3, stretch)
        folds = cv2.resize(folds, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        self.height = self.height + 2.4 * PX * depth * folds

    def relief(self, gloss: float, metal: float = 0.0, strength: float = 1.0) -> Relief:
        """The finished drawing."""
        return Relief(self.albedo, normals(self.height, strength), self.alpha, gloss, metal)

    def _lay(self, cover: F32, paint: F32 | Colour) -> None:
        rows = np.flatnonzero(cover.any(1))
        if len(rows) == 0:
            return
        band = slice(rows[0], rows[-1] + 1)  # most parts are small: leave the rest untouched
        target = np.asarray(paint, np.float32)
        target = target[band] if target.ndim == 3 and len(target) > 1 else target
        self.albedo[band] += cover[band, :, None] * (target - self.albedo[band])


def weave(rng: np.random.Generator, strength: float = 0.05) -> F32:
    """A fine cloth grain (S, S, 1) around 1 to multiply a colour with."""
    grain = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.7 * PX) * (strength * PX)
    return (1 + grain + 0.06 * (blobs(rng, SIZE, SIZE, 6) - 0.5))[..., None]


def jittered(rng: np.random.Generator, points: Points, amount: float = 0.015) -> Points:
    """The points, each moved a little: no two products have the same outline."""
    moved = np.asarray(points, np.float32) + rng.normal(0, amount, (len(points), 2))
    return [(float(x), float(y)) for x, y in moved]


def mirrored(points: Points) -> Points:
    """Closes a left half (from top to bottom) with its mirror image about x = 0.5."""
    return [*points, *[(1 - x, y) for x, y in reversed(points)]]
