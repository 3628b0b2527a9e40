"""A product picture in a worse state: otherwise lit, blurred, noisy, compressed, slightly bent."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.imaging.arrays import as_alpha
from training.augment.warps import FLAT, NOWHERE, Warp, warped

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

NEUTRAL_K = 6504.0


@dataclass(frozen=True, slots=True)
class Shade:
    """A shadow that falls over the product: a soft edge across the picture.

    `strength` is the share of light it takes where it is full; `angle_deg` the direction into which
    it deepens; `offset` where its edge lies along that direction, from the picture's middle, and
    `softness` how wide the edge is, both in shares of the longer side. Soft ones are the turn of
    the light, hard ones are cast.
    """

    strength: float = 0.0
    angle_deg: float = 0.0
    offset: float = 0.0
    softness: float = 0.1


NO_SHADE, NO_WARP = Shade(), Warp()


@dataclass(frozen=True, slots=True)
class Degradation:
    """Everything that is done to one picture; the defaults do nothing.

    `exposure_ev` in stops; `temperature_k` of the light the picture seems taken in; `blur` standard
    deviation in shares of the longer side; `noise` standard deviation in 8-bit steps, drawn by
    `noise_seed`; `jpeg_quality` 1..95, 0 for none.
    """

    exposure_ev: float = 0.0
    temperature_k: float = NEUTRAL_K
    shade: Shade = NO_SHADE
    warp: Warp = NO_WARP
    blur: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    jpeg_quality: int = 0

    @property
    def changes_mask(self) -> bool:
        return not self.warp.is_identity or self.blur > 0


NOTHING = Degradation()


def draw_degradation(rng: np.random.Generator) -> Degradation:
    """A random degradation in which the product stays what it is; each part comes at its own odds,
    and at least one comes."""
    while True:
        drawn = Degradation(
            exposure_ev=_sometimes(rng, 0.5, rng.uniform(-0.6, 0.5)),
            temperature_k=_drawn_temperature(rng),
            shade=_drawn_shade(rng),
            warp=_drawn_warp(rng),
            blur=_sometimes(rng, 0.4, rng.uniform(0.001, 0.005)),
            noise=_sometimes(rng, 0.5, rng.uniform(2, 12)),
            noise_seed=int(rng.integers(2**31)),
            jpeg_quality=int(_sometimes(rng, 0.5, float(rng.integers(30, 86)))),
        )
        if replace(drawn, noise_seed=0) != NOTHING:
            return drawn


def draw_light(rng: np.random.Generator) -> Degradation:
    """A random degradation that moves no pixel."""
    return replace(draw_degradation(rng), warp=NO_WARP)


def _sometimes(rng: np.random.Generator, odds: float, value: float) -> float:
    return float(value) if rng.random() < odds else 0.0


def _drawn_temperature(rng: np.random.Generator) -> float:
    """Even in reciprocal temperature, as the eye has it."""
    mired = rng.uniform(-45, 80)
    return float(1e6 / (1e6 / NEUTRAL_K + mired)) if rng.random() < 0.5 else NEUTRAL_K


def _drawn_shade(rng: np.random.Generator) -> Shade:
    if rng.random() >= 0.5:
        return NO_SHADE
    soft = rng.uniform(0.15, 0.4) if rng.random() < 0.6 else rng.uniform(0.01, 0.05)
    angle, offset = rng.uniform(0, 360), rng.uniform(-0.2, 0.25)
    return Shade(float(rng.uniform(0.15, 0.55)), float(angle), float(offset), float(soft))


def _drawn_warp(rng: np.random.Generator) -> Warp:
    corners = rng.uniform(-0.025, 0.025, 8) if rng.random() < 0.5 else NOWHERE
    bend = rng.normal(0, 0.008, 18).clip(-0.02, 0.02) if rng.random() < 0.4 else FLAT
    return Warp(tuple(map(float, corners)), tuple(map(float, bend)))


def degraded(picture: Picture, mask: Picture, how: Degradation) -> tuple[Picture, Picture]:
    """The product picture (H, W, 3) on white and its mask (H, W), degraded; the ground stays white.

    The same arguments give the same bytes.
    """
    if how == NOTHING:
        return picture, mask
    picture, mask = warped(picture, mask, how.warp)
    alpha = as_alpha(mask)
    lit = _relit(picture, alpha, how)
    if how.blur:
        lit, alpha = _blurred(lit, alpha, how.blur * max(mask.shape))
    if how.noise:
        grain = np.random.default_rng(how.noise_seed).standard_normal(lit.shape, np.float32)
        lit = (lit + np.float32(how.noise) * grain).astype(np.float32)
    if how.jpeg_quality:
        lit = _compressed(lit, how.jpeg_quality)
    reached = np.clip(alpha * 255, 0, 255) >= 1
    ground = np.where(reached[..., None], lit, 255).astype(np.float32)
    return _bytes(ground), _bytes((alpha * 255).astype(np.float32))


def _bytes(values: Plane) -> Picture:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _relit(picture: Picture, alpha: Plane, how: Degradation) -> Plane:
    """The product under other light, 0..255, on a ground that stays white at its soft edge, too."""
    gain = np.float32(2**how.exposure_ev) * _balance(how.temperature_k)
    light = gain * _shadow(picture.shape[:2], how.shade)[..., None]
    if np.all(light == 1):
        return picture.astype(np.float32)
    cover = alpha[..., None]
    own = 255 + (picture.astype(np.float32) - 255) / np.maximum(cover, 0.05)
    encoded = (own.clip(0, 255) / 255).astype(np.float32)
    return (255 + (_lit(encoded, light) - 255) * cover).astype(np.float32)


def _lit(encoded: Plane, light: Plane) -> Plane:
    """sRGB 0..1 multiplied in linear light, as 0..255."""
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    changed = np.clip(linear * light, 0, 1)
    bright = 1.055 * np.maximum(changed, 0.0031308) ** (1 / 2.4) - 0.055
    return (255 * np.where(changed <= 0.0031308, 12.92 * changed, bright)).astype(np.float32)


def _balance(temperature_k: float) -> Plane:
    """(3,) gains of linear sRGB that turn neutral light into light of this temperature."""
    if temperature_k == NEUTRAL_K:
        return np.ones(3, np.float32)
    gain = _black_body(temperature_k) / _black_body(NEUTRAL_K)
    return (gain / (gain @ [0.2126, 0.7152, 0.0722])).astype(np.float32)


def _black_body(kelvin: float) -> NDArray[np.float64]:
    """Linear sRGB of a black body (Kim et al.'s fit of the Planckian locus, 1667..25000 K)."""
    t = 1000 / float(np.clip(kelvin, 1667, 25000))
    if kelvin <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    return np.maximum(to_rgb @ xyz, 1e-3)


def _shadow(size: tuple[int, ...], shade: Shade) -> Plane:
    """(H, W): the share of light that is left."""
    height, width = size
    if not shade.strength:
        return np.ones((height, width), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    longest = max(height, width)
    angle = np.radians(shade.angle_deg)
    along = ((x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)) / longest
    deep = 1 / (
        1 + np.exp(-np.clip((along - shade.offset) / max(shade.softness / 4, 1e-4), -50, 50))
    )
    return (1 - shade.strength * deep).astype(np.float32)


def _blurred(picture: Plane, alpha: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """Product and mask out of focus together: the product on white stays a product on white."""
    return (
        cv2.GaussianBlur(picture, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE),
        cv2.GaussianBlur(alpha, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE),
    )  # pyright: ignore[reportReturnType]


def _compressed(picture: Plane, quality: int) -> Plane:
    bgr = np.ascontiguousarray(_bytes(picture)[..., ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.float32)[..., ::-1]
