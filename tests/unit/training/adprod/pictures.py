"""Made-up ads: a striped product on a soft ground, and ways to spoil them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
SIDE = 240


def ad(seed: int, at: tuple[int, int] = (120, 130), radius: int = 55) -> Picture:
    """(240, 240, 3): a striped ball on a ground of one colour and some grain."""
    rng = np.random.default_rng(seed)
    ground = np.array(rng.integers(150, 220, 3), float)
    picture = np.ones((SIDE, SIDE, 3)) * ground + rng.normal(0, 3, (SIDE, SIDE, 1))
    picture += np.linspace(-15, 15, SIDE)[:, None, None]
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    alpha = np.clip(radius - np.hypot(x - at[0], y - at[1]) + 0.5, 0, 1)[..., None]
    wave = 60 * np.sin((x + y) / rng.uniform(3, 6))[..., None]
    colour = np.array(rng.integers(20, 90, 3), float) + wave
    return np.rint(picture + (colour - picture) * alpha).clip(0, 255).astype(np.uint8)


def mask(at: tuple[int, int] = (120, 130), radius: int = 55) -> Picture:
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    return ((np.hypot(x - at[0], y - at[1]) <= radius) * 255).astype(np.uint8)


def with_text(picture: Picture, words: str = "SUMMER SALE") -> Picture:
    marked = picture.copy()
    cv2.putText(marked, words, (14, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (10, 10, 10), 2)
    return marked


def with_watermark(picture: Picture, opacity: float = 0.12) -> Picture:
    """The same faint word all over."""
    layer = picture.copy()
    for y in range(20, SIDE, 36):
        for x in range(0, SIDE, 70):
            cv2.putText(layer, "shop", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    return np.rint(picture + (layer.astype(float) - picture) * opacity).astype(np.uint8)


def save(folder: Path, name: str, picture: Picture) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path
