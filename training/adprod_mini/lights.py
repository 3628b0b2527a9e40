"""The light of a scene: surroundings of our own drawing (or an HDRI), and a key light.

Sizes are in studio units: a product's longest side is 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mitsuba as mi
import numpy as np

from adloom.errors import PhotoError
from training.scenes_synth.lighting import LIGHTS, LightKind, gobo

ENV_SIZE: Final = (64, 128)
HARD: Final = {"golden": 0.5, "dramatic": 0.8, "moon": 0.7, "candle": 1.0, "morning": 1.6}
"""Side of the key light by the name of its kind; it is far, so small is sharp."""

SOFT: Final = 3.4
KEY_DISTANCE: Final = 9.0
GOBO_PX: Final = 256
HDRI_SUFFIXES: Final = (".hdr", ".exr")


@dataclass(frozen=True, slots=True)
class Lighting:
    """Emitters as mitsuba plugins, and the exposure (mean luminance) that the light asks for."""

    emitters: dict[str, dict[str, Any]]
    exposure: float


def draw_lighting(rng: np.random.Generator, name: str, hdris: Sequence[Path] = ()) -> Lighting:
    """The kind `name` of `LIGHTS`, its key light from a drawn side. PhotoError for an HDRI that
    cannot be read."""
    kind = LIGHTS[name]
    side = float(rng.choice([-1.0, 1.0]))
    azimuth = np.radians(side * rng.uniform(28, 68))
    height = np.radians(
        rng.uniform(24, 40) if name in ("golden", "candle") else rng.uniform(34, 62)
    )
    towards = np.array([np.sin(azimuth) * np.cos(height), -np.cos(azimuth) * np.cos(height),
                        np.sin(height)])  # fmt: skip
    surroundings = _hdri(rng, hdris, kind) if hdris else _drawn(rng, kind, towards)
    around = {
        "type": "envmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(surroundings, np.float32)),
        # mitsuba's environments have y upwards
        "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
    }
    emitters = {"around": around, **_keys(rng, kind, towards)}
    return Lighting(emitters, 0.34 * kind.dim**0.7)


def linear(tone: Sequence[float] | np.ndarray) -> np.ndarray:
    """Linear RGB (..., 3) of sRGB tones in [0, 1]."""
    srgb = np.asarray(tone, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _directions() -> np.ndarray:
    """(H, W, 3) of the environment's pixels, z upwards, -y towards the camera."""
    rows, columns = ENV_SIZE
    polar = (np.arange(rows) + 0.5) / rows * np.pi
    around = (np.arange(columns) + 0.5) / columns * 2 * np.pi
    theta, phi = np.meshgrid(polar, around, indexing="ij")
    # (0, 0, 1) of mitsuba's own frame, turned about x by 90 degrees, is -y of ours.
    x, y, z = np.sin(theta) * np.sin(phi), np.cos(theta), -np.sin(theta) * np.cos(phi)
    return np.stack([x, -z, y], axis=-1)


def _drawn(rng: np.random.Generator, kind: LightKind, towards: np.ndarray) -> np.ndarray:
    """Sky, floor and the bright shapes that gloss shows: softboxes, a window, the sun's glow."""
    direction = _directions()
    up = direction[..., 2]
    ambient = linear(kind.ambient) * 1.5
    image = ambient * np.interp(up, [-1, -0.1, 0.1, 1], [0.35, 0.6, 0.9, 1.25])[..., None]
    key = linear(kind.key)
    if kind.name in ("golden", "daylight", "moon", "cool", "leaf-shadows"):
        glow = np.exp((direction @ towards - 1) * 18)
        return image + 2.5 * key * glow[..., None]
    for side in (-1, 1):
        azimuth = side * rng.uniform(45, 95)
        box = _box(
            direction, azimuth, rng.uniform(25, 50), rng.uniform(14, 30), rng.uniform(20, 38)
        )
        if kind.name in ("window", "blinds", "morning"):
            box = box * _panes(direction, azimuth)
        tone = key if kind.name != "neon" or side < 0 else linear((0.25, 0.4, 0.95))
        image = image + (3.2 if side < 0 else 1.8) * tone * box[..., None]
    return image


def _box(
    direction: np.ndarray, azimuth_deg: float, height_deg: float, half_w: float, half_h: float
) -> np.ndarray:
    """A bright rectangle about a direction; half sizes in degrees; 0 to 1, soft at its edge."""
    across, above = _angles(direction, azimuth_deg)
    return np.clip((half_w - np.abs(across)) / 3 + 0.5, 0, 1) * np.clip(
        (half_h - np.abs(above - height_deg)) / 3 + 0.5, 0, 1
    )


