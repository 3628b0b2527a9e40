"""What prefect.yaml names is there, and Prefect finds the worker type by its entry point."""

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prefect.workers.base import BaseWorker

from adloom.errors import ConfigurationError
from workers.deployments import CONTROL_POOL, GPU_POOL, PREFECT_YAML
from workers.resident import ResidentWorker, flow_at

DECLARED = yaml.safe_load(PREFECT_YAML.read_text(encoding="utf-8"))["deployments"]


@pytest.mark.parametrize("one", DECLARED, ids=lambda one: str(one["name"]))
def test_each_deployment_names_a_flow_and_a_pool_that_are_there(one: dict[str, object]) -> None:
    flow = flow_at(str(one["entrypoint"]))
    assert flow.name == one["name"]
    assert one["work_pool"] in ({"name": CONTROL_POOL}, {"name": GPU_POOL})


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
