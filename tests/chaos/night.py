"""The night that is disturbed: an installation with workers, and a run of many batches."""

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from services import state
from services.processes import Process, is_alive
from tests.acceptance.installation import (
    DEMO_FEED,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)
from tests.chaos.store import KillableStore

BATCH = 2
CAMPAIGN = "night"


@dataclass
class Night:
    """One installation with its fleet, the store behind it, and the run's command."""

    folder: Path
    workers: int
    adloom: Installation = field(init=False)
    store: KillableStore = field(init=False)
    command: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.store = KillableStore(self.folder / "store")
        bucket = self.store.server.new_bucket()
        self.adloom = new_installation(
            self.folder / "adloom",
            ADLOOM_STORAGE_URL=f"s3://{bucket}/shop",
            ADLOOM_S3_ENDPOINT=self.store.server.endpoint,
            ADLOOM_LEASE_S="4",
            ADLOOM_BATCH_SIZE=str(BATCH),
            ADLOOM_MICRO_BATCH="1",
            ADLOOM_THREADS="1",
            ADLOOM_SIMULATION_JOURNAL=str(self.journal),
            OMP_NUM_THREADS="1",
            **self.store.server.env,
        )

    @property
    def journal(self) -> Path:
        return self.folder / "renders.jsonl"

    def begin(self, batches: int, seconds: float) -> None:
        """Brings everything up and starts a run of so many batches."""
        self.up()
        products = _products(batches)
        feed = copy_shop(DEMO_FEED, self.folder / "shop", products)
        self.adloom.ok("catalog", "add", "demo", "--location", str(feed))
        self.adloom.ok("catalog", "sync", "demo")
        scenes = [s["slug"] for s in self.adloom.ok("scenes", "list")["scenes"]]
        per_product = -(-batches * BATCH // len(products))
        spec = self.folder / "night.yaml"
        spec.write_text(
            campaign_yaml(
                CAMPAIGN,
                scenes[:per_product],
                model=f"simulated:{seconds}",
                variants=-(-per_product // len(scenes)),
            )
        )
        self.adloom.ok("campaign", "apply", str(spec))
        self.run()

    def up(self) -> None:
        """Starts what does not run. The store may be away: then again when it is back."""
        for _ in range(20):
            if self.adloom.call("up", f"--workers={self.workers}").code == 0:
                return
            time.sleep(1.0)
        raise AssertionError(self.adloom.call("up", f"--workers={self.workers}").err)

    def run(self) -> None:
        self.command = self.adloom.start("run", CAMPAIGN, "--wait")

    def has_ended(self) -> bool:
        """Whether the command has ended well; one that gave up is started again."""
        assert self.command is not None
        code = self.command.poll()
        if code is not None and code not in (0, 5):
            self.run()
            return False
        return code is not None

    def recorded(self) -> state.State:
        return state.load(self.adloom.home) or state.State()

    def supervisors(self) -> list[Process]:
        return [w for w in self.recorded().workers if w.name.startswith("worker") and is_alive(w)]

    def working_processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for supervisor in self.supervisors():
            with contextlib.suppress(psutil.Error):
                found += psutil.Process(supervisor.pid).children()
        return found

    def wait_until_rendering(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not journal(self.journal):
            assert time.monotonic() < deadline, "the run does not begin"
            time.sleep(0.5)

    def gaps_ms(self) -> list[list[float]]:
        """The last times that each worker's device waited though the next batch was ready."""
        listed = self.adloom.ok("workers")["workers"]
        return [w["stats"].get("gap_ms", []) for w in listed if w["pool"] == "gpu"]

    def end(self) -> None:
        self.adloom.down()
        self.store.close()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


def _products(batches: int) -> list[str]:
    rows = DEMO_FEED.read_text(encoding="utf-8").splitlines()[1:]
    names = [row.split("\t")[0] for row in rows]
    return names[: min(len(names), max(1, batches // 5))]


def journal(path: Path) -> list[dict[str, Any]]:
    """What the simulated renderer began, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
