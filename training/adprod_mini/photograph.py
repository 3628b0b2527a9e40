"""A product in a scene, and the same product alone on white: the pictures of a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.adprod_mini.lights import Lighting, linear, softbox
from training.adprod_mini.stage import Stage
from training.rendering.surfaces import Array
from training.rendering.tone import encoded, shoulder
from training.rendering.tracing import (
    Part,
    Shot,
    View,
    aim_at,
    coverage,
    on_the_set,
    render,
    shapes_of,
    vertices_of,
)

Picture = NDArray[np.uint8]
DEPTH, THROUGH_GLASS = 3, 8
"""Bounces of light; what is seen through glass needs more."""

FILL: Final = 0.85  # of a reference picture: as `training.scenes_synth.canonical`
WHOLE: Final = 0.97
RIM_PX: Final = (5, 5)
LEAST_GAIN, MOST_GAIN = 0.45, 2.2


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture (H, W, 3) and how much of each pixel is the product's, (H, W), both 0..255."""

    picture: Picture
    mask: Picture


@dataclass(frozen=True, slots=True)
class Quality:
    """Samples of light per pixel: of the scene, and of the product on white. They are denoised:
    with twice as many a picture of 128 px looks the same and takes half as long again."""

    scene: int = 8
    alone: int = 4


def photograph(
    product: Sequence[Part], stage: Stage, lighting: Lighting, quality: Quality, seed: int
) -> Photo:
    """The ad. The product stands on z = 0 (`on_the_set`)."""
    with TemporaryDirectory() as folder:
        shapes = shapes_of(product, Path(folder))
        mask = coverage(shapes, stage.shot)
        scene = {
            **shapes,
            **shapes_of(stage.parts, Path(folder), "stage"),
            "backdrop": stage.backdrop,
            **lighting.emitters,
        }
        depth = THROUGH_GLASS if stage.holds_glass else DEPTH
        light = render(scene, stage.shot, quality.scene, depth, seed=seed)
    return Photo(encoded(_exposed(light, lighting.exposure)), _bytes(mask))


def portrait(
    parts: Sequence[Part], view: View, side_px: int, quality: Quality, seed: int, turn_light: float
) -> Photo:
    """The product alone on pure white, its box's longer side 0.85 of the square, centred.

    turn_light: degrees by which the studio's key light stands further round.
    """
    stood = on_the_set(list(parts), view)
    aim = aim_at(vertices_of(stood), View(0.0, view.elevation_deg, FILL))
    shot = Shot(aim.camera(), side_px)
    with TemporaryDirectory() as folder:
        shapes = shapes_of(stood, Path(folder))
        mask = coverage(shapes, shot)
        scene = {**shapes, **_studio(turn_light)}
        light = render(scene, shot, quality.alone, DEPTH, seed=seed, hide_emitters=True)
    colour = np.minimum(shoulder(0.95 * _to_the_edge(light, mask)), 1.0)
    alpha = np.where(mask < 0.01, 0.0, mask)[..., None]
    return Photo(encoded(colour * alpha + 1 - alpha), _bytes(mask))


def _to_the_edge(light: Array, mask: Array) -> Array:
    """The product's light continued from the pixels that it covers whole to those of its rim,
    where it is mixed with the dark ground."""
    whole = (mask > WHOLE).astype(np.float64)
    near = cv2.blur(whole, RIM_PX)
    inner = cv2.blur(light * whole[..., None], RIM_PX) / np.maximum(near, 1e-6)[..., None]
    of_rim = np.where(near[..., None] > 0, inner, light / np.maximum(mask, 0.05)[..., None])
    return np.where(whole[..., None] > 0, light, of_rim)


def _studio(turn_deg: float) -> dict[str, Any]:
    """Two softboxes and a bright room."""
    azimuth = np.radians(-42 + turn_deg)
    key = np.array([np.sin(azimuth) * 0.75, -np.cos(azimuth) * 0.75, 0.66])
    fill = key * np.array([-1.0, 1.0, 0.8])
    room = {"type": "constant", "radiance": {"type": "rgb", "value": 0.62}}
    return {
        "room": room,
        "key": softbox(key, 3.4, 1.15 * linear((0.78, 0.77, 0.75))),
        "fill": softbox(fill, 3.0, 0.5 * linear((0.76, 0.77, 0.78))),
    }


def _exposed(light: Array, mean: float) -> Array:
    """Brought near a mean luminance, highlights rolled off."""
    luminance = light @ np.array([0.2126, 0.7152, 0.0722])
    # A sun disc or a flame must not darken all the rest.
    level = float(np.minimum(luminance, np.quantile(luminance, 0.97)).mean())
    gain = float(np.clip(mean / max(level, 1e-6), LEAST_GAIN, MOST_GAIN))
    return np.minimum(shoulder(gain * light), 1.0)


def _bytes(share: Array) -> Picture:
    return np.clip(share * 255 + 0.5, 0, 255).astype(np.uint8)
