"""When Prefect is to begin runs of campaigns."""

import base64
import os
from dataclasses import dataclass
from datetime import datetime

import httpx

from adloom.errors import UnavailableError

TIMEOUT_S = 1.0
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A flow run that waits for its time; `campaign` None: its parameters name none."""

    campaign: str | None
    at: datetime


def scheduled_runs(
    prefect_api_url: str | None, *, flow: str = "run-campaign", timeout_s: float = TIMEOUT_S
) -> tuple[ScheduledRun, ...]:
    """The next scheduled runs of a flow, the soonest first.

    Raises UnavailableError if Prefect does not answer within `timeout_s`, or says something else.
    """
    if prefect_api_url is None:
        raise UnavailableError("no Prefect server is named", hint="run `adloom up`")
    wanted = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _SHOWN,
    }
    try:
        answer = httpx.post(
            f"{prefect_api_url}/flow_runs/filter",
            json=wanted,
            headers=_headers(),
            timeout=timeout_s,
        )
        answer.raise_for_status()
        return tuple(
            ScheduledRun(run["parameters"].get("campaign"), datetime.fromisoformat(at))
            for run in answer.json()
            if (at := run.get("next_scheduled_start_time") or run.get("expected_start_time"))
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(
            "Prefect does not say what is scheduled", where=prefect_api_url
        ) from error


def _headers() -> dict[str, str]:
    auth = os.environ.get("PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}
