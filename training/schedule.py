"""The learning rate over a run whose length is given in steps or in minutes."""

from math import cos, pi

FLOOR = 0.02  # share of the peak rate that is left at the end


def warmup_cosine(step: int, warmup: int, progress: float) -> float:
    """Factor on the peak rate: linear over `warmup` steps, then half a cosine over `progress`
    in [0, 1] down to FLOOR."""
    rise = min(1.0, (step + 1) / max(1, warmup))
    fall = FLOOR + (1 - FLOOR) * 0.5 * (1 + cos(pi * min(1.0, max(0.0, progress))))
    return rise * fall
