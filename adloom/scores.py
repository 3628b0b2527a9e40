"""Scores of an image and the names they are kept under.

`model.*` are measured on the raw render, `final.*` on the finished image. Gates on identity and
product growth read `model.*`: the model is judged by itself, never by what finishing pastes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Which picture was scored."""

    MODEL = "model"
    FINAL = "final"


class Metric(StrEnum):
    """What is measured. All but `growth` and `clipping` are better when larger."""

    IDENTITY = "identity"  # cosine of product features, render against photo, matched resolution
    GROWTH = "growth"  # product area outside the placed mask / placed area; 0 is perfect
    COVERAGE = "coverage"  # share of the placed mask that shows the product
    SHARPNESS = "sharpness"  # gradient energy at the picture's own scale, 0..1
    CLIPPING = "clipping"  # share of px blown out or crushed
    SAFETY = "safety"  # 1 - probability of unsafe content


@dataclass(frozen=True, slots=True)
class Scores:
    """Values of one picture by metric, and the revision of what measured them."""

    stage: Stage
    revision: str
    values: Mapping[str, float]

    def flat(self) -> dict[str, float]:
        """{'model.identity': 0.83, …}"""
        return {f"{self.stage}.{name}": value for name, value in self.values.items()}
