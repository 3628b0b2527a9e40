"""The same product on a turntable: what a photo and its turned views look like in truth."""

from __future__ import annotations  # mitsuba's types exist once a variant is chosen

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .studio import Part, Shot, View, camera_for, coverage, on_the_set, shape_of
from .surfaces import Array


def silhouettes(
    parts: Iterable[Part], view: View, size_px: int, yaws_deg: Sequence[float]
) -> list[Array]:
    """How much of each pixel the product covers, (size, size) in [0, 1], turned by each further
    yaw before the camera that photographs `view`. The camera does not follow."""
    stood = on_the_set(list(parts), view)
    camera = camera_for(np.concatenate([p.mesh.vertices for p in stood]), view)
    found: list[Array] = []
    for yaw_deg in yaws_deg:
        with TemporaryDirectory() as folder:
            shapes = {
                f"part{k}": shape_of(
                    Part(part.mesh.turned("z", yaw_deg), part.material),
                    Path(folder) / f"part{k}.ply",
                )
                for k, part in enumerate(stood)
            }
            found.append(coverage(shapes, Shot(camera, size_px)))
    return found
