"""Runs that watch themselves: retries, budgets, schedules. Two workers, S3, simulated renders."""

import hashlib
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from sqlalchemy import text

from adloom.render_spec import seed_for
from db.engine import Database
from services.stack import connect
from tasks.settings import Settings
from tests.acceptance.faulty_s3 import FaultyS3, faulty
from tests.acceptance.installation import (
    DEMO_FEED,
    ROOT,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)
from tests.server_fixtures import S3Server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

SODA, BOTTLE, TEA, BALL = "zolla-soda", "tarn-bottle", "tamsin-tea", "korba-ball"
AUTH = ("ops", "a password")
MARBLE, BEACH = "marble-morning", "beach-day"
PODIUM, SUNSET = "pink-podium", "sunset-stone"


@dataclass(frozen=True)
class Site:
    """An installation with its fleet, and what can go wrong with it."""

    adloom: Installation
    store: FaultyS3
    server: S3Server
    bucket: str
    prefect: str
    photos: dict[str, str]
    """Products' photos by sha256."""

    def apply(self, name: str, scenes: list[str], seconds: float, **more: Any) -> None:
        file = self.adloom.home / f"{name}.yaml"
        file.write_text(campaign_yaml(name, scenes, model=f"simulated:{seconds}", **more))
        self.adloom.ok("campaign", "apply", str(file))

    def suffers(self, product: str, scene: str, fault: str, times: int) -> None:
        """Has the first renders of a slot suffer a fault."""
        seed = seed_for(self.photos[product], scene, "1:1", 0, 0)
        journal = Path(self.adloom.env["ADLOOM_SIMULATION_JOURNAL"])
        with Path(f"{journal}.faults").open("a") as file:
            file.write(json.dumps({"seed": seed, "fault": fault, "times": times}) + "\n")

    def mask_of(self, product: str) -> str:
        database = Database(connect(Settings.load(home=self.adloom.home)).database_url)
        statement = "SELECT mask_sha256 FROM cutout WHERE photo_sha256 = :photo"
        with database.transaction() as tx:
            found = tx.execute(text(statement), {"photo": self.photos[product]}).scalar_one()
        database.dispose()
        return str(found)

    @property
    def objects(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name="us-east-1",
        )

    def flow_runs(self, flow: str, state: str) -> list[dict[str, Any]]:
        """Prefect's flow runs of a flow that are in a state of that name."""
        asked = {
            "flows": {"name": {"any_": [flow]}},
            "flow_runs": {"state": {"name": {"any_": [state]}}},
        }
        return httpx.post(f"{self.prefect}/flow_runs/filter", json=asked, auth=AUTH).json()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("operations")
    bucket = s3_server.new_bucket()
    feed = copy_shop(DEMO_FEED, tmp_path_factory.mktemp("shop") / "demo", (SODA, BOTTLE, TEA, BALL))
    photos = {
        product: hashlib.sha256(
            (feed.parent / "images" / f"{product}.jpg").read_bytes()
        ).hexdigest()
        for product in (SODA, BOTTLE, TEA, BALL)
    }
    with faulty(s3_server.endpoint) as store:
        installed = new_installation(
            folder,
            ADLOOM_STORAGE_URL=f"s3://{bucket}/shop",
            ADLOOM_S3_ENDPOINT=store.endpoint,
            ADLOOM_PREFECT_AUTH=":".join(AUTH),
            ADLOOM_LEASE_S="4",
            ADLOOM_BATCH_SIZE="1",
            ADLOOM_MICRO_BATCH="1",
            ADLOOM_THREADS="1",
            ADLOOM_SIMULATION_JOURNAL=str(folder / "renders.jsonl"),
            OMP_NUM_THREADS="1",
            **s3_server.env,
        )
        prefect = installed.ok("up", "--workers", "2")["prefect"]
        try:
            installed.ok("catalog", "add", "demo", "--location", str(feed))
            installed.ok("catalog", "sync", "demo")
            yield Site(installed, store, s3_server, bucket, prefect, photos)
        finally:
            installed.down()


def comes_true(holds: Callable[[], Any], within_s: float = 240.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.5)
    return found


def failed(site: Site, run: int) -> dict[tuple[str, str], dict[str, Any]]:
    found = site.adloom.ok("failures", str(run))["failures"]
    return {(f["external_id"], f["scene"]): f for f in found}


