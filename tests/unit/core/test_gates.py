import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.finishing_spec import DetailLock
from adloom.gates import (
    DEFAULT_GATES,
    Decision,
    Gate,
    Reason,
    detail_lock_reasons,
    gate_set_hash,
    judge,
    worse,
)

scores = st.dictionaries(
    st.sampled_from([g.score for g in DEFAULT_GATES]), st.floats(0, 1), max_size=5
)


@pytest.mark.parametrize(
    ("value", "decision"),
    [
        (0.70, Decision.APPROVED),
        (0.62, Decision.NEEDS_REVIEW),
        (0.58, Decision.NEEDS_REVIEW),
        (0.50, Decision.REJECTED),
    ],
)
def test_near_misses_on_either_side_need_review(value: float, decision: Decision) -> None:
    assert Gate("model.identity", min=0.6, margin=0.05).judge(value) is decision


@given(scores)
def test_what_is_not_approved_has_a_reason_and_what_is_has_none(values: dict[str, float]) -> None:
    verdict = judge(values, DEFAULT_GATES)
    assert (verdict.decision is Decision.APPROVED) == (not verdict.reasons)


@given(scores)
def test_the_verdict_is_that_of_the_worst_gate(values: dict[str, float]) -> None:
    alone = [judge(values, [g]).decision for g in DEFAULT_GATES]
    worst = Decision.APPROVED
    for decision in alone:
        worst = worse(worst, decision)
    assert judge(values, DEFAULT_GATES).decision is worst


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_missing_score_is_never_approved_unseen(value: float | None) -> None:
    given_scores = {} if value is None else {"model.identity": value}
    verdict = judge(given_scores, [Gate("model.identity", min=0.5)])
    assert verdict.decision is Decision.NEEDS_REVIEW
    assert verdict.reasons[0].code == "MODEL_IDENTITY_MISSING"


def test_the_hash_of_a_gate_set_does_not_depend_on_its_order() -> None:
    assert gate_set_hash(DEFAULT_GATES) == gate_set_hash(tuple(reversed(DEFAULT_GATES)))
    assert gate_set_hash(DEFAULT_GATES) != gate_set_hash(DEFAULT_GATES[1:])


@pytest.mark.parametrize("lock", [DetailLock.APPLIED, DetailLock.OFF, "applied", None])
def test_a_detail_lock_that_was_not_refused_is_no_reason(lock: str | None) -> None:
    assert detail_lock_reasons(lock, 0.1, min_agreement=0.55) == ()


@pytest.mark.parametrize("lock", [DetailLock.REFUSED, "refused"])
def test_a_refused_detail_lock_rejects_whatever_the_scores_say(lock: str) -> None:
    extra = detail_lock_reasons(lock, 0.1, min_agreement=0.55)
    verdict = judge({"model.identity": 0.9}, [Gate("model.identity", min=0.5)], extra=extra)
    assert verdict.decision is Decision.REJECTED
    assert verdict.reasons == (Reason("DETAIL_LOCK_REFUSED", "agreement", 0.1, 0.55, None),)
