"""A renderer that takes the time of one and makes noise, to measure and break a fleet with.

A campaign's `model: simulated:1.5` names it: 1.5 seconds a render. It is refused unless
`ADLOOM_SIMULATION_JOURNAL` names a file, in which it notes each render that it begins; its weights
hash is its own, so that none of its pictures can be taken for a model's.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adloom.errors import ConfigurationError

if TYPE_CHECKING:
    from models.refadgen.renderer import Picture, RenderRequest

PREFIX = "simulated:"
_LONGEST_S = 3600.0


class SimulatedRenderer:
    """The renderer's interface over `time.sleep` and seeded noise."""

    dtype = "float32"
    device = "simulated"
    native_unit = 16
    reference_size = 128
    reference_frame = "canonical"
    max_tokens = 10_000

    def __init__(self, seconds: float, journal: Path) -> None:
        self._seconds, self._journal = seconds, journal
        self.weights_hash = hashlib.sha256(f"{PREFIX}{seconds}".encode()).hexdigest()

    def count_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        del prompt
        return ()

    def render(self, request: "RenderRequest") -> "list[Picture]":
        """One (H, W, 3) uint8 picture of coarse noise per item; the same for the same seed."""
        with self._journal.open("a", encoding="utf-8") as file:
            for item in request.items:
                begun = {"at": time.time(), "seed": item.seed, "pid": os.getpid()}
                file.write(json.dumps(begun) + "\n")
        time.sleep(self._seconds * len(request.items))
        return [_noise(item.seed, item.mask.shape) for item in request.items]


def is_simulated(model: str) -> bool:
    return model.startswith(PREFIX)


def simulated_renderer(model: str, journal: Path | None) -> SimulatedRenderer:
    """The renderer that `model` names. Raises ConfigurationError."""
    if journal is None:
        raise ConfigurationError(
            f"the model '{model}' makes noise, no pictures of products",
            where="model",
            hint="name weights; only simulations set ADLOOM_SIMULATION_JOURNAL",
        )
    try:
        seconds = float(model.removeprefix(PREFIX))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= _LONGEST_S:
        raise ConfigurationError(
            f"'{model}' names no time",
            where="model",
            hint=f"write {PREFIX}SECONDS, at most {_LONGEST_S:.0f}, such as {PREFIX}0.5",
        )
    return SimulatedRenderer(seconds, journal)


def _noise(seed: int, shape: Sequence[int]) -> "Picture":
    height, width = shape
    coarse = np.random.default_rng(seed).integers(
        0, 256, (-(-height // 16), -(-width // 16), 3), dtype=np.uint8
    )
    return np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)[:height, :width]
