"""Meshes through mitsuba: linear light, and how much of each pixel a product covers."""

from __future__ import annotations  # mitsuba's types exist once a variant is chosen

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mitsuba as mi
import numpy as np
from pyoidn import denoise

from training.rendering.surfaces import Array, Mesh, rotation

Material = dict[str, Any]
"""A mitsuba BSDF as a plugin dictionary."""

FOV_DEG = 20.0
_PATHS_PER_PASS = 6_000_000


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
class Shot:
    """A camera, the side of its square picture in px, and the window (x, y, w, h) of it taken.

    The window may be any part of the square: a picture of other proportions is one, too.
    """

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
            "fov": FOV_DEG,
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


def vertices_of(parts: Iterable[Part]) -> Array:
    """All vertices (V, 3) of the parts."""
    return np.concatenate([p.mesh.vertices for p in parts])


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a camera stands and what point it looks at, (3,) each."""

    eye: Array
    target: Array

    def camera(self) -> mi.ScalarTransform4f:
        return mi.ScalarTransform4f().look_at(
            origin=self.eye.tolist(), target=self.target.tolist(), up=[0.0, 0.0, 1.0]
        )


def aim_at(points: Array, view: View) -> Aim:
    """The aim at which points (V, 3) are centred and fill the view's share of the picture."""
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
        extent = float((high - low).max()) / (2 * np.tan(np.radians(FOV_DEG / 2)))
        distance *= extent / view.fill
    return Aim(target + to_eye * distance, target)


def camera_for(points: Array, view: View) -> mi.ScalarTransform4f:
    """The camera at which the product is centred and fills its share of the picture."""
    return aim_at(points, view).camera()


def shape_of(part: Part, path: Path) -> dict[str, Any]:
    write_ply(part.mesh, path)
    return {"type": "ply", "filename": str(path), "material": part.material}


def shapes_of(parts: Iterable[Part], folder: Path, name: str = "part") -> dict[str, Any]:
    """The parts as a scene's shapes `name0`, `name1` …, their meshes written to `folder`."""
    return {f"{name}{k}": shape_of(part, folder / f"{name}{k}.ply") for k, part in enumerate(parts)}


def write_ply(mesh: Mesh, path: Path) -> None:
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


def render(
    shapes: dict[str, Any],
    shot: Shot,
    samples: int,
    max_depth: int,
    *,
    seed: int = 0,
    hide_emitters: bool = False,
) -> Array:
    """Linear radiance, (h, w, 3), denoised with the help of the surfaces' colours and normals.

    hide_emitters: whether lights that the camera looks at, and the surroundings, are black.
    """
    path = {
        "type": "path",
        "max_depth": max_depth,
        "rr_depth": 6,
        "hide_emitters": hide_emitters,
    }
    guided = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal", "image": path}
    channels = traced(guided, shapes, shot, samples, seed)
    colour, albedo, normal = (
        np.ascontiguousarray(channels[..., k : k + 3], dtype=np.float32) for k in (0, 3, 6)
    )
    return np.asarray(denoise(colour, albedo=albedo, normal=normal, hdr=True), dtype=np.float64)


def traced(
    integrator: dict[str, Any], shapes: dict[str, Any], shot: Shot, samples: int, seed: int = 0
) -> Array:
    """The integrator's channels, (h, w, C): the mean of passes that fit into memory."""
    scene = mi.load_dict(
        {"type": "scene", "integrator": integrator, "sensor": shot.sensor(), **shapes}
    )
    _, _, width, height = shot.window
    per_pass = min(max(_PATHS_PER_PASS // (width * height), 1), samples)
    passes = -(-samples // per_pass)
    images = (
        np.array(mi.render(scene, spp=per_pass, seed=mi.UInt32(seed + k)), dtype=np.float64)
        for k in range(passes)
    )
    return np.asarray(sum(images), dtype=np.float64) / passes


def coverage(product: dict[str, Any], shot: Shot, samples: int = 16) -> Array:
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
    path = {"type": "path", "max_depth": 1}
    return np.clip(traced(path, shining, shot, samples)[..., 1], 0.0, 1.0)
