"""The photo studio: a product on a white sweep, lit by softboxes, as an 8-bit packshot."""

from __future__ import annotations  # mitsuba's types exist once a variant is chosen

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from training.rendering.surfaces import Array, grid
from training.rendering.tone import encoded
from training.rendering.tracing import (
    Part,
    Shot,
    View,
    camera_for,
    coverage,
    on_the_set,
    render,
    shapes_of,
    vertices_of,
    write_ply,
)

from .developing import COVERED, exposed, floor_shade, smooth_light


@dataclass(frozen=True, slots=True)
class Quality:
    """Side of the square picture in px, samples per pixel, bounces of light."""

    size_px: int = 900
    samples: int = 32
    max_depth: int = 8


_FLOOR_ALBEDO = 0.82
# (position, width, height, radiance): all aim at the product, which is about 2 units large
_SOFTBOXES = (
    ((-4.2, -3.0, 3.6), 3.0, 3.6, 6.5),  # key
    ((4.6, -1.6, 2.2), 1.6, 4.2, 4.0),  # fill, a strip whose reflection draws the right edge
    ((0.0, 0.8, 6.0), 4.5, 4.0, 3.2),  # top
)


def photograph(parts: Iterable[Part], view: View, quality: Quality) -> NDArray[np.uint8]:
    """The packshot, (size, size, 3) sRGB; the background is pure white but for the shadow.

    Only the product is rendered at full size: the floor's soft shadow needs a third of it.
    """
    size = quality.size_px
    stood = on_the_set(list(parts), view)
    camera = camera_for(vertices_of(stood), view)
    with TemporaryDirectory() as folder:
        product = shapes_of(stood, Path(folder))
        floor = _floor(Path(folder) / "floor.ply")
        depth = quality.max_depth
        empty = render(floor, Shot(camera, size // 6), 32, depth)
        mask = coverage(product, Shot(camera, size))
        small = Shot(camera, size // 3)
        shadow = floor_shade(
            render({**floor, **product}, small, 32, depth) / smooth_light(empty, small.size_px),
            coverage(product, small),
            size,
        )
        shot = Shot(camera, size, _bounds(mask))
        lit = render({**floor, **product}, shot, quality.samples, depth)
    x, y, width, height = shot.window
    relative = np.repeat(shadow[..., None], 3, axis=2)
    inside = relative[y : y + height, x : x + width]
    light = lit / smooth_light(empty, size)[y : y + height, x : x + width]
    covered = mask[y : y + height, x : x + width, None] > COVERED
    inside[...] = np.where(covered, exposed(light), inside)
    return encoded(relative)


def _floor(path: Path) -> dict[str, Any]:
    """A white sweep: floor, curve, wall; lit by softboxes and a soft surrounding light."""
    bend = np.linspace(0.0, np.pi / 2, 48)
    y = np.concatenate([[-40.0, -8.0], 9 + 9 * np.sin(bend), [18.0]])
    z = np.concatenate([[0.0, 0.0], 9 - 9 * np.cos(bend), [40.0]])
    x = np.linspace(-40.0, 40.0, 3)
    points = np.stack(np.broadcast_arrays(x[None, :], y[:, None], z[:, None]), axis=-1)
    write_ply(grid(points, points[..., :2]), path)
    white = {"type": "rgb", "value": _FLOOR_ALBEDO}
    shape = {
        "type": "ply",
        "filename": str(path),
        "bsdf": {"type": "diffuse", "reflectance": white},
    }
    around = {"type": "constant", "radiance": {"type": "rgb", "value": 0.55}}
    boxes = {f"softbox{k}": _softbox(*box) for k, box in enumerate(_SOFTBOXES)}
    return {"sweep": shape, "around": around, **boxes}


def _softbox(
    position: tuple[float, float, float], width: float, height: float, radiance: float
) -> dict[str, Any]:
    aim = mi.ScalarTransform4f().look_at(
        origin=list(position), target=[0.0, 0.0, 0.9], up=[0.0, 0.01, 1.0]
    )
    size = mi.ScalarTransform4f().scale([width / 2, height / 2, 1.0])
    light = {"type": "area", "radiance": {"type": "rgb", "value": radiance}}
    return {"type": "rectangle", "to_world": aim @ size, "light": light}


def _bounds(mask: Array, margin: int = 2) -> tuple[int, int, int, int]:
    """The window (x, y, w, h) of what is covered."""
    y, x = np.nonzero(mask > COVERED)
    left, top = max(int(x.min()) - margin, 0), max(int(y.min()) - margin, 0)
    right, bottom = min(x.max() + margin, mask.shape[1]), min(y.max() + margin, mask.shape[0])
    return left, top, int(right) - left, int(bottom) - top