def _panes(direction: np.ndarray, azimuth_deg: float) -> np.ndarray:
    """The dark bars of a window about a direction."""
    across, above = _angles(direction, azimuth_deg)
    bars = np.minimum(np.abs(across % 16 - 8), np.abs(above % 22 - 11))
    return np.clip(bars / 2, 0.1, 1)


def _angles(direction: np.ndarray, azimuth_deg: float) -> tuple[np.ndarray, np.ndarray]:
    azimuth = np.degrees(np.arctan2(direction[..., 0], -direction[..., 1]))
    across = (azimuth - azimuth_deg + 180) % 360 - 180
    return across, np.degrees(np.arcsin(np.clip(direction[..., 2], -1, 1)))


def _hdri(rng: np.random.Generator, hdris: Sequence[Path], kind: LightKind) -> np.ndarray:
    """One of the pictures, turned at random, as bright and as warm as the kind's ambient light."""
    path = hdris[int(rng.integers(len(hdris)))]
    try:
        bitmap = mi.Bitmap(str(path)).convert(
            mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.Float32, srgb_gamma=False
        )
    except RuntimeError as error:
        raise PhotoError(f"the HDRI cannot be read: {error}", where=str(path)) from error
    image = np.maximum(np.array(bitmap), 0.0)  # filtered ones have negative pixels
    weight = np.sin((np.arange(len(image)) + 0.5) / len(image) * np.pi)[:, None, None]
    mean = (image * weight).mean((0, 1)) / weight.mean()
    ambient = linear(kind.ambient) * 1.2
    toned = image * (0.5 * ambient / np.maximum(mean, 1e-6) + 0.5 * ambient.mean() / mean.mean())
    return np.roll(toned, int(rng.integers(image.shape[1])), axis=1)


def _keys(
    rng: np.random.Generator, kind: LightKind, towards: np.ndarray
) -> dict[str, dict[str, Any]]:
    strength = 2.6 * linear(kind.key)
    if kind.gobo:
        return {"key": _patterned(rng, kind.gobo, towards, 1.5 * strength)}
    size = HARD.get(kind.name, SOFT)
    keys = {"key": softbox(towards, size, strength)}
    if kind.name == "neon":
        other = towards * np.array([-1.0, 0.6, 1.0])
        keys["fill"] = softbox(other, SOFT, 2.2 * linear((0.3, 0.42, 0.95)))
    return keys


def _aimed(towards: np.ndarray, distance: float) -> mi.ScalarTransform4f:
    origin = towards / np.linalg.norm(towards) * distance + np.array([0, 0, 0.8])
    return mi.ScalarTransform4f().look_at(
        origin=origin.tolist(), target=[0.0, 0.0, 0.8], up=[0.0, 0.01, 1.0]
    )


def softbox(towards: np.ndarray, side: float, irradiance: np.ndarray) -> dict[str, Any]:
    """A square light that lays `irradiance` / pi, as a white card's radiance, on what faces it."""
    radiance = irradiance * KEY_DISTANCE**2 / side**2
    aim = _aimed(towards, KEY_DISTANCE) @ mi.ScalarTransform4f().scale([side / 2, side / 2, 1])
    light = {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}}
    return {"type": "rectangle", "to_world": aim, "light": light}


def _patterned(
    rng: np.random.Generator, pattern: str, towards: np.ndarray, irradiance: np.ndarray
) -> dict[str, Any]:
    """Sun through leaves, blinds or a window, thrown as a slide."""
    slide = gobo(rng, pattern, GOBO_PX, GOBO_PX)[..., None] * irradiance
    distance = 2 * KEY_DISTANCE
    return {
        "type": "projector",
        "irradiance": {
            "type": "bitmap",
            "bitmap": mi.Bitmap(np.ascontiguousarray(slide, np.float32)),
            "raw": True,
        },
        "fov": 34.0,
        "scale": PROJECTED * distance**2,
        "to_world": _aimed(towards, distance),
    }


PROJECTED: Final = 1.0
"""What a slide's numbers are multiplied by per squared distance to lay on as much as a softbox."""


def find_hdris(folder: Path | None) -> tuple[Path, ...]:
    """The folder's HDRIs by name. PhotoError where there are none."""
    if folder is None:
        return ()
    found = tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in HDRI_SUFFIXES))
    if not found:
        raise PhotoError("no .hdr or .exr in this folder", where=str(folder))
    return found
