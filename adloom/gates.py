"""Gates: scores in, verdict out. A rejection is an outcome, never an exception."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from adloom.finishing_spec import DetailLock


class Decision(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    NEEDS_REVIEW = "needs_review"


@dataclass(frozen=True, slots=True)
class Gate:
    """One bound on one score, for example `model.identity >= 0.62`.

    A value within `margin` on either side of the bound is a near miss: it needs review.
    """

    score: str
    min: float | None = None
    max: float | None = None
    margin: float = 0.0

    def judge(self, value: float) -> Decision:
        slack = min(
            value - self.min if self.min is not None else float("inf"),
            self.max - value if self.max is not None else float("inf"),
        )
        if slack < -self.margin:
            return Decision.REJECTED
        return Decision.NEEDS_REVIEW if slack < self.margin else Decision.APPROVED

    @property
    def reason(self) -> str:
        """The reason code of a miss: `model.identity` -> `MODEL_IDENTITY`."""
        return self.score.replace(".", "_").upper()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a creative was not approved: code, the value, and the bound it missed."""

    code: str
    score: str
    value: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reasons: tuple[Reason, ...] = ()


def detail_lock_reasons(
    lock: str | None, agreement: float | None, *, min_agreement: float
) -> tuple[Reason, ...]:
    """Why a creative is rejected whose detail lock was refused: the render shows no such product.

    `lock`: what became of it, a `DetailLock` or its recorded value; `agreement`: IoU of the
    render's own product with the placed mask. Empty where the lock was applied or not asked for.
    """
    if lock != DetailLock.REFUSED:
        return ()
    return (Reason("DETAIL_LOCK_REFUSED", "agreement", agreement, min_agreement, None),)


def gate_set_hash(gates: Sequence[Gate]) -> str:
    """Sha256 over the gates, whatever their order."""
    text = json.dumps(sorted((asdict(g) for g in gates), key=str), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def judge(
    scores: Mapping[str, float], gates: Sequence[Gate], *, extra: Sequence[Reason] = ()
) -> Verdict:
    """The verdict of all gates over the scores `{'model.identity': 0.8, …}`.

    A score that is missing or not a number needs review: nothing is approved unseen. `extra` are
    reasons found elsewhere (a refused detail lock) and reject by themselves.
    """
    reasons, decision = list(extra), Decision.REJECTED if extra else Decision.APPROVED
    for gate in gates:
        value = scores.get(gate.score)
        if value is None or value != value:  # a NaN is no score
            reasons.append(Reason(f"{gate.reason}_MISSING", gate.score, None, gate.min, gate.max))
            outcome = Decision.NEEDS_REVIEW
        else:
            outcome = gate.judge(value)
            if outcome is not Decision.APPROVED:
                code = gate.reason if outcome is Decision.REJECTED else f"{gate.reason}_NEAR"
                reasons.append(Reason(code, gate.score, value, gate.min, gate.max))
        decision = worse(decision, outcome)
    return Verdict(decision, tuple(reasons))


_RANK = {Decision.APPROVED: 0, Decision.NEEDS_REVIEW: 1, Decision.REJECTED: 2}


def worse(a: Decision, b: Decision) -> Decision:
    return a if _RANK[a] >= _RANK[b] else b


DEFAULT_GATES: tuple[Gate, ...] = (
    Gate("model.identity", min=0.57, margin=0.02),
    Gate("model.growth", max=0.35, margin=0.05),
    Gate("final.sharpness", min=0.05),
    Gate("final.clipping", max=0.30),
    Gate("final.safety", min=0.5, margin=0.1),
)
"""Used where a campaign names no gates; calibrated for the shipped weights (docs/gates.md)."""