def test_a_retry_of_failures_of_five_kinds_leaves_the_permanent_ones_each_with_its_reason(
    site: Site,
) -> None:
    site.apply("faults", [MARBLE, BEACH], 0.2)
    # 1 The store is busy for each render: boto gives up, the worker does not.
    site.store.refusals = 5
    # 2 Memory runs out once. 3 One render kills its process, always.
    site.suffers(SODA, MARBLE, "out of memory", 1)
    site.suffers(SODA, BEACH, "deadly", 99)
    # 4 A photo rots in the store. 5 A mask is gone; both had been fine.
    photo = f"shop/default/photos/{site.photos[BOTTLE]}"
    site.objects.put_object(Bucket=site.bucket, Key=photo, Body=b"no picture")
    mask = f"shop/default/masks/{site.mask_of(TEA)}"
    site.objects.delete_object(Bucket=site.bucket, Key=mask)

    answer = site.adloom.call("run", "faults", "--wait", "--json")
    assert answer.code == 5, answer.err
    made = answer.json
    run = made["run"]["run"]
    assert (made["adds_up"], made["run"]["state"], made["run"]["open"]) == (True, "complete", 0)
    broken = {(product, scene) for product in (BOTTLE, TEA) for scene in (MARBLE, BEACH)}
    assert set(failed(site, run)) == {(SODA, MARBLE), (SODA, BEACH), *broken}
    assert len(site.store.refused) == 2, "both of the one product that nothing is wrong with"
    assert set(site.store.refused.values()) == {5}

    site.store.refusals = 0
    answer = site.adloom.call("retry", str(run), "--wait", "--json")
    assert answer.code == 5, answer.err
    assert answer.json["adds_up"]
    left = failed(site, run)
    assert set(left) == {(SODA, BEACH), *broken}
    reasons = {slot: (f["error_class"], f["message"]) for slot, f in left.items()}
    assert all(reasons[TEA, scene][0] == "ObjectMissingError" for scene in (MARBLE, BEACH))
    assert all("not a whole picture" in reasons[BOTTLE, scene][1] for scene in (MARBLE, BEACH)), (
        reasons
    )
    assert "processes of workers" in reasons[SODA, BEACH][1]
    assert not any(f["retryable"] for f in left.values())
    deadly = left[(SODA, BEACH)]
    assert deadly["error_class"] == "DeadlyRenderError"
    assert len(deadly["tries"]) == 1, "a retry leaves it alone"
    for slot in broken:
        tries = left[slot]["tries"]
        assert [t["error_class"] for t in tries] == [left[slot]["error_class"]] * 2
        assert tries[0]["worker"]
    assert answer.json["run"]["failed"] == 5
    assert answer.json["run"]["approved"] == 3


def test_a_run_stops_at_its_budget_and_the_next_one_goes_on(site: Site) -> None:
    # A seed of its own: the faults of another test are of renders by their seeds.
    # Eight of three seconds on two workers: longer than any coordinator takes to look.
    site.apply("bounded", [MARBLE, BEACH, PODIUM, SUNSET], 3.0, budget={"images": 1}, seed=5,
        selection={"external_ids": [BALL, SODA]})  # fmt: skip
    made = site.adloom.ok("run", "bounded", "--wait")
    counts = made["run"]
    assert made["adds_up"]
    assert counts["state"] == "complete"
    assert re.match(r"over budget: \d images made, of 1", counts["stopped_for"])
    assert counts["approved"] + counts["cancelled"] == 8
    assert counts["cancelled"] >= 1
    more = site.adloom.ok("run", "bounded", "--wait")["run"]
    assert more["approved"] > counts["approved"]
    assert more["approved"] + more["cancelled"] == 8


def busy_workers(adloom: Installation) -> list[dict[str, Any]]:
    found = adloom.ok("workers")["workers"]
    return [w for w in found if w["pool"] == "gpu" and w["alive"] and w["stats"].get("active")]


def scheduled(campaign: str, cron: str) -> list[str]:
    """The README's command that schedules a campaign, for another one and time."""
    [line] = [
        line.partition("#")[0]
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("adloom campaign schedule spring")
    ]
    program, *arguments = shlex.split(line)
    assert (program, arguments[2]) == ("adloom", "spring")
    arguments[2] = campaign
    arguments[arguments.index("--cron") + 1] = cron
    arguments[arguments.index("--timezone") + 1] = "UTC"
    return arguments


