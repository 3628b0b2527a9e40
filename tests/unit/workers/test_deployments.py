"""What prefect.yaml names is there, and Prefect finds the worker type by its entry point."""

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import EventTrigger
from prefect.workers.base import BaseWorker

from adloom.errors import ConfigurationError
from services.prefect_server import client_environment
from tasks.fleet import AT_ONCE
from workers.automations import automations
from workers.deployments import CONTROL_POOL, GPU_POOL, PREFECT_YAML, _schedules
from workers.entrypoints import flow_at
from workers.resident import ResidentWorker

DECLARED = yaml.safe_load(PREFECT_YAML.read_text(encoding="utf-8"))["deployments"]


@pytest.mark.parametrize("one", DECLARED, ids=lambda one: str(one["name"]))
def test_each_deployment_names_a_flow_and_a_pool_that_are_there(one: dict[str, object]) -> None:
    flow = flow_at(str(one["entrypoint"]))
    assert flow.name == one["name"]
    assert one["work_pool"] in ({"name": CONTROL_POOL}, {"name": GPU_POOL})


def test_a_control_worker_has_a_place_for_all_that_may_be_executed_at_once() -> None:
    """Else the reaper would wait for campaigns, whose batches wait for it."""
    control = [one for one in DECLARED if one["work_pool"]["name"] == CONTROL_POOL]
    assert sum(one["concurrency_limit"]["limit"] for one in control) <= AT_ONCE[CONTROL_POOL]


@pytest.mark.parametrize(
    "entrypoint",
    ["", "flows.none:run", "flows.run_campaign:carry_out", "os:system", "/tmp/flow.py:run"],
)
def test_what_is_no_flow_of_adloom_is_refused(entrypoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no flow of adloom.*--workers"):
        flow_at(entrypoint)


def test_prefect_finds_the_worker_type_by_the_entry_point() -> None:
    project = tomllib.loads((Path(PREFECT_YAML).parent / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["prefect.collections"]
    for module in points.values():
        import_module(module)
    assert BaseWorker.get_worker_class_from_type("resident") is ResidentWorker


def test_an_update_keeps_campaigns_schedules_and_what_somebody_switched() -> None:
    at_two = CronSchedule(cron="0 2 * * *", timezone="Europe/Berlin")
    nightly = CronSchedule(cron="0 * * * *", timezone="UTC")
    parameters = {"campaign": "spring", "trigger": "schedule", "overlap": "skip"}
    present = [
        DeploymentSchedule(schedule=at_two, slug="campaign-spring", parameters=parameters),
        DeploymentSchedule(schedule=nightly, slug="hourly", active=False),
        DeploymentSchedule(schedule=nightly, slug="of an older version"),
    ]
    declared = {
        "schedules": [
            {"cron": "5 * * * *", "slug": "hourly"},
            {"cron": "0 3 * * 0", "slug": "weekly", "active": False},
        ]
    }
    made = {s.slug: s for s in _schedules(declared, present)}
    assert {slug: s.active for slug, s in made.items()} == {
        "hourly": False, "weekly": False, "campaign-spring": True
    }  # fmt: skip
    assert made["campaign-spring"].schedule == at_two
    assert made["campaign-spring"].parameters == parameters
    assert isinstance(hourly := made["hourly"].schedule, CronSchedule)
    assert hourly.cron == "5 * * * *"


def test_what_prefect_is_told_to_expect_are_the_states_that_flow_runs_go_through() -> None:
    for one in automations():
        assert isinstance(one.trigger, EventTrigger)
        for name in ("Completed", "Failed", "Cancelled", "Crashed", "Skipped", "HandedBack"):
            assert f"prefect.flow-run.{name}" in one.trigger.expect
    lost, _ = automations()
    assert isinstance(lost.trigger, EventTrigger)
    every_s = int(
        client_environment("http://x/api", Path("/x"))["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    )
    assert lost.trigger.within.total_seconds() >= 3 * every_s
