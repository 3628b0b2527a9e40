"""Products with real depth: surfaces of revolution and boxes, from any side."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.scenes_synth.fields import F32, f32
from training.scenes_synth.palette import Colour
from training.scenes_synth.relief import SIZE, Relief
from training.scenes_synth.scale import PX

MARGIN = 5 * PX  # px left free around every product


@dataclass(frozen=True, slots=True)
class Turning:
    """A surface of revolution standing upright.

    profile (N,) radius from top to bottom in units of the height; texture (H, W, 3) once round;
    `tilt` is how far one looks down on it (sine of the angle); `top` the colour of the end
    one then sees, `well` that of an open inside (None: closed); `handle` (offset, height,
    thickness) in units of the height puts a mug's ear on it.
    """

    profile: F32
    texture: F32
    tilt: float
    top: Colour
    well: Colour | None
    gloss: float
    metal: float
    handle: tuple[float, float, float] | None = None
    handle_colour: Colour = (1, 1, 1)


def _scale(turning: Turning) -> float:
    """Pixels per unit of height such that everything fits the square."""
    radius = float(turning.profile.max())
    ear = turning.handle[0] if turning.handle else 0.0
    tall = 1 + turning.tilt * (turning.profile[0] + turning.profile[-1])
    return (SIZE - 2 * MARGIN) / max(tall, 2 * (radius + ear))


def revolve(turning: Turning, yaw: float) -> Relief:
    """The turned body seen after a turn of `yaw` radians."""
    px = _scale(turning)
    radii, tilt = turning.profile, turning.tilt
    steps = np.linspace(0, 1, len(radii), dtype=np.float32)
    tall = 1 + tilt * float(radii[0] + radii[-1])
    row = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    x = np.broadcast_to(row[None] / px, (SIZE, SIZE))
    y = np.broadcast_to((row / px + tall / 2 - tilt * radii[0])[:, None], (SIZE, SIZE))
    v = y
    for _ in range(2):
        r = np.interp(v, steps, radii).astype(np.float32)
        v = y - tilt * np.sqrt(np.clip(r * r - x * x, 0, None))
    r = np.interp(v, steps, radii).astype(np.float32)
    nx = np.clip(x / np.maximum(r, 1e-4), -1, 1)
    slope = np.interp(v, steps, np.gradient(radii, steps)).astype(np.float32)
    nz = np.sqrt(1 - nx * nx)
    normal = np.dstack([nx, -slope, nz]) / np.sqrt(1 + slope * slope)[..., None]
    height, width = turning.texture.shape[:2]
    u = ((np.arcsin(nx) + yaw) / (2 * np.pi) + 0.5) * width
    albedo = cv2.remap(
        turning.texture, f32(u % width), f32(v.clip(0, 1) * (height - 1)),
        cv2.INTER_LINEAR, None, cv2.BORDER_WRAP,
    )  # fmt: skip
    side = np.clip((r - np.abs(x)) * px + 0.5, 0, 1)
    alpha = side * np.clip((1 - v) * px + 0.5, 0, 1) * np.clip(v * px + 1.0, 0, 1)
    relief = Relief(albedo, normal, alpha.astype(np.float32), turning.gloss, turning.metal)
    relief = _capped(relief, turning, x, y, px)
    return _with_handle(relief, turning, px, yaw) if turning.handle else relief


def _ellipse(x: F32, y: F32, a: float, b: float, px: float) -> F32:
    """Antialiased coverage of an ellipse with half-axes a, b centred on the origin."""
    rho = np.sqrt((x / max(a, 1e-4)) ** 2 + (y / max(b, 1e-4)) ** 2)
    return np.clip((1 - rho) * min(a, b) * px + 0.5, 0, 1).astype(np.float32)


def _capped(relief: Relief, turning: Turning, x: F32, y: F32, px: float) -> Relief:
    """Adds the upper end, a lid or an open rim, as an ellipse."""
    radius = float(turning.profile[0])
    if turning.tilt * radius * px < 1:
        return relief
    lid = _ellipse(x, y, radius, turning.tilt * radius, px)[..., None]
    albedo = relief.albedo + lid * (f32(turning.top) - relief.albedo)
    if turning.well is not None:
        inner = _ellipse(x, y, 0.88 * radius, 0.86 * turning.tilt * radius, px)[..., None]
        deep = np.clip(0.55 - y / (2 * max(turning.tilt * radius, 1e-4)), 0.3, 1)[..., None]
        albedo = albedo + inner * (f32(turning.well) * deep - albedo)
    upward = f32([0, -0.85, 0.52])
    normal = relief.normal + lid * (upward - relief.normal)
    alpha = np.maximum(relief.alpha, lid[..., 0])
    return Relief(albedo, normal, alpha, relief.gloss, relief.metal)


def _with_handle(relief: Relief, turning: Turning, px: float, yaw: float) -> Relief:
    """Adds an ear behind the body's edge; it turns with the body."""
    assert turning.handle is not None
    reach, tall, thick = turning.handle
    middle = SIZE / 2 - turning.tilt * turning.profile[0] * px * 0.5
    centre_x = SIZE / 2 + float(turning.profile[len(turning.profile) // 2]) * px * np.cos(yaw)
    axes = (reach * px * abs(np.cos(yaw)) - thick * px / 2, tall * px / 2)
    ring = np.zeros((SIZE, SIZE), np.float32)
    centre = (round(centre_x * 16), round(middle * 16))
    cv2.ellipse(
        ring, centre, (round(axes[0] * 16), round(axes[1] * 16)), 0, 0, 360, 1.0,
        max(2, round(thick * px)), cv2.LINE_AA, 4,
    )  # fmt: skip
    behind = (1 - relief.alpha)[..., None]
    gradient = cv2.GaussianBlur(ring, (0, 0), 3 * PX)
    gx = cv2.Sobel(gradient, cv2.CV_32F, 1, 0, scale=1.5 * PX)
    gy = cv2.Sobel(gradient, cv2.CV_32F, 0, 1, scale=1.5 * PX)
    tube = np.dstack([-gx, -gy, np.full_like(gx, 0.7)])
    tube /= np.sqrt((tube * tube).sum(-1, keepdims=True))
    albedo = relief.albedo + behind * (f32(turning.handle_colour) - relief.albedo)
    normal = relief.normal + behind * (tube - relief.normal)
    alpha = np.maximum(relief.alpha, ring)
    return Relief(albedo, normal, alpha, relief.gloss, relief.metal)


@dataclass(frozen=True, slots=True)
class Carton:
    """A box: extent (width, height, depth) in any unit, textures of front, side and top."""

    extent: tuple[float, float, float]
    front: F32
    side: F32
    top: F32
    base_yaw: float
    pitch: float
    gloss: float


def _projected(carton: Carton, yaw: float) -> F32:
    """The eight corners in px, index = 4*(x>0) + 2*(y>0) + (z>0), in weak perspective."""
    w, h, d = (e / 2 for e in carton.extent)
    corners = np.array([[x, y, z] for x in (-w, w) for y in (-h, h) for z in (-d, d)])
    c, s = np.cos(yaw), np.sin(yaw)
    turned = corners @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = np.cos(carton.pitch), np.sin(carton.pitch)
    tipped = turned @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    far = 5.0 * max(carton.extent)
    flat = tipped[:, :2] * (far / (far - tipped[:, 2:]))
    low, high = flat.min(0), flat.max(0)
    scale = (SIZE - 2 * MARGIN) / (high - low).max()
    return f32((flat - (low + high) / 2) * scale + SIZE / 2)


def box(carton: Carton, yaw: float) -> Relief:
    """The box seen from the front, turned by its own yaw and `yaw` radians more."""
    yaw = carton.base_yaw + yaw
    p = _projected(carton, yaw)
    c, s = float(np.cos(yaw)), float(np.sin(yaw))
    cp, sp = float(np.cos(carton.pitch)), float(np.sin(carton.pitch))
    faces: list[tuple[F32, list[int], tuple[float, float, float]]] = []
    side_x = -1.0 if s > 0 else 1.0
    # Corner order of each face: upper left, upper right, lower right, lower left as seen.
    right = [5, 4, 6, 7] if side_x > 0 else [0, 1, 3, 2]
    faces.append((carton.side, right, (side_x * c, sp * abs(s), abs(s) * cp)))
    faces.append((carton.top, [0, 4, 5, 1], (0.0, -cp, sp)))
    faces.append((carton.front, [1, 5, 7, 3], (s, c * sp * 0.2, c * cp)))
    albedo = np.zeros((SIZE, SIZE, 3), np.float32)
    normal = np.zeros((SIZE, SIZE, 3), np.float32)
    alpha = np.zeros((SIZE, SIZE), np.float32)
    for texture, index, facing in faces:
        quad = p[index]
        area = cv2.contourArea(quad, True)
        if abs(area) < 4 or area < 0:
            continue
        _paint_face(albedo, normal, alpha, texture, quad, f32(facing))
    return Relief(albedo, normal, alpha, carton.gloss, 0.0)


def _paint_face(albedo: F32, normal: F32, alpha: F32, texture: F32, quad: F32, facing: F32) -> None:
    """Lays a texture into a quadrilateral of the picture, in place."""
    height, width = texture.shape[:2]
    source = f32([[0, 0], [width, 0], [width, height], [0, height]])
    warp = cv2.getPerspectiveTransform(source, quad)
    image = cv2.warpPerspective(
        texture, warp, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(cover, np.round(quad * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    share = cover.astype(np.float32) / 255
    # Where two faces meet, coverage adds up and colours mix by it: no dark seam.
    weight = np.where(alpha + share > 0, share / np.maximum(alpha + share, 1e-6), 0)
    weight = np.where(share > 0.99, 1.0, weight)[..., None].astype(np.float32)
    albedo += weight * (image - albedo)
    facing = facing / np.linalg.norm(facing)
    normal += weight * (facing - normal)
    np.copyto(alpha, np.minimum(1.0, alpha + share))
