"""Surfaces as triangle meshes: lathes, lofts, rounded boxes, tubes.

Axes: x to the right, y away from the camera, z up; the camera stands at negative y. Surfaces of
revolution and lofts have u = 0.5 at the front, growing to the right, and v growing upwards, so a
label reads as it is drawn. Lengths are in cm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mesh:
    """`vertices` and unit `normals` (V, 3), `uv` (V, 2), `faces` (F, 3) wound outwards."""

    vertices: Array
    normals: Array
    uv: Array
    faces: NDArray[np.int64]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Mesh":
        return Mesh(self.vertices + np.array([x, y, z]), self.normals, self.uv, self.faces)

    def turned(self, axis: str, degrees: float) -> "Mesh":
        """Rotated about 'x', 'y' or 'z' through the origin, counter-clockwise."""
        matrix = rotation(axis, degrees)
        return Mesh(self.vertices @ matrix.T, self.normals @ matrix.T, self.uv, self.faces)

    def bent(self, vertices: Array) -> "Mesh":
        """The same surface with its vertices elsewhere."""
        return Mesh(vertices, smooth_normals(vertices, self.faces), self.uv, self.faces)

    def scaled(self, factor: float) -> "Mesh":
        return Mesh(self.vertices * factor, self.normals, self.uv, self.faces)


def rotation(axis: str, degrees: float) -> Array:
    """The (3, 3) matrix that rotates about 'x', 'y' or 'z', counter-clockwise."""
    a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def joined(*meshes: Mesh) -> Mesh:
    """One mesh of several, for parts of one material."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
    )


def grid(points: Array, uv: Array) -> Mesh:
    """A mesh of an (M, N, 3) grid of points, v along M and u along N, with smooth normals.

    Points that coincide (a seam, a pole) share one normal; faces without area are left out.
    """
    m, n = points.shape[:2]
    i, j = np.meshgrid(np.arange(m - 1), np.arange(n - 1), indexing="ij")
    a = (i * n + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + n + 1], 1), np.stack([a, a + n + 1, a + n], 1)])
    vertices = points.reshape(-1, 3)
    p, q, r = (vertices[faces[:, k]] for k in range(3))
    size = np.linalg.norm(np.cross(q - p, r - p), axis=1)
    faces = faces[size > 1e-12 * size.max()]
    return Mesh(vertices, smooth_normals(vertices, faces), uv.reshape(-1, 2), faces)


def smooth_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Unit normals (V, 3), weighted by area; vertices that coincide share one."""
    p, q, r = (vertices[faces[:, k]] for k in range(3))
    areas = np.cross(q - p, r - p)
    _, same = np.unique(np.round(vertices, 7), axis=0, return_inverse=True)
    same = same.ravel()
    sums = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(sums, same[faces[:, k]], areas)
    normals = sums[same]
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def fillet(corners: Sequence[tuple[float, float, float]], steps: int = 10) -> Array:
    """An open polyline (N, 2) with its corners rounded.

    `corners` are (x, y, radius); the radius of the two ends is not used. A radius too large for
    its neighbours is made smaller.
    """
    points = np.array([c[:2] for c in corners], dtype=float)
    out = [points[0]]
    for k in range(1, len(corners) - 1):
        before, here, after = points[k - 1 : k + 2]
        u, v = before - here, after - here
        lu, lv = np.linalg.norm(u), np.linalg.norm(v)
        u, v = u / lu, v / lv
        half = np.arccos(np.clip(u @ v, -1.0, 1.0)) / 2
        if corners[k][2] <= 0 or half > np.pi / 2 - 1e-3:
            out.append(here)
            continue
        reach = min(corners[k][2] / np.tan(half), 0.49 * lu, 0.49 * lv)
        radius = reach * np.tan(half)
        bisector = (u + v) / np.linalg.norm(u + v)
        center = here + bisector * radius / np.sin(half)
        start, end = here + u * reach - center, here + v * reach - center
        sweep = np.pi - 2 * half
        for t in np.linspace(0.0, 1.0, steps):
            w0, w1 = np.sin((1 - t) * sweep), np.sin(t * sweep)
            out.append(center + (start * w0 + end * w1) / np.sin(sweep))
    out.append(points[-1])
    return np.array(out)


def curve(knots: ArrayLike, count: int = 64) -> Array:
    """A Catmull-Rom spline through (N, D) knots, as (count, D) points."""
    k = np.asarray(knots, dtype=float)
    k = np.concatenate([2 * k[:1] - k[1:2], k, 2 * k[-1:] - k[-2:-1]])
    t = np.linspace(0, len(k) - 3, count)
    i = np.minimum(t.astype(int), len(k) - 4)
    f = (t - i)[:, None]
    p0, p1, p2, p3 = k[i], k[i + 1], k[i + 2], k[i + 3]
    cubic = (2 * p0 - 5 * p1 + 4 * p2 - p3) + (3 * p1 - 3 * p2 + p3 - p0) * f
    return 0.5 * (2 * p1 + ((p2 - p0) + cubic * f) * f)


def lathe(profile: Array, *, v_span: tuple[float, float] | None = None, around: int = 192) -> Mesh:
    """The surface of revolution about z of a profile (N, 2) of (radius, z), outside to the right.

    Going up the profile the surface faces outwards, going down it faces the axis. `v_span` is the
    z of v = 0 and of v = 1 (by default the profile's own); beyond, v is clamped.
    """
    return loft(profile, circle(around), v_span=v_span)


def loft(profile: Array, outline: Array, *, v_span: tuple[float, float] | None = None) -> Mesh:
    """Like `lathe`, for any closed outline (K, 2): the outline times the profile's radius."""
    low, high = v_span or (float(profile[:, 1].min()), float(profile[:, 1].max()))
    z = profile[:, 1]
    points = np.empty((len(profile), len(outline), 3))
    points[..., :2] = profile[:, 0, None, None] * outline[None]
    points[..., 2] = z[:, None]
    steps = np.linalg.norm(np.diff(outline, axis=0), axis=1)
    u = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    v = np.clip((z - low) / (high - low), 0.0, 1.0)
    return grid(points, np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1))


