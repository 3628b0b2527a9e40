"""An installation of its own whose workers render by sleeping: the servers are real."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from services import state
from services.databases import plain
from services.postgres import EmbeddedPostgres
from services.processes import is_alive
from services.stack import DATABASE, PREFECT_DATABASE

ROOT = Path(__file__).parents[1]
FEED = ROOT / "demo" / "products" / "feed.tsv"
_GPU = "-gpu-"
_WARM_S = 180.0


@dataclass(frozen=True, slots=True)
class Night:
    """A campaign to run: `batches` of `renders` that take `batch_s` seconds each."""

    name: str
    batches: int
    renders: int
    batch_s: float

    @property
    def model(self) -> str:
        return f"simulated:{self.batch_s / self.renders:.6g}"


@dataclass(frozen=True, slots=True)
class SimulatedFleet:
    """Commands and figures of the installation in `home`."""

    home: Path
    env: dict[str, str]

    @property
    def journal(self) -> Path:
        return Path(self.env["ADLOOM_SIMULATION_JOURNAL"])

    def adloom(self, *arguments: str) -> Any:
        """Runs `adloom ARGUMENTS --json` and returns its document."""
        done = subprocess.run(
            [*_ADLOOM, *arguments, "--json"], env=self.env, check=False, text=True,
            capture_output=True,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"adloom {' '.join(arguments)}: {done.stderr}\n{done.stdout}")
        return json.loads(done.stdout)

    def up(self, workers: int) -> None:
        """Starts the workers that are missing, and returns when each of them is there."""
        self.adloom("up", f"--workers={workers}")
        deadline = time.monotonic() + _WARM_S
        while len(self.workers()) < workers:
            if time.monotonic() > deadline:
                sys.exit(f"the workers do not come up: see {self.home / 'logs'}")
            time.sleep(1.0)

    def workers(self) -> list[dict[str, Any]]:
        """The GPU workers that are alive, with what they say of themselves."""
        listed = self.adloom("workers")["workers"]
        return [w for w in listed if w["pool"] == "gpu" and w["alive"]]

    def warm_up(self, workers: int) -> None:
        """Has each worker render until all have: the first batch of a process imports torch."""
        for attempt in range(10):
            night = Night(f"warm-{workers}-{attempt}", 4 * workers, 1, 0.3)
            self.run(night).wait()
            if all(w["stats"].get("batches") for w in self.workers()):
                return
        sys.exit(f"a worker renders nothing: see {self.home / 'logs'}")

    def run(self, night: Night) -> "subprocess.Popen[bytes]":
        """Starts a campaign's run."""
        products, scenes, variants = _shape(night.batches * night.renders, self._scenes())
        document = {
            "campaign": night.name,
            "selection": {"limit": products},
            "scenes": list(scenes),
            "formats": ["1.91:1"],
            "variants": variants,
            "seed": zlib.crc32(night.name.encode()) % 2**31,
            "steps": 3,
            "model": night.model,
            "min_mask_confidence": 0.0,
            "finishing": {"detail_lock": False},
            "gates": [{"score": "model.identity", "min": -1.0}],
        }
        spec = self.home / f"{night.name}.yaml"
        spec.write_text(json.dumps(document))  # JSON is YAML
        self.adloom("campaign", "apply", str(spec))
        with (self.home / "logs" / "run.log").open("ab") as log:
            return subprocess.Popen(
                [*_ADLOOM, "run", night.name, "--wait"],
                env={**self.env, "ADLOOM_BATCH_SIZE": str(night.renders)}, stdout=log, stderr=log,
            )  # fmt: skip

    def _scenes(self) -> list[str]:
        """Those that suit all products: each makes a slot of each of them."""
        listed = self.adloom("scenes", "list")["scenes"]
        return [s["slug"] for s in listed if not s["categories"]]

    def rows(self, statement: str, *values: Any, prefect: bool = False) -> list[tuple[Any, ...]]:
        """What our database, or Prefect's, answers."""
        server = EmbeddedPostgres(self.home / "postgres", self.home / "logs" / "postgres.log")
        url = server.url(PREFECT_DATABASE if prefect else DATABASE)
        with psycopg.connect(plain(url)) as connection:
            return connection.execute(statement, values).fetchall()

    def processes(
        self, run: "subprocess.Popen[bytes] | None" = None
    ) -> Mapping[str, Sequence[psutil.Process]]:
        """By what they do; Postgres' backends by the database that they serve."""
        recorded = state.load(self.home) or state.State()
        groups: dict[str, list[psutil.Process]] = {"coordinator": _with_children(run)}
        groups["prefect"] = _with_children(recorded.prefect)
        for worker in filter(is_alive, recorded.workers):
            name = "workers" if _GPU in worker.name else "control"
            groups.setdefault(name, []).extend(_with_children(worker))
        for process in _with_children(recorded.postgres):
            title = ""
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
            theirs = f" {PREFECT_DATABASE} " in title
            groups.setdefault("postgres-prefect" if theirs else "postgres-adloom", []).append(
                process
            )
        return groups


_ADLOOM = [sys.executable, "-P", "-m", "cli.main"]


@contextlib.contextmanager
def simulated_fleet(*, lease_s: float = 20.0) -> Iterator[SimulatedFleet]:
    """An installation with the demo's products, and no worker yet; stopped when the block ends."""
    with tempfile.TemporaryDirectory(prefix="adloom-fleet-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (home := folder / "home").mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADLOOM_", "PREFECT_"))}
        fleet = SimulatedFleet(
            home,
            {
                **kept,
                "HOME": str(folder),
                "OMP_NUM_THREADS": "1",
                "ADLOOM_HOME": str(home),
                "ADLOOM_THREADS": "1",
                "ADLOOM_LEASE_S": str(lease_s),
                "ADLOOM_SIMULATION_JOURNAL": str(folder / "renders.jsonl"),
                "ADLOOM_SIMULATE_SCORES": "true",
            },
        )
        try:
            fleet.adloom("up")
            fleet.adloom("catalog", "add", "demo", "--location", str(FEED))
            fleet.adloom("catalog", "sync", "demo")
            yield fleet
        finally:
            subprocess.run([*_ADLOOM, "down"], env=fleet.env, check=False, capture_output=True)


def _shape(slots: int, scenes: Sequence[str]) -> tuple[int, Sequence[str], int]:
    """Products, scenes and variants that make just so many slots, or a few more."""
    products = len(FEED.read_text(encoding="utf-8").splitlines()) - 1
    fitting = [
        (p * s * v, -p, s, v)
        for p in range(1, products + 1)
        for s in range(1, len(scenes) + 1)
        if (v := -(-slots // (p * s))) <= 100
    ]
    if not fitting:
        sys.exit(f"{slots} renders are more than the demo's products and scenes give")
    _, p, s, v = min(fitting)
    return -p, scenes[:s], v


def _with_children(process: Any) -> list[psutil.Process]:
    """The process of that `pid`, if it lives, and its descendants."""
    if process is None:
        return []
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(process.pid)
        return [found, *found.children(recursive=True)]
    return []
