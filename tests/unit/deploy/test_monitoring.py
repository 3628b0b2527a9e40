"""Every metric that dashboard and alerts ask for is exported, and the conventions hold."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from adloom.prices import parse_price
from adloom.records import WorkerRecord
from adloom.records.metrics import (
    CompletedRun,
    EndedAttempts,
    QueueDepth,
    RenderCounts,
    RunCounts,
)
from adloom.states import AttemptEnding, BatchState, Outcome, RenderState
from services.exporter import FleetCollector
from tasks.device_metrics import DeviceMetrics
from tasks.metrics import CampaignCounts, Fleet

DEPLOY = Path(__file__).parents[3] / "deploy"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = RunCounts(1, "spring", "rendering", False, 9, NOW, {Outcome.APPROVED: 4}, {"RenderError": 1})
STATS = {"busy_s": 1.0, "renders": 1, "batches": 1, "busy_share": 0.5, "uptime_s": 2.0,
         "rss_mb": 1, "clock_skew_s": 0.0, "active": 1}  # fmt: skip
FLEET = Fleet(
    answers=True,
    workers=(WorkerRecord("a", "a:1", "gpu", "host", 1, "cuda:0", "0.1.0", stats=STATS),),
    queue=(QueueDepth(BatchState.PENDING, 1, 32, 5.0),),
    renders=RenderCounts({RenderState.RENDERED: 1}, True),
    attempts=(EndedAttempts(AttemptEnding.LOST, "", 1),),
    runs=(RUN,),
    campaigns=(CampaignCounts(CompletedRun("spring", 1, NOW), RUN),),
    seconds={"queue": 0.01},
)


def families() -> list[Metric]:
    fleet = FleetCollector(lambda: FLEET, "default", parse_price("2.50 USD"))
    return [*fleet.collect(), *DeviceMetrics().registry.collect()]


EXPORTED = {sample.name for family in families() for sample in family.samples}


def asked_for(query: str) -> set[str]:
    return set(re.findall(r"\b(?:adloom|process)_[a-z_]+", query))


def queries(found: Any) -> list[str]:
    """All PromQL in a document, however deep."""
    if isinstance(found, dict):
        own = [found[k] for k in ("expr",) if isinstance(found.get(k), str)]
        return own + [q for value in found.values() for q in queries(value)]
    return [q for one in found for q in queries(one)] if isinstance(found, list) else []


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "adloom.json").read_text(encoding="utf-8"))


def alerts() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", [dashboard(), alerts()], ids=["dashboard", "alerts"])
def test_what_is_asked_for_is_exported(document: dict[str, Any]) -> None:
    asked = {name for query in queries(document) for name in asked_for(query)}
    assert len(asked) >= 10
    assert asked <= EXPORTED


def test_panels_have_titles_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    assert all(p["title"] for p in panels)
    variables = {v["name"] for v in dashboard()["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) - {"__all"} <= variables


def test_alerts_say_what_is_wrong_and_what_to_do() -> None:
    rules = [rule for group in alerts()["groups"] for rule in group["rules"]]
    assert len({r["alert"] for r in rules}) == len(rules) >= 5
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "warn")
        assert set(rule["annotations"]) == {"summary", "mend"}


def test_names_and_texts_follow_the_conventions() -> None:
    for family in families():
        assert family.documentation, family.name
        own = family.name.startswith("adloom_")
        assert own or family.name.startswith("process_"), family.name
        for sample in family.samples if own and family.type == "counter" else ():
            assert sample.name.endswith(("_total", "_created")), sample.name
        if own:
            assert not re.search(r"_(ms|mb|s|minutes|hours)$", family.name), family.name


def test_labels_hold_nothing_that_grows_with_the_catalogue() -> None:
    labels = {name for f in families() for s in f.samples for name in s.labels}
    assert labels <= {
        "state", "ending", "error_class", "campaign", "run", "outcome", "worker", "pool", "host",
        "device", "version", "currency", "subject", "workspace", "renderer", "le",
    }  # fmt: skip
