"""Which submissions a worker may yet begin, and which runs are resumed, by their flow runs."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from adloom.records import OrphanedRun, Submission
from adloom.states import Trigger
from tasks.dispatching import is_on_its_way, is_to_resume


@pytest.mark.parametrize(
    ("kind", "since_s", "taken_by", "expected"),
    [
        (StateType.SCHEDULED, 900, None, True),
        (StateType.RUNNING, 5, None, True),  # waited long, claimed just now
        (StateType.RUNNING, 900, None, False),
        (StateType.RUNNING, 900, "w0:1", True),
        (StateType.CRASHED, 5, "w0:1", False),
        (StateType.COMPLETED, 5, None, False),
    ],
)
def test_a_flow_run_counts_from_its_last_change(
    kind: StateType, since_s: float, taken_by: str | None, expected: bool
) -> None:
    state = State(type=kind, timestamp=datetime.now(UTC) - timedelta(seconds=since_s))
    one = Submission(1, 1, 1, 1, "flow-run", taken_by, taker_is_alive=True, age_s=900.0)
    assert is_on_its_way(FlowRun(flow_id=uuid4(), state=state), one) is expected


def test_a_flow_run_that_is_gone_is_lost() -> None:
    one = Submission(1, 1, 1, 1, "flow-run", None, taker_is_alive=False, age_s=900.0)
    assert not is_on_its_way(None, one)


@pytest.mark.parametrize(
    ("trigger", "deployment", "kind", "expected"),
    [
        (Trigger.MANUAL, None, StateType.CRASHED, False),  # a person's, in a terminal
        (Trigger.MANUAL, uuid4(), StateType.CRASHED, True),
        (Trigger.MANUAL, uuid4(), StateType.SCHEDULED, False),  # waits for a worker
        (Trigger.SCHEDULE, None, StateType.FAILED, True),
    ],
)
def test_what_a_deployment_or_a_schedule_began_is_resumed(
    trigger: Trigger, deployment: UUID | None, kind: StateType, expected: bool
) -> None:
    orphan = OrphanedRun(1, "spring", trigger, 1, datetime.now(UTC), "flow-run")
    run = FlowRun(flow_id=uuid4(), deployment_id=deployment, state=State(type=kind))
    assert is_to_resume(run, orphan) is expected
    assert is_to_resume(None, orphan) is (trigger is Trigger.SCHEDULE)


def test_a_run_is_resumed_again_when_the_one_who_should_has_failed() -> None:
    orphan = OrphanedRun(1, "spring", Trigger.SCHEDULE, 1, datetime.now(UTC))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert orphan.key(at) == orphan.key(at + timedelta(seconds=299))
    assert orphan.key(at) != orphan.key(at + timedelta(seconds=300))
