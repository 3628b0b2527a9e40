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
from pyoidn import denoise

from .developing import COVERED, encoded, exposed, floor_shade, smooth_light
from .surfaces import Array, Mesh, grid, rotation

Material = dict[str, Any]
"""A mitsuba BSDF as a plugin dictionary."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh of one material."""

    mesh: Mesh
    material: Material


@dataclass(frozen=True, slots=True)
class View:
    """How the camera sees the product: turned by `yaw_deg`, from `elevation_deg` above.

    `fill` is the share of the picture that the longer side of the product takes.
    """

    yaw_deg: float = 0.0
    elevation_deg: float = 10.0
    fill: float = 0.80


@dataclass(frozen=True, slots=True)
class Quality:
    """Side of the square picture in px, samples per pixel, bounces of light."""

    size_px: int = 900
    samples: int = 32
    max_depth: int = 8


_FOV_DEG = 20.0
_FLOOR_ALBEDO = 0.82
_PATHS_PER_PASS = 6_000_000
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
    camera = camera_for(np.concatenate([p.mesh.vertices for p in stood]), view)
    with TemporaryDirectory() as folder:
        product = {
            f"part{k}": shape_of(part, Path(folder) / f"part{k}.ply")
            for k, part in enumerate(stood)
        }
        floor = _floor(Path(folder) / "floor.ply")
        depth = quality.max_depth
        empty = _render(floor, Shot(camera, size // 6), 32, depth)
        mask = coverage(product, Shot(camera, size))
        small = Shot(camera, size // 3)
        shadow = floor_shade(
            _render({**floor, **product}, small, 32, depth) / smooth_light(empty, small.size_px),
            coverage(product, small),
            size,
        )
        shot = Shot(camera, size, _bounds(mask))
        lit = _render({**floor, **product}, shot, quality.samples, depth)
    x, y, width, height = shot.window
    relative = np.repeat(shadow[..., None], 3, axis=2)
    inside = relative[y : y + height, x : x + width]
    light = lit / smooth_light(empty, size)[y : y + height, x : x + width]
    covered = mask[y : y + height, x : x + width, None] > COVERED
    inside[...] = np.where(covered, exposed(light), inside)
    return encoded(relative)


def on_the_set(parts: list[Part], view: View) -> list[Part]:
    """The product turned, set on z = 0, centred, and scaled to a longest side of 2 units."""
    turned = [p.mesh.turned("z", view.yaw_deg) for p in parts]
    points = np.concatenate([m.vertices for m in turned])
    low, high = points.min(axis=0), points.max(axis=0)
    factor = 2.0 / float((high - low).max())
    x, y = -(low + high)[:2] / 2
    return [
        Part(m.moved(x, y, -low[2]).scaled(factor), p.material)
        for m, p in zip(turned, parts, strict=True)
    ]


def camera_for(points: Array, view: View) -> mi.ScalarTransform4f:
    """The camera at which the product is centred and fills its share of the picture."""
    to_eye = rotation("x", -view.elevation_deg) @ np.array([0.0, -1.0, 0.0])
    right = np.array([1.0, 0.0, 0.0])
    up = np.cross(right, -to_eye)
    target, distance = points.mean(axis=0), 10.0
    for _ in range(20):
        offset = points - target
        depth = distance - offset @ to_eye
        across = np.stack([offset @ right, offset @ up], axis=1) / depth[:, None]
        low, high = across.min(axis=0), across.max(axis=0)
        middle = (low + high) / 2 * distance
        target = target + right * middle[0] + up * middle[1]
        extent = float((high - low).max()) / (2 * np.tan(np.radians(_FOV_DEG / 2)))
        distance *= extent / view.fill
    eye = target + to_eye * distance
    return mi.ScalarTransform4f().look_at(
        origin=eye.tolist(), target=target.tolist(), up=[0.0, 0.0, 1.0]
    )


def shape_of(part: Part, path: Path) -> dict[str, Any]:
    _write_ply(part.mesh, path)
    return {"type": "ply", "filename": str(path), "material": part.material}


def _write_ply(mesh: Mesh, path: Path) -> None:
    """Binary PLY with normals and texture coordinates."""
    names = ("x", "y", "z", "nx", "ny", "nz", "u", "v")
    table = np.concatenate([mesh.vertices, mesh.normals, mesh.uv], axis=1).astype("<f4")
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    faces["count"], faces["index"] = 3, mesh.faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(table)}",
        *(f"property float {name}" for name in names),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header",
        "",
    ]
    path.write_bytes("\n".join(header).encode() + table.tobytes() + faces.tobytes())


def _floor(path: Path) -> dict[str, Any]:
    """A white sweep: floor, curve, wall; lit by softboxes and a soft surrounding light."""
    bend = np.linspace(0.0, np.pi / 2, 48)
    y = np.concatenate([[-40.0, -8.0], 9 + 9 * np.sin(bend), [18.0]])
    z = np.concatenate([[0.0, 0.0], 9 - 9 * np.cos(bend), [40.0]])
    x = np.linspace(-40.0, 40.0, 3)
    points = np.stack(np.broadcast_arrays(x[None, :], y[:, None], z[:, None]), axis=-1)
    _write_ply(grid(points, points[..., :2]), path)
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


@dataclass(frozen=True, slots=True)
class Shot:
    """A camera, the side of its square picture in px, and the window (x, y, w, h) of it taken."""

    camera: mi.ScalarTransform4f
    size_px: int
    crop: tuple[int, int, int, int] | None = None

    @property
    def window(self) -> tuple[int, int, int, int]:
        return self.crop or (0, 0, self.size_px, self.size_px)

    def sensor(self) -> dict[str, Any]:
        x, y, width, height = self.window
        return {
            "type": "perspective",
            "fov": _FOV_DEG,
            "to_world": self.camera,
            "film": {
                "type": "hdrfilm",
                "width": self.size_px,
                "height": self.size_px,
                "crop_offset_x": x,
                "crop_offset_y": y,
                "crop_width": width,
                "crop_height": height,
                "pixel_format": "rgb",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent"},
        }


def _render(shapes: dict[str, Any], shot: Shot, samples: int, max_depth: int) -> Array:
    """Linear radiance, (h, w, 3), denoised with the help of the surfaces' colours and normals."""
    path = {"type": "path", "max_depth": max_depth, "rr_depth": 6}
    guided = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal", "image": path}
    channels = _traced(guided, shapes, shot, samples)
    colour, albedo, normal = (
        np.ascontiguousarray(channels[..., k : k + 3], dtype=np.float32) for k in (0, 3, 6)
    )
    return np.asarray(denoise(colour, albedo=albedo, normal=normal, hdr=True), dtype=np.float64)


def _traced(integrator: dict[str, Any], shapes: dict[str, Any], shot: Shot, samples: int) -> Array:
    """The integrator's channels, (h, w, C): the mean of passes that fit into memory."""
    scene = mi.load_dict(
        {"type": "scene", "integrator": integrator, "sensor": shot.sensor(), **shapes}
    )
    _, _, width, height = shot.window
    per_pass = min(max(_PATHS_PER_PASS // (width * height), 1), samples)
    passes = -(-samples // per_pass)
    images = (
        np.array(mi.render(scene, spp=per_pass, seed=mi.UInt32(seed)), dtype=np.float64)
        for seed in range(passes)
    )
    return np.asarray(sum(images), dtype=np.float64) / passes


def coverage(product: dict[str, Any], shot: Shot) -> Array:
    """How much of each pixel the product covers, (h, w): its shapes shine, all else is dark."""
    light = {"type": "area", "radiance": {"type": "rgb", "value": 1.0}}
    plain = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}
    shining = {
        name: {
            "type": "ply",
            "filename": shape["filename"],
            "light": light,
            "material": {"type": "twosided", "bsdf": plain},
        }
        for name, shape in product.items()
    }
    return np.clip(_traced({"type": "path", "max_depth": 1}, shining, shot, 16)[..., 1], 0.0, 1.0)


def _bounds(mask: Array, margin: int = 2) -> tuple[int, int, int, int]:
    """The window (x, y, w, h) of what is covered."""
    y, x = np.nonzero(mask > COVERED)
    left, top = max(int(x.min()) - margin, 0), max(int(y.min()) - margin, 0)
    right, bottom = min(x.max() + margin, mask.shape[1]), min(y.max() + margin, mask.shape[0])
    return left, top, int(right) - left, int(bottom) - top
