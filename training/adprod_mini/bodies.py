"""What the families of products share: bodies of revolution with a print, lids, boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from training.adprod_mini.brands import Brand, label
from training.rendering import artwork, materials
from training.rendering.surfaces import Mesh, fillet, joined, lathe, loft, rounded_box, squircle
from training.rendering.tracing import Part

ROUND = 96
"""Corners of a surface of revolution: enough for pictures of 256 px."""

Knots = Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Draw:
    """A product in the making. `rng` decides its shape; `art` its prints and finishes, so that
    products of one silhouette can be drawn."""

    rng: np.random.Generator
    art: np.random.Generator
    brand: Brand

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, odds: float) -> bool:
        return bool(self.rng.random() < odds)

    def print_on(self, width: int, height: int, seen: float = 1.0) -> Image.Image:
        return label(self.art, self.brand, width, height, seen)

    def coat(self, what: materials.Paint) -> dict[str, Any]:
        """A finish that printed things have."""
        kind = self.art.random()
        if kind < 0.35:
            return materials.satin(what, float(self.art.uniform(0.3, 0.6)))
        if kind < 0.7:
            return materials.glossy(what, float(self.art.uniform(0.08, 0.3)))
        return materials.matte(what)

    def trim(self) -> dict[str, Any]:
        """A finish of caps, lids and rings."""
        kind = self.art.random()
        if kind < 0.35:
            tone = str(self.art.choice(["#d8b470", "#d3d5d8", "#c98f6a", "#8f9296"]))
            return materials.metal(tone, float(self.art.uniform(0.15, 0.35)))
        if kind < 0.7:
            return materials.glossy(self.brand.second)
        return materials.satin(self.brand.second, 0.4)


def turned(knots: Knots, v_span: tuple[float, float] | None = None) -> Mesh:
    """The surface of revolution of (radius, z, rounding) knots."""
    return lathe(fillet(knots), v_span=v_span, around=ROUND)


def swept(knots: Knots, a: float, b: float, power: float, v_span: tuple[float, float]) -> Mesh:
    """The same of a superellipse of half axes a and b."""
    return loft(fillet(knots), squircle(a, b, power, 2 * ROUND), v_span=v_span)


def lid(radius: float, low: float, high: float, rounding: float = 0.12) -> Mesh:
    """A closed cylinder from `low` to `high`."""
    return turned(
        [(0, low, 0), (radius, low, rounding / 2), (radius, high, rounding), (0, high, 0)]
    )


def printed_body(draw: Draw, knots: Knots, low: float, high: float) -> Part:
    """A turned body that carries a print from `low` to `high`."""
    radius = max(k[0] for k in knots)
    height = round(1024 * (high - low) / (2 * np.pi * radius))
    art = draw.print_on(1024, int(np.clip(height, 160, 1400)), seen=0.3)
    return Part(turned(knots, (low, high)), draw.coat(art))


def printed_box(
    draw: Draw, width: float, depth: float, height: float, radius: float = 0.12
) -> list[Part]:
    """A carton: a print before and behind, a plainer one at the sides, one colour above."""
    faces = rounded_box(width, depth, height, min(radius, 0.45 * min(width, depth, height)))
    tall = int(np.clip(round(640 * height / width), 128, 1400))
    side = artwork.sheet(300, tall, draw.brand.main)
    side.rule((150, 0.5 * tall), 300, draw.brand.second, draw.between(0.1, 0.5) * tall)
    finish = draw.between(0.3, 0.7)
    return [
        Part(
            joined(faces["front"], faces["back"]),
            materials.satin(draw.print_on(640, tall), finish),
        ),
        Part(joined(faces["left"], faces["right"]), materials.satin(side.image, finish)),
        Part(joined(faces["top"], faces["bottom"]), materials.satin(draw.brand.main, finish)),
    ]


def whole_box(width: float, depth: float, height: float, radius: float) -> Mesh:
    """A rounded box as one mesh, standing on z = 0."""
    limit = 0.45 * min(width, depth, height)
    return joined(*rounded_box(width, depth, height, min(radius, limit)).values())
