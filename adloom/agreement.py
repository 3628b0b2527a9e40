"""How far the gates and the people who review agree. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from adloom.gates import Decision
from adloom.states import ReviewDecision

Z_95 = 1.959964


def wilson(successes: int, trials: int, *, z: float = Z_95) -> tuple[float, float] | None:
    """Wilson's score interval of a share (E. B. Wilson, 1927), which holds for few trials and for
    shares near 0 and 1; None where nothing was tried."""
    if trials == 0:
        return None
    share, z2 = successes / trials, z * z
    middle = share + z2 / (2 * trials)
    half = z * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    low, high = (middle - half) / (1 + z2 / trials), (middle + half) / (1 + z2 / trials)
    return max(0.0, low), min(1.0, high)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Images that people reviewed: how many they approved and rejected, by what the gates say."""

    counts: tuple[tuple[Decision, int, int], ...]

    def of(self, decision: Decision) -> tuple[int, int]:
        """(approved, rejected) by people, of what the gates decided so."""
        return next(((a, r) for d, a, r in self.counts if d is decision), (0, 0))

    @property
    def reviewed(self) -> int:
        return sum(a + r for _, a, r in self.counts)

    @property
    def precision(self) -> float | None:
        """How many of the images that the gates approve people approve too."""
        approved, rejected = self.of(Decision.APPROVED)
        return approved / (approved + rejected) if approved + rejected else None

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """95 % interval of `precision`."""
        approved, rejected = self.of(Decision.APPROVED)
        return wilson(approved, approved + rejected)


def agreement(pairs: Iterable[tuple[Decision, ReviewDecision]]) -> Agreement:
    """Of what gates and a person said of each image."""
    counts = {decision: [0, 0] for decision in Decision}
    for gates, person in pairs:
        counts[gates][person is not ReviewDecision.APPROVE] += 1
    return Agreement(tuple((d, a, r) for d, (a, r) in counts.items()))
