"""Where a product stands: ground, background, props, and the camera that looks at it.

Studio units: a product's longest side is 2, the camera looks along +y.
"""

from dataclasses import dataclass
from typing import Any, Final

import mitsuba as mi
import numpy as np
from PIL import Image

from training.adprod_mini.lights import linear
from training.adprod_mini.props import arranged
from training.rendering import materials
from training.rendering.surfaces import Array, fillet, grid, lathe
from training.rendering.tracing import FOV_DEG, Aim, Part, Shot, View, aim_at, vertices_of
from training.scenes_synth import backdrops, surfaces
from training.scenes_synth.grammar import TINTS, SceneChoice
from training.scenes_synth.lighting import LIGHTS

TEXTURE_SPAN: Final = 7.0
PODIUM_HEIGHT: Final = 0.55
ROOM: Final = 1.5
"""Side of the camera's square, in longer sides of the picture cut from it."""

RELIEF: Final = {"sand": 0.09, "rock": 0.08, "snow": 0.1, "grass": 0.12, "linen": 0.02,
                 "water": 0.05, "satin": 0.05, "velvet": 0.05}  # fmt: skip
GLASS: Final = ("ice", "drops")
Emission = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is rendered beside the product: `parts`, and `backdrop`, a shape that shines."""

    parts: list[Part]
    backdrop: Emission
    shot: Shot
    holds_glass: bool = False


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the product is to be in a picture (w, h) px: the middle of its box, the px of its
    longer side, the camera's height above it, and the row at which the ground ends."""

    native: tuple[int, int]
    centre: tuple[float, float]
    extent_px: float
    elevation_deg: float
    edge_row: float

    @property
    def square_px(self) -> int:
        return round(ROOM * max(self.native))

    @property
    def window(self) -> tuple[int, int, int, int]:
        """(x, y, w, h) in the camera's square, whose middle is the product's."""
        width, height = self.native
        x = np.clip(round(self.square_px / 2 - self.centre[0]), 0, self.square_px - width)
        y = np.clip(round(self.square_px / 2 - self.centre[1]), 0, self.square_px - height)
        return int(x), int(y), width, height


def draw_framing(
    rng: np.random.Generator, native: tuple[int, int], points: Array, podium: bool
) -> Framing:
    """A framing of a product of these points (V, 3): not cut, no higher than three quarters."""
    width, height = native
    size = points.max(axis=0) - points.min(axis=0)
    aspect = float(size[0] / max(size[2], 1e-6))  # as seen, roughly
    tall = rng.uniform(0.44, 0.66 if podium else 0.76) * height
    wide = rng.uniform(0.52, 0.86) * width
    longer = min(tall * max(1.0, aspect), wide * max(1.0, 1 / aspect))
    half_h = longer / 2 if aspect <= 1 else longer / aspect / 2
    half_w = longer / 2 if aspect >= 1 else longer * aspect / 2
    drift = rng.normal(0, 0.05) if rng.random() < 0.7 else rng.uniform(-0.2, 0.2)
    x = np.clip((0.5 + drift) * width, half_w + 3, max(width - half_w - 3, half_w + 3))
    foot = rng.uniform(0.7, 0.82) if podium else rng.uniform(0.76, 0.92)
    y = max(foot * height - half_h, half_h + 0.05 * height)
    foot_px = y + half_h
    edge = min(rng.uniform(0.34, 0.62) * height, foot_px - 0.14 * height)
    return Framing(native, (float(x), float(y)), float(longer), float(rng.uniform(7, 19)), edge)


def build_stage(
    rng: np.random.Generator, scene: SceneChoice, product: list[Part], framing: Framing
) -> Stage:
    """The stage about a product that stands on z = 0."""
    points = vertices_of(product)
    square = framing.square_px
    view = View(elevation_deg=framing.elevation_deg, fill=framing.extent_px / square)
    aim = aim_at(points, view)
    footprint = tuple(np.abs(points[:, :2]).max(axis=0))
    podium = scene.surface == "podium"
    ground_z = -PODIUM_HEIGHT if podium else 0.0
    end = _end_of_ground(aim, framing, ground_z, float(footprint[1]) + 1.0)
    texture = _texture(rng, scene)
    half_width = framing.native[0] / square * _half_view(aim)
    parts = [Part(_ground(rng, end, ground_z), _finish(scene.surface, texture))]
    if podium:
        radius = 1.25 * float(np.hypot(*footprint)) + 0.15
        parts.append(Part(_podium(radius), materials.satin(texture, 0.5)))
        footprint = (max(radius, footprint[0]), max(radius, footprint[1]))
    around = arranged(rng, scene.prop, (float(footprint[0]), float(footprint[1])), half_width)
    parts += [Part(p.mesh.moved(z=ground_z), p.material) for p in around]
    backdrop = _backdrop(rng, scene, aim, framing, end, ground_z)
    shot = Shot(aim.camera(), square, framing.window)
    return Stage(parts, backdrop, shot, holds_glass=scene.prop in GLASS)


