"""Lines of a table of yields."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from adloom.run_figures import JUDGED
from adloom.states import Outcome


@dataclass(frozen=True, slots=True)
class YieldLine:
    """Creatives with one value of a dimension; `share`: approved of all that were judged."""

    value: str
    items: int
    approved: int
    review: int
    rejected: int
    failed: int
    share: float | None


def yield_lines(found: Mapping[str, Mapping[Outcome, int]]) -> list[YieldLine]:
    """By value, in order."""
    return [_line(value, outcomes) for value, outcomes in sorted(found.items())]


def without_versions(found: Mapping[str, Mapping[Outcome, int]]) -> dict[str, dict[Outcome, int]]:
    """`slug@version` values summed by slug."""
    summed: dict[str, Counter[Outcome]] = {}
    for value, outcomes in found.items():
        summed.setdefault(value.rpartition("@")[0], Counter()).update(outcomes)
    return {slug: dict(counts) for slug, counts in summed.items()}


def _line(value: str, outcomes: Mapping[Outcome, int]) -> YieldLine:
    judged = sum(outcomes.get(o, 0) for o in JUDGED)
    approved = outcomes.get(Outcome.APPROVED, 0)
    return YieldLine(
        value or "(none)",
        sum(outcomes.values()),
        approved,
        outcomes.get(Outcome.NEEDS_REVIEW, 0),
        outcomes.get(Outcome.REJECTED, 0),
        outcomes.get(Outcome.FAILED, 0),
        approved / judged if judged else None,
    )
