"""The light of a scene: its words, its colours, the shadows that windows throw."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.scenes_synth.fields import F32, blur, grid
from training.scenes_synth.scale import PX

Tone = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LightKind:
    """A kind of light: words, colours of key and ambient, pattern of shadow, how much a pool."""

    name: str
    phrases: tuple[str, ...]
    key: Tone
    ambient: Tone
    gobo: str = ""  # "", "leaves", "blinds" or "window"
    pool: float = 0.0  # 0 even .. 1 only about the product
    dim: float = 1.0  # of the backdrop


LIGHTS: Final[dict[str, LightKind]] = {
    k.name: k
    for k in (
        LightKind("studio", ("soft studio light",), (0.46, 0.46, 0.46), (0.54, 0.54, 0.54)),
        LightKind("daylight", ("bright daylight", "soft daylight"), (0.55, 0.55, 0.53),
                  (0.5, 0.51, 0.53)),
        LightKind("morning", ("soft morning light", "morning light"), (0.56, 0.52, 0.44),
                  (0.52, 0.51, 0.5), "", 0.15),
        LightKind("golden", ("golden hour light", "warm sunlight"), (0.74, 0.54, 0.26),
                  (0.42, 0.36, 0.34), "", 0.2),
        LightKind("leaf-shadows", ("sunlight with leaf shadows", "soft leaf shadows"),
                  (0.66, 0.61, 0.5), (0.44, 0.44, 0.47), "leaves"),
        LightKind("blinds", ("sunlight through blinds", "window blinds shadows"),
                  (0.7, 0.61, 0.45), (0.42, 0.41, 0.44), "blinds"),
        LightKind("window", ("window light",), (0.66, 0.63, 0.55), (0.42, 0.43, 0.47), "window"),
        LightKind("cool", ("cool light", "cold winter light"), (0.42, 0.5, 0.6),
                  (0.46, 0.51, 0.6)),
        LightKind("dramatic", ("dramatic light", "dark moody light"), (0.85, 0.78, 0.68),
                  (0.14, 0.14, 0.17), "", 0.85, 0.4),
        LightKind("neon", ("pink and blue neon light", "neon light"), (0.85, 0.32, 0.66),
                  (0.34, 0.4, 0.7), "", 0.3, 0.95),
        LightKind("candle", ("warm candle light", "warm evening light"), (0.72, 0.56, 0.36),
                  (0.4, 0.31, 0.25), "", 0.5, 0.9),
        LightKind("moon", ("blue moonlight",), (0.42, 0.5, 0.7), (0.2, 0.25, 0.42), "", 0.4, 0.75),
    )
}  # fmt: skip


TINT_KEPT: Final = 0.45
DIM: Final = 0.8


def on_product(kind: LightKind, tone: Tone, factor: float) -> Tone:
    """`tone`, a part of `kind`'s light, as it falls on the product: less coloured than the
    scene's and lifted where it is dark, as an advertiser lights what is to be sold."""
    total = sum(0.6 * k + a for k, a in zip(kind.key, kind.ambient, strict=True)) / 3
    lift = max(1.0, (DIM / total) ** 0.7)
    mean = sum(tone) / 3
    r, g, b = ((mean + TINT_KEPT * (c - mean)) * factor * lift for c in tone)
    return r, g, b


def gobo(rng: np.random.Generator, kind: str, height: int, width: int) -> F32:
    """How much key light reaches each pixel (height, width), in [0, 1], behind a pattern."""
    if kind == "":
        return np.ones((height, width), np.float32)
    x, y = grid(height, width)
    if kind == "blinds":
        slant = rng.uniform(0.25, 0.7) * (1 if rng.random() < 0.5 else -1)
        wave = np.sin(2 * np.pi * rng.uniform(5, 8) * (y * height / width + slant * x))
        return 0.15 + 0.85 * blur(np.clip(wave * 3 + 0.5, 0, 1).astype(np.float32), 1.2 * PX)
    mask = np.full((height, width), 255, np.uint8)
    if kind == "window":
        mask[:] = 40
        x0, lean = rng.uniform(-0.2, 0.3) * width, rng.uniform(-0.4, 0.4) * height
        for i in range(2):
            for j in range(3):
                left, top = x0 + i * 0.42 * width, (j - 0.3) * 0.42 * height
                pane = np.array([[left, top], [left + 0.36 * width, top + lean * 0.3],
                                 [left + 0.36 * width, top + 0.36 * height + lean * 0.3],
                                 [left, top + 0.36 * height]])  # fmt: skip
                cv2.fillConvexPoly(mask, pane.astype(np.int32), 255, cv2.LINE_AA)
        return blur(mask.astype(np.float32) / 255, 2.2 * PX)
    for _ in range(int(rng.integers(5, 10))):
        root = np.array([rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 0.7) * height])
        lean = rng.uniform(0, 2 * np.pi)
        for k in range(6):
            at = root + k * 0.07 * width * np.array([np.cos(lean), np.sin(lean)])
            axes = (int(0.12 * width), max(2, int(0.028 * width)))
            turn = np.degrees(lean) + (50 if k % 2 else -50)
            cv2.ellipse(mask, (int(at[0]), int(at[1])), axes, turn, 0, 360, 60, -1, cv2.LINE_AA)
    return blur(mask.astype(np.float32) / 255, rng.uniform(1.5, 3.0) * PX)