def _half_view(aim: Aim) -> float:
    """Half the width of what the camera's square shows at the product."""
    return float(np.linalg.norm(aim.eye - aim.target) * np.tan(np.radians(FOV_DEG / 2)))


def _depression(framing: Framing, row: float) -> float:
    """How far below the horizon the camera looks at a row of the picture, radians."""
    in_square = framing.window[1] + row
    off_axis = (2 * in_square / framing.square_px - 1) * np.tan(np.radians(FOV_DEG / 2))
    return float(np.radians(framing.elevation_deg) + np.arctan(off_axis))


def _end_of_ground(aim: Aim, framing: Framing, ground_z: float, least: float) -> float:
    """The y at which the ground ends, so that its edge is seen at the framing's row."""
    down = _depression(framing, framing.edge_row)
    if down < np.radians(1.0):
        return 45.0
    reached = float(aim.eye[1] + (aim.eye[2] - ground_z) / np.tan(down))
    return float(np.clip(reached, least, 45.0))


def _texture(rng: np.random.Generator, scene: SceneChoice) -> Image.Image:
    """The surface's plan view, in the scene's tint where it takes one."""
    pixels = surfaces.texture(scene.surface, int(rng.integers(surfaces.VARIANTS)))
    if scene.surface in ("studio", "acrylic", "podium"):
        pixels = (pixels * np.array(TINTS[scene.tint])).astype(np.uint8)
    return Image.fromarray(pixels)


def _finish(surface: str, texture: Image.Image) -> dict[str, Any]:
    mirror = surfaces.SURFACES[surface].mirror
    if mirror >= 0.4:
        finish = materials.glossy(texture, 0.1)
    elif mirror >= 0.15:
        finish = materials.satin(texture, 0.18)
    elif mirror > 0:
        finish = materials.satin(texture, 0.5)
    else:
        finish = materials.matte(texture)
    depth = RELIEF.get(surface)
    return materials.embossed(finish, texture.convert("L"), depth) if depth else finish


def _ground(rng: np.random.Generator, end: float, z: float) -> Any:
    """A plane from behind the camera to its end, its texture laid from a drawn corner."""
    x, y = np.meshgrid(np.array([-40.0, 40.0]), np.array([-45.0, end]))
    points = np.stack([x, y, np.full_like(x, z)], axis=-1)
    return grid(points, np.stack([x, y], axis=-1) / TEXTURE_SPAN + rng.uniform(0, 1, 2))


def _podium(radius: float) -> Any:
    low = -PODIUM_HEIGHT
    return lathe(fillet([(0, low, 0), (radius, low, 0), (radius, 0, 0.06), (0, 0, 0)]), around=96)


def _backdrop(
    rng: np.random.Generator,
    scene: SceneChoice,
    aim: Aim,
    framing: Framing,
    end: float,
    ground_z: float,
) -> Emission:
    """A picture that stands where the ground ends and shines by itself, as wide as is seen."""
    distance = end - float(aim.eye[1])
    reach = np.tan(np.radians(FOV_DEG / 2)) * distance / np.cos(np.radians(framing.elevation_deg))
    x0, _, width, _ = framing.window
    middle = ((x0 + width / 2) / framing.square_px * 2 - 1) * reach
    wide = 1.25 * 2 * reach * width / framing.square_px
    top = float(aim.eye[2]) - distance * np.tan(_depression(framing, 0.0))
    tall = max(1.12 * (top - ground_z), 0.5)
    picture = _scenery(rng, scene, wide / tall)
    lift = mi.ScalarTransform4f().translate(
        [float(aim.target[0] + middle), end, ground_z + tall / 2]
    )
    # A rectangle looks along +z with its picture's top at +y: set upright, facing the camera.
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    shape = lift @ upright @ mi.ScalarTransform4f().scale([wide / 2, tall / 2, 1])
    shine = {"type": "bitmap", "bitmap": mi.Bitmap(picture), "raw": True}
    return {
        "type": "rectangle",
        "to_world": shape,
        "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}},
        "light": {"type": "area", "radiance": shine},
    }


def _scenery(rng: np.random.Generator, scene: SceneChoice, aspect: float) -> np.ndarray:
    """Radiance (H, W, 3) of the background's picture; of a wide one the lower part alone."""
    pixels = backdrops.picture(scene.backdrop, int(rng.integers(backdrops.VARIANTS))) / 255.0
    if backdrops.BACKDROPS[scene.backdrop].wall:
        pixels = pixels * np.array(TINTS[scene.wall_tint])
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    rows = round(len(pixels) * min(1.0, 2.0 / aspect))
    dim = LIGHTS[scene.light].dim
    return np.ascontiguousarray(0.95 * dim * linear(pixels[-rows:]), np.float32)
