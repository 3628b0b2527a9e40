"""Random fields and small image operations that every part of the generator draws on.

Images are float32 in [0, 1], shape (H, W, 3), sRGB-coded; fields are float32, shape (H, W).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

# OpenCV's stubs do not tell element types apart: the names say what is meant.
F32: TypeAlias = NDArray[Any]
U8: TypeAlias = NDArray[Any]
T = TypeVar("T")


def f32(values: ArrayLike) -> F32:
    """The values as a float32 array."""
    return np.asarray(values, np.float32)


def fractal(
    rng: np.random.Generator, size: int, beta: float = 2.0, stretch: tuple[float, float] = (1, 1)
) -> F32:
    """Tileable noise (size, size) in [0, 1] with a power spectrum of 1/f**beta.

    `stretch` (x, y) above one lengthens the features along that axis.
    """
    fy = np.fft.fftfreq(size)[:, None] * stretch[1]
    fx = np.fft.rfftfreq(size)[None, :] * stretch[0]
    power = (fx * fx + fy * fy + (0.5 / size) ** 2) ** (-beta / 2)
    power[0, 0] = 0.0
    phase = rng.standard_normal(power.shape) + 1j * rng.standard_normal(power.shape)
    field = np.fft.irfft2(phase * np.sqrt(power), s=(size, size))
    low, high = np.percentile(field, [0.5, 99.5])
    return np.clip((field - low) / (high - low), 0, 1).astype(np.float32)


def blobs(rng: np.random.Generator, height: int, width: int, cells: int) -> F32:
    """Cheap smooth noise (height, width) in [0, 1] with about `cells` features per side."""
    grid = rng.random((cells + 1, cells + 1), dtype=np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def blur(image: F32, sigma: float) -> F32:
    """Gaussian blur that leaves the image alone when `sigma` is tiny."""
    return image if sigma < 0.2 else cv2.GaussianBlur(image, (0, 0), sigma)


def smoothstep(low: float, high: float, x: F32) -> F32:
    """0 below `low`, 1 above `high`, a cubic in between (the edges may be swapped)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def mix(a: F32, b: F32, t: F32 | float) -> F32:
    """Linear blend of two images; a field `t` (H, W) is spread over the channels."""
    if isinstance(t, np.ndarray) and t.ndim == 2 and max(a.ndim, b.ndim) == 3:
        t = t[..., None]
    return (a + (b - a) * t).astype(np.float32)


def ramp(colours: ArrayLike | Sequence[ArrayLike], t: F32) -> F32:
    """Colour map: `t` (H, W) in [0, 1] through evenly spaced colours -> (H, W, 3)."""
    table = np.asarray(colours, dtype=np.float32)
    stops = np.linspace(0, 255, len(table))
    lut = np.stack([np.interp(np.arange(256), stops, table[:, c]) for c in range(3)], axis=-1)
    return lut.astype(np.float32)[(np.clip(t, 0, 1) * 255).astype(np.uint8)]


def flat(height: int, width: int, colour: ArrayLike) -> F32:
    """A plain image of one colour."""
    return np.broadcast_to(np.asarray(colour, np.float32), (height, width, 3)).copy()


def grid(height: int, width: int) -> tuple[F32, F32]:
    """Pixel-centre coordinates x, y in [0, 1], each (height, width)."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))


def warp(image: F32, dx: F32, dy: F32) -> F32:
    """Shift every pixel's source by (dx, dy) px, wrapping at the border."""
    height, width = image.shape[:2]
    xs = np.arange(width, dtype=np.float32)[None, :] + dx
    ys = np.arange(height, dtype=np.float32)[:, None] + dy
    return cv2.remap(image, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform draw as a plain float."""
    return float(rng.uniform(low, high))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, evenly (numpy's `choice` would turn it into an array)."""
    return options[int(rng.integers(len(options)))]