def test_campaigns_run_by_their_schedules_and_one_that_is_still_executed_is_skipped(
    site: Site,
) -> None:
    adloom = site.adloom
    site.apply("nightly", [MARBLE], 0.2, selection={"external_ids": [BALL]})
    site.apply("endless", [MARBLE, BEACH], 20.0, selection={"external_ids": [BALL, SODA]})
    long_one = adloom.start("run", "endless", "--wait")
    # Two workers take two each: of three that run, each has one.
    comes_true(lambda: len(site.flow_runs("generate-batch", "Running")) >= 3)
    [killed, *_] = comes_true(lambda: busy_workers(adloom))  # their rows follow by a heartbeat
    os.kill(killed["pid"], signal.SIGKILL)
    [running] = [r for r in adloom.ok("runs")["runs"] if r["campaign"] == "endless"]
    adloom.ok("pause", str(running["run"]))
    at = datetime.now(UTC) + timedelta(seconds=120)
    cron = f"{at.minute} {at.hour} * * *"
    for campaign in ("nightly", "endless"):
        adloom.ok(*scheduled(campaign, cron))
    adloom.ok("up", "--workers", "2")  # an update keeps the schedules
    listed = {s["campaign"]: s for s in adloom.ok("campaign", "schedules")["schedules"]}
    assert {(s["cron"], s["overlap"], s["active"]) for s in listed.values()} == {
        (cron, "skip", True)
    }

    run = comes_true(lambda: [r for r in adloom.ok("runs")["runs"] if r["campaign"] == "nightly"])
    assert run[0]["trigger"] == "schedule"
    comes_true(lambda: adloom.ok("report", str(run[0]["run"]))["run"]["state"] == "complete")
    [skipped] = comes_true(lambda: site.flow_runs("run-campaign", "Skipped"))
    assert skipped["name"] == "endless"
    assert "is being executed by another process" in skipped["state"]["message"]
    [running] = [r for r in adloom.ok("runs")["runs"] if r["campaign"] == "endless"]
    assert (running["state"], running["trigger"]) == ("rendering", "manual")

    # Whose worker was killed: adloom has made that batch again by now; Prefect is told by itself.
    comes_true(lambda: site.flow_runs("generate-batch", "Crashed"))
    adloom.ok("cancel", str(running["run"]))
    long_one.wait(240)
    for campaign in ("nightly", "endless"):
        adloom.ok("campaign", "schedule", campaign, "--off")
    assert adloom.ok("campaign", "schedules")["schedules"] == []
    again = adloom.call("campaign", "schedule", "nightly", "--off")
    assert (again.code, "has no schedule" in again.err) == (3, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cron", "at two"), "is no cron expression"),
        (("--cron", "0 2 * * *", "--timezone", "Europe/Atlantis"), "no time zone"),
        ((), "either --cron or --off"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused(
    site: Site, options: tuple[str, ...], words: str
) -> None:
    answer = site.adloom.call("campaign", "schedule", "bounded", *options)
    assert (answer.code, words in answer.err) == (2, True), answer.err


def test_prefect_answers_nobody_without_the_password(site: Site) -> None:
    for auth in (None, ("ops", "another")):
        assert httpx.post(f"{site.prefect}/flow_runs/count", json={}, auth=auth).status_code == 401


def test_zombie_automations_are_installed_once(site: Site) -> None:
    found = httpx.post(f"{site.prefect}/automations/filter", json={}, auth=AUTH).json()
    assert sorted(a["name"] for a in found) == [
        "adloom: heartbeat lost",
        "adloom: pending too long",
    ]
    assert all(a["enabled"] and a["trigger"]["posture"] == "Proactive" for a in found)


def test_a_deployment_that_somebody_paused_stays_so(site: Site) -> None:
    gc = httpx.get(f"{site.prefect}/deployments/name/gc/gc", auth=AUTH).json()["id"]
    at = f"{site.prefect}/deployments/{gc}"
    for paused in (True, False):
        assert httpx.patch(at, json={"paused": paused}, auth=AUTH).is_success
        site.adloom.ok("up", "--deployments", "--no-dashboard")
        assert httpx.get(at, auth=AUTH).json()["paused"] is paused


def test_a_flow_run_that_was_claimed_and_never_begun_is_begun_by_the_next_worker(
    site: Site,
) -> None:
    found = httpx.post(f"{site.prefect}/automations/filter", json={}, auth=AUTH).json()
    [real] = [a for a in found if a["name"] == "adloom: pending too long"]
    sooner = {
        "name": "the same, within seconds",
        "trigger": {**real["trigger"], "within": 10},
        "actions": real["actions"],
    }
    made = httpx.post(f"{site.prefect}/automations/", json=sooner, auth=AUTH)
    assert made.status_code == 201, made.text
    gc = httpx.get(f"{site.prefect}/deployments/name/gc/gc", auth=AUTH).json()["id"]
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    asked = {
        "parameters": {"dry_run": True},
        "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": later}},
    }
    at = f"{site.prefect}/deployments/{gc}/create_flow_run"
    flow_run = f"{site.prefect}/flow_runs/{httpx.post(at, json=asked, auth=AUTH).json()['id']}"
    time.sleep(5)  # for the server to know its new automation
    claimed = {"state": {"type": "PENDING"}, "force": True}
    assert httpx.post(f"{flow_run}/set_state", json=claimed, auth=AUTH).is_success

    def is_complete() -> bool:
        return httpx.get(flow_run, auth=AUTH).json()["state"]["type"] == "COMPLETED"

    assert comes_true(is_complete, within_s=120)
    httpx.delete(f"{site.prefect}/automations/{made.json()['id']}", auth=AUTH)
