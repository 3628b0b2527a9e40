"""The render's light on the photo's product.

What the model drew right about the product is its light, which is smooth; what it draws wrong is
detail. So of the rendered product only the low frequencies are kept: a gain (its low-passed
luminance over the photo's, as far as it is trusted) and the light's colour, a factor of each
channel (von Kries), since what a surface reflects is its own colour times the light's. What this
moves a pixel in the a, b plane of CIE Lab is bounded. Versions 1 and 2 of finishing, and the gates'
views (`views`), add one smooth shift in that plane instead, which tints black like white.
"""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

import cv2
import numpy as np

from adloom.imaging.arrays import Plane, Rgb, luma

_SMOOTH = 0.16  # the low-pass's sigma, as a share of the product's size
_FLOOR = 8.0  # levels: keeps the ratio of two blacks at 1


@dataclass(frozen=True, slots=True)
class Trust:
    """How much of a factor's logarithm is taken: of its mean over the product (`level`), and of
    what differs from that from place to place (`shape`)."""

    level: float = 1.0
    shape: float = 1.0


WHOLE: Final = Trust()
MODELS: Final = Trust(0.7, 0.3)
"""Of a model's light: the slopes of path-traced light on the light that `mini-256` draws, least
squares through the origin over 64 ads of AdProd-mini (docs/finishing.md)."""

MODELS_CAST: Final = Trust(1.0, 0.2)
"""Of the colour of a model's light: by such slopes over other renders (docs/finishing.md)."""


@dataclass(frozen=True, slots=True)
class Light:
    """Native maps: `gain` (H, W) is a factor; of colour there is either a `shift` (H, W, 2), which
    is added to Lab's a and b, or a `cast` (H, W, 3), a factor of each channel, which moves no pixel
    by more than `shift_max` in that plane (see `tinted`)."""

    gain: Plane
    shift: Plane | None = None
    cast: Plane | None = None
    shift_max: float = inf


def light_of(
    render: Rgb,
    photo: Rgb,
    weight: Plane,
    *,
    gain_min: float,
    gain_max: float,
    shift_max: float,
    trust: Trust = WHOLE,
    cast_trust: Trust | None = None,
) -> Light:
    """The light of `render` relative to `photo`, both native and in place.

    `weight` (H, W) in 0..1 says where both show the product; means are taken there alone. `trust`
    draws the gain's mean towards 1, and what varies towards the mean. The gain lies in [gain_min,
    gain_max] and never blows out what the photo still resolves.

    What is not trusted of the light's strength is no colour: the shift, at most `shift_max` long
    (ΔE at equal luminance), is that under the whole gain. Where `cast_trust` is given there is a
    cast in its place, that between colours of one luminance, which `shift_max` bounds.
    """
    sigma = max(1.0, _SMOOTH * sqrt(float(weight.sum())))
    rendered, original = _smooth(luma(render), weight, sigma), _smooth(luma(photo), weight, sigma)
    headroom = _headroom(photo, weight, sigma)

    def bounded(gain: Plane) -> Plane:
        return np.asarray(np.minimum(np.clip(gain, gain_min, gain_max), headroom), np.float32)

    whole: Plane = np.divide(rendered + _FLOOR, original + _FLOOR, dtype=np.float32)
    gain = bounded(_trusted(whole, weight, trust))
    if cast_trust is not None:
        colours = (picture.astype(np.float32) for picture in (render, photo))
        found = _cast(*(_smooth(picture, weight, sigma) for picture in colours))
        channels = [_trusted(found[..., k], weight, cast_trust) for k in range(3)]
        return Light(gain, cast=np.stack(channels, axis=2), shift_max=shift_max)
    lit = np.clip(photo * bounded(whole)[..., None], 0, 255).astype(np.float32)
    shift = _smooth(_ab(render.astype(np.float32)) - _ab(lit), weight, sigma)
    return Light(gain, _at_most(shift, shift_max))


def lit(colours: Rgb, gain: Plane, shift: Plane | None = None) -> Plane:
    """(H, W, 3) 0..255 the colours under a light of the same height and width."""
    brighter = np.clip(colours * gain[..., None], 0, 255).astype(np.float32)
    return brighter if shift is None else _shifted(brighter, _lab(brighter), shift)