def circle(count: int = 192) -> Array:
    """The unit circle from the back over left, front and right to the back, (count + 1, 2)."""
    return squircle(1.0, 1.0, 2.0, count)


def squircle(a: float, b: float, power: float = 4.0, count: int = 256) -> Array:
    """The superellipse |x/a|^p + |y/b|^p = 1, closed, from the back over left to front and right.

    Power 2 is an ellipse; the higher, the nearer to a rectangle.
    """
    t = 2 * np.pi * (np.linspace(0.0, 1.0, count + 1) - 0.5)
    s, c = np.sin(t), -np.cos(t)
    radius = (np.abs(s) ** power + np.abs(c) ** power) ** (-1 / power)
    outline = np.stack([a * s * radius, b * c * radius], axis=1)
    outline[-1] = outline[0]
    return outline


_FACES = {  # name: axes of u, v and the normal, with signs
    "front": ((0, 1), (2, 1), (1, -1)),
    "back": ((0, -1), (2, 1), (1, 1)),
    "right": ((1, 1), (2, 1), (0, 1)),
    "left": ((1, -1), (2, 1), (0, -1)),
    "top": ((0, 1), (1, 1), (2, 1)),
    "bottom": ((0, 1), (1, -1), (2, -1)),
}


def rounded_box(width: float, depth: float, height: float, radius: float) -> dict[str, Mesh]:
    """The six faces of a box that stands on z = 0, centred in x and y, edges rounded.

    Each face's uv spans the whole face as seen from outside, edges included.
    """
    half = np.array([width, depth, height]) / 2
    inner = half - radius
    faces = {}
    for name, ((iu, su), (iv, sv), (ik, sk)) in _FACES.items():
        along_u, along_v = (_edge_samples(half[i], radius) for i in (iu, iv))
        v, u = np.meshgrid(along_v, along_u, indexing="ij")
        points = np.empty((*u.shape, 3))
        points[..., iu], points[..., iv], points[..., ik] = u * su, v * sv, sk * half[ik]
        core = np.clip(points, -inner, inner)
        outwards = points - core
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        points = core + radius * outwards
        uv = np.stack(
            [points[..., iu] * su / half[iu] / 2 + 0.5, points[..., iv] * sv / half[iv] / 2 + 0.5],
            axis=-1,
        )
        flat = grid(points, uv)
        faces[name] = Mesh(
            flat.vertices + np.array([0.0, 0.0, half[2]]),
            outwards.reshape(-1, 3),
            uv.reshape(-1, 2),
            flat.faces,
        )
    return faces


def _edge_samples(half: float, radius: float, steps: int = 8) -> Array:
    edge = radius * (1 - np.tan(np.linspace(0.0, np.pi / 4, steps)))
    rising = -half + edge[::-1]
    return np.concatenate([rising, -rising[::-1]])


def tube(path: Array, section: Array, *, closed: bool = False) -> Mesh:
    """A closed section (K, 2) swept along a path (P, 3); both ends are rounded unless closed.

    The section's first axis starts out horizontal and is carried along without twist.
    """
    points = np.asarray(path, dtype=float)
    tangents = np.gradient(points, axis=0)
    if closed:
        tangents = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], [0.0, 0.0, 1.0])
    if np.linalg.norm(side) < 1e-6:
        side = np.array([1.0, 0.0, 0.0])
    rings = []
    for here, tangent in zip(points, tangents, strict=True):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        up = np.cross(tangent, side)
        rings.append(here + section[:, :1] * side + section[:, 1:] * up)
    if closed:
        rings.append(rings[0])
    else:
        start = _rounded_end(rings[0], points[0], -tangents[0])
        rings = [*start[::-1], *rings, *_rounded_end(rings[-1], points[-1], tangents[-1])]
    lengths = [0.0] + [float(np.linalg.norm(b[0] - a[0])) for a, b in pairwise(rings)]
    v = np.cumsum(lengths) / np.sum(lengths)
    u = np.linspace(0.0, 1.0, len(section))
    uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=-1)
    return grid(np.array(rings), uv)


def _rounded_end(ring: Array, center: Array, outwards: Array) -> list[Array]:
    """Rings that close a tube after its last one, as a dome half as deep as the tube is thin."""
    depth = 0.5 * float(np.linalg.norm(ring - center, axis=1).min())
    angles = np.linspace(0.0, np.pi / 2, 9)[1:]
    domes = [center + (ring - center) * np.cos(a) + outwards * depth * np.sin(a) for a in angles]
    domes[-1] = np.broadcast_to(center + outwards * depth, ring.shape)
    return domes


def sphere(radius: float, *, around: int = 192) -> Mesh:
    """A sphere about the origin; v by latitude."""
    t = np.linspace(-np.pi / 2, np.pi / 2, around // 2)
    profile = np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)
    profile[[0, -1], 0] = 0.0
    ball = lathe(profile, around=around)
    v = np.arcsin(np.clip(ball.vertices[:, 2] / radius, -1, 1)) / np.pi + 0.5
    return Mesh(ball.vertices, ball.normals, np.stack([ball.uv[:, 0], v], axis=1), ball.faces)
