"""Which submissions a worker may yet begin, by what Prefect says of their flow runs."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from adloom.records import Submission
from tasks.dispatching import is_on_its_way


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