def tinted(colours: Plane, cast: Plane, shift_max: float) -> Plane:
    """(H, W, 3) 0..255 the colours times a cast of their shape, at their own luminance; each pixel
    is moved at most `shift_max` in a and b of Lab and keeps its L, as far as sRGB has such colours.
    """
    lab = _lab(colours)
    under = np.clip(_in_luminance(colours * cast, luma(colours)), 0, 255)
    shift = _ab(under) - lab[..., 1:]
    return _shifted(colours, lab, _at_most(shift, shift_max))


def _cast(drawn: Plane, own: Plane) -> Plane:
    """(H, W, 3) the factors from the photo's smooth colours (`own`, levels) to the render's
    (`drawn`), both in the luminance of the darker, where the floor counts for as much."""
    least = np.minimum(luma(drawn), luma(own))
    own, drawn = _in_luminance(own, least), _in_luminance(drawn, least)
    return np.divide(drawn + _FLOOR, own + _FLOOR, dtype=np.float32)


def _in_luminance(colours: Plane, luminance: Plane) -> Plane:
    """The colours, each in the luminance (H, W) at its place."""
    factor: Plane = np.divide(luminance + 1e-3, luma(colours) + 1e-3, dtype=np.float32)
    return colours * factor[..., None]


def _shifted(colours: Plane, lab: Plane, shift: Plane) -> Plane:
    """Colours moved by a shift of a and b; `lab`: they in Lab."""
    if not np.any(np.abs(shift) > 0.05):
        return colours
    shifted = np.concatenate([lab[..., :1], lab[..., 1:] + shift], axis=2)
    moved = np.asarray(cv2.cvtColor(shifted, cv2.COLOR_Lab2RGB), np.float32)
    return np.clip(moved, 0, 1) * np.float32(255)


def _at_most(shift: Plane, length: float) -> Plane:
    own = np.linalg.norm(shift, axis=2, keepdims=True)
    return np.asarray(shift * np.minimum(1, length / np.maximum(own, 1e-6)), np.float32)


def _trusted(factor: Plane, weight: Plane, trust: Trust) -> Plane:
    if trust == WHOLE:
        return factor
    logarithm = np.log(factor)
    level = float((logarithm * weight).sum() / max(float(weight.sum()), 1e-6))
    trusted = np.exp(trust.level * level + trust.shape * (logarithm - level))
    return np.asarray(trusted, np.float32)


def _smooth(plane: Plane, weight: Plane, sigma: float) -> Plane:
    """Gaussian mean over the weighted pixels; where none is near, the mean of all of them."""
    mass = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32)
    inked = plane * (weight if plane.ndim == 2 else weight[..., None])
    total = np.asarray(cv2.GaussianBlur(inked, (0, 0), sigma), np.float32)
    mean = inked.sum((0, 1)) / max(float(weight.sum()), 1e-6)
    if plane.ndim == 3:
        mass = mass[..., None]
    # A trace of the overall mean steadies the quotient where the product is far away.
    quotient: Plane = np.divide(total + 1e-3 * mean, mass + 1e-3, dtype=np.float32)
    return quotient


def _headroom(photo: Rgb, weight: Plane, sigma: float) -> Plane:
    """The gain at which the brightest channel nearby reaches white; at least 1."""
    brightest = np.maximum(np.maximum(photo[..., 0], photo[..., 1]), photo[..., 2])
    brightest = brightest * (weight > 0.5).astype(np.uint8)
    side = 2 * round(sigma / 2) + 1
    nearby = cv2.dilate(brightest, np.ones((side, side), np.uint8)).astype(np.float32)
    smooth = cv2.GaussianBlur(nearby, (0, 0), sigma / 2)
    return np.maximum(1, 252 / np.maximum(np.maximum(smooth, nearby), 1)).astype(np.float32)


def _lab(rgb: Plane) -> Plane:
    return np.asarray(cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2Lab), np.float32)


def _ab(rgb: Plane) -> Plane:
    return _lab(rgb)[..., 1:]
