"""The learning rate over a run whose length is given in steps or in minutes."""

from math import cos, pi
from typing import Literal

FLOOR = 0.02  # share of the peak rate that is left at a cosine's end

Schedule = Literal["cosine", "linear", "constant"]


def rate_factor(kind: Schedule, step: int, warmup: int, progress: float) -> float:
    """Factor on the peak rate: linear over `warmup` steps, then as the kind has it over `progress`
    in [0, 1]: half a cosine down to FLOOR, a line down to 0, or no change."""
    if kind == "cosine":
        return warmup_cosine(step, warmup, progress)
    fall = 1.0 - min(1.0, max(0.0, progress)) if kind == "linear" else 1.0
    return _rise(step, warmup) * fall


def warmup_cosine(step: int, warmup: int, progress: float) -> float:
    """Factor on the peak rate: linear over `warmup` steps, then half a cosine over `progress`
    in [0, 1] down to FLOOR."""
    fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * min(1.0, max(0.0, progress))))
    return _rise(step, warmup) * fall


def _rise(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / max(1, warmup))
