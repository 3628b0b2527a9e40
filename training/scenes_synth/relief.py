"""A product seen from one side, as a relief: colour, normal and coverage of every pixel.

Every product renderer gives a `Relief`; `shade` lights it, so the same product can stand in
soft studio light in its catalogue picture and in the scene's light in the ad.
Axes: x right, y down, z towards the camera.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import F32, blur, f32
from training.scenes_synth.scale import PX

DEEPEST: Final = 14 * PX  # px, parallax of the nearest and farthest parts when a relief turns
SIZE: Final = 176 * PX  # px, side of the square every product is rendered in


@dataclass(frozen=True, slots=True)
class Light:
    """A key light and its surroundings, as multipliers of a surface's colour."""

    direction: tuple[float, float, float]  # towards the light
    key: tuple[float, float, float]
    ambient: tuple[float, float, float]
    bounce: tuple[float, float, float]  # what comes back from the ground


STUDIO: Final = Light(
    (-0.35, -0.6, 0.72), (0.56, 0.56, 0.56), (0.53, 0.53, 0.53), (0.14, 0.14, 0.14)
)


@dataclass(frozen=True, slots=True)
class Relief:
    """albedo (S, S, 3), normal (S, S, 3) of unit length, alpha (S, S), all float32."""

    albedo: F32
    normal: F32
    alpha: F32
    gloss: float  # 0 matte .. 1 mirror-like highlight
    metal: float  # 0 dielectric .. 1 metal


def shade(relief: Relief, light: Light) -> F32:
    """Premultiplied RGBA (S, S, 4) in [0, 1] of the relief in that light."""
    out = np.zeros((*relief.alpha.shape, 4), np.float32)
    rows, cols = np.flatnonzero(relief.alpha.any(1)), np.flatnonzero(relief.alpha.any(0))
    if len(rows) == 0:
        return out
    box = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    alpha = relief.alpha[box][..., None]
    rgb = _lit(relief.albedo[box], relief.normal[box], relief, light)
    out[box] = np.concatenate([np.clip(rgb, 0, 1) * alpha, alpha], axis=-1)
    return out


def _lit(albedo: F32, n: F32, relief: Relief, light: Light) -> F32:
    """Colour (h, w, 3) of surface points: soft Lambert, ambient from above, gloss and metal."""
    direction = np.asarray(light.direction, np.float32)
    direction = direction / np.linalg.norm(direction)
    key, ambient = f32(light.key), f32(light.ambient)
    diffuse = np.clip((n @ direction + 0.25) * 0.8, 0, 1)[..., None]
    up = (0.5 - 0.5 * n[..., 1])[..., None]
    # ambient * (0.72 + 0.36 up) + bounce * (1 - up), with the terms in `up` gathered
    bounce = f32(light.bounce)
    colour = (0.72 * ambient + bounce) + (0.36 * ambient - bounce) * up + key * diffuse
    colour = albedo * colour
    if relief.metal > 0:
        sky = 0.5 - 0.5 * np.sin(5.5 * n[..., 1] + 3.0 * n[..., 0])
        tint = (0.25 + 1.05 * sky)[..., None] * (key + ambient)
        colour += relief.metal * (albedo * tint - colour)
    if relief.gloss > 0:
        half = direction + f32([0, 0, 1])
        half /= np.linalg.norm(half)
        # exp(p (x - 1)) is the highlight x**p near its peak, and cheaper
        shine = np.exp((6 + 70 * relief.gloss) * (np.minimum(n @ half, 1) - 1))
        rim = (1 - np.clip(n[..., 2], 0, 1)) ** 3
        colour += relief.gloss * (1.05 * shine[..., None] * key + 0.18 * rim[..., None] * ambient)
    return colour


def normals(height: F32, strength: float = 1.0) -> F32:
    """Unit normals (S, S, 3) of a height field in px."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=strength / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=strength / 8)
    n = np.dstack([-gx, -gy, np.ones_like(gx)])
    return n / np.sqrt((n * n).sum(-1, keepdims=True))


def inflate(alpha: F32, roundness: float) -> F32:
    """Height in px of a silhouette blown up like a cushion; edges fall off over `roundness` px."""
    inside = np.pad((alpha > 0.5).astype(np.uint8), 1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    t = np.clip(distance / roundness, 0, 1)
    return blur(np.sqrt(np.clip(1 - (1 - t) ** 2, 0, 1)) * roundness, 1.2 * PX)


def turned(relief: Relief, height: F32, yaw: float) -> Relief:
    """The relief seen after turning it by `yaw` radians about its upright axis.

    Near parts move further than far ones; what would come into sight at the sides is
    continued from the edge, which is right for a few degrees.
    """
    if abs(yaw) < 1e-3:
        return relief
    size = relief.alpha.shape[0]
    xs = np.arange(size, dtype=np.float32)[None, :] - (size - 1) / 2
    inside = relief.alpha > 0.5
    middle = float(height[inside].mean()) if inside.any() else 0.0
    depth = np.clip(height - middle, -DEEPEST, DEEPEST)
    map_x = f32(xs / np.cos(yaw) + depth * np.sin(yaw) + (size - 1) / 2)
    map_y = np.broadcast_to(np.arange(size, dtype=np.float32)[:, None], map_x.shape).copy()
    albedo = cv2.remap(relief.albedo, map_x, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    normal = cv2.remap(relief.normal, map_x, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    alpha = cv2.remap(relief.alpha, map_x, map_y, cv2.INTER_LINEAR)
    spin = f32([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    return Relief(albedo, normal @ spin.T, alpha, relief.gloss, relief.metal)
