"""A renderer that takes the time of one and makes noise, to measure and break a fleet with.

A campaign's `model: simulated:1.5` names it: 1.5 seconds a render. It is refused unless
`ADLOOM_SIMULATION_JOURNAL` names a file, in which it notes each render that it begins; its weights
hash is its own, so that none of its pictures can be taken for a model's.

Masks and scores of its pictures are made up as well where `ADLOOM_SIMULATE_SCORES` says so: many
simulated GPUs share few cores, which the scoring networks would keep busy by themselves. They have
a scorer's revision of their own, so that a real scorer measures again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adloom.errors import ConfigurationError
from adloom.scores import Metric, Scores, Stage
from tasks.simulated_faults import suffered

if TYPE_CHECKING:
    from models.refadgen.render_items import Outcome, Picture, RenderItem

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

    @property
    def engine(self) -> "SimulatedEngine":
        return SimulatedEngine(self._seconds, self._journal)


@dataclass(frozen=True, slots=True)
class SimulatedEngine:
    """The batch engine's interface: micro-batches of items in, pictures out."""

    seconds: float
    journal: Path

    def render(
        self,
        items: "Iterable[RenderItem]",
        references: object,
        at_most: int,
        still_wanted: "Callable[[Sequence[RenderItem]], Sequence[RenderItem]]",
    ) -> "Iterator[Outcome]":
        """Coarse noise for each item, the same for the same seed, or its fault; see
        BatchEngine.render."""
        from models.refadgen.microbatches import micro_batches  # imports torch
        from models.refadgen.render_items import Kind, NotRendered, Rendered

        del references
        for batch in micro_batches(items, Kind.of, lambda _: at_most):
            wanted = still_wanted(batch)
            self._note(wanted)
            time.sleep(self.seconds * len(wanted))
            for item in wanted:
                error = suffered(self.journal, item.seed)
                if error is not None:
                    yield NotRendered(item, error)
                else:
                    yield Rendered(item, _noise(item.seed, item.mask.shape), self.seconds)

    def _note(self, items: "Sequence[RenderItem]") -> None:
        begun = [
            {"at": time.time(), "seed": i.seed, "pid": os.getpid(), "seconds": self.seconds}
            for i in items
        ]
        with self.journal.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in begun))


@dataclass(frozen=True, slots=True)
class MadeUpMask:
    """All of a picture is its product; of an extractor's answer only what renders need."""

    mask: "Picture"


class SimulatedExtractor:
    """What finds the product in a render, without looking."""

    def extract(self, picture: "Picture") -> MadeUpMask:
        return MadeUpMask(np.full(picture.shape[:2], 255, np.uint8))


class SimulatedScorer:
    """The scorer's interface: every picture is flawless."""

    revision = "simulated"

    def score_render(self, *seen: object) -> Scores:
        del seen
        return self._scores(Stage.MODEL, {Metric.GROWTH: 0.0, Metric.COVERAGE: 1.0})

    def score_final(self, *seen: object) -> Scores:
        del seen
        return self._scores(Stage.FINAL, {Metric.SAFETY: 1.0})

    def _scores(self, stage: Stage, more: dict[Metric, float]) -> Scores:
        flawless = {Metric.IDENTITY: 1.0, Metric.SHARPNESS: 1.0, Metric.CLIPPING: 0.0, **more}
        return Scores(stage, self.revision, {metric.value: v for metric, v in flawless.items()})


def require_simulation(journal: Path | None) -> None:
    """Raises ConfigurationError where scores are to be made up and no simulation is allowed."""
    if journal is None:
        raise ConfigurationError(
            "scores would be made up",
            where="ADLOOM_SIMULATE_SCORES",
            hint="unset it; only simulations set it, and ADLOOM_SIMULATION_JOURNAL",
        )


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
