"""The same product on a turntable: what a photo and its turned views look like in truth."""

from __future__ import annotations  # mitsuba's types exist once a variant is chosen

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from training.rendering.surfaces import Array
from training.rendering.tracing import (
    Part,
    Shot,
    View,
    camera_for,
    coverage,
    on_the_set,
    shapes_of,
    vertices_of,
)


def silhouettes(
    parts: Iterable[Part], view: View, size_px: int, yaws_deg: Sequence[float]
) -> list[Array]:
    """How much of each pixel the product covers, (size, size) in [0, 1], turned by each further
    yaw before the camera that photographs `view`. The camera does not follow."""
    stood = on_the_set(list(parts), view)
    camera = camera_for(vertices_of(stood), view)
    found: list[Array] = []
    for yaw_deg in yaws_deg:
        with TemporaryDirectory() as folder:
            turned = [Part(p.mesh.turned("z", yaw_deg), p.material) for p in stood]
            shapes = shapes_of(turned, Path(folder))
            found.append(coverage(shapes, Shot(camera, size_px)))
    return found
