"""Two workers on one machine: shared, stopped, paused, drained. The renderer is simulated."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import text

from adloom.records import AttemptRecord, WorkerRecord
from adloom.render_spec import RENDERER_VERSION
from adloom.states import AttemptEnding, Outcome
from db.engine import Database
from db.queries import attempts, runs, submissions
from db.queries import workers as queries
from services.stack import connect
from tasks.settings import Settings
from tests.acceptance.installation import (
    DEMO_FEED,
    ROOT,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

PRODUCTS = ("zolla-soda", "tarn-bottle", "tamsin-tea", "korba-ball")
A, B, C = "marble-morning", "beach-day", "neon-street"
WS, LEASE_S = 1, 8.0
HOST = socket.gethostname()


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("fleet")
    installed = new_installation(
        folder,
        ADLOOM_LEASE_S=str(LEASE_S),
        ADLOOM_BATCH_SIZE="2",
        ADLOOM_MICRO_BATCH="1",
        ADLOOM_THREADS="1",
        ADLOOM_SIMULATION_JOURNAL=str(folder / "renders.jsonl"),
        ADLOOM_SIMULATE_SCORES="true",
        OMP_NUM_THREADS="1",
    )
    feed = copy_shop(DEMO_FEED, tmp_path_factory.mktemp("shop") / "demo", PRODUCTS)
    installed.ok("up", "--workers", "2")
    try:
        installed.ok("catalog", "add", "demo", "--location", str(feed))
        installed.ok("catalog", "sync", "demo")
        yield installed
    finally:
        installed.down()


@pytest.fixture(scope="module")
def database(adloom: Installation) -> Iterator[Database]:
    opened = Database(connect(Settings.load(home=adloom.home)).database_url)
    yield opened
    opened.dispose()


def apply(adloom: Installation, name: str, scenes: list[str], seconds: float, **more: Any) -> None:
    file = adloom.home / f"{name}.yaml"
    file.write_text(campaign_yaml(name, scenes, model=f"simulated:{seconds}", **more))
    adloom.ok("campaign", "apply", str(file))


def comes_true(holds: Callable[[], Any], within_s: float = 240.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)
    return found


def tries(database: Database, run: int) -> tuple[AttemptRecord, ...]:
    with database.transaction() as tx:
        return attempts.of_run(tx, run)


def newest(database: Database, campaign: str, but: int = 0) -> int:
    """The newest run of a campaign that is newer than `but`, once there is one."""

    def found() -> int:
        with database.transaction() as tx:
            latest = runs.latest(tx, WS, campaign)
        return 0 if latest is None or latest.id <= but else latest.id

    return comes_true(found)


def workers(database: Database) -> list[WorkerRecord]:
    with database.transaction() as tx:
        return [w for w in queries.listed(tx, WS, "gpu") if w.alive]


def counts(database: Database, run: int) -> tuple[str, int, int, int]:
    """A run's state, items, open ones and failed ones; they must add up."""
    with database.transaction() as tx:
        assert runs.conservation(tx, run).holds
        found = runs.summary(tx, WS, run)
    open_, failed = (found.outcomes.get(o, 0) for o in (Outcome.OPEN, Outcome.FAILED))
    return found.run.state.value, found.run.planned_slots, open_, failed


def under_way(database: Database, run: int) -> list[AttemptRecord]:
    return [a for a in tries(database, run) if a.ending is None]


def pid_of(attempt: AttemptRecord) -> int:
    return int(attempt.owner.split(":")[1])


def test_a_run_is_rendered_by_the_workers_and_not_by_who_coordinates_it(
    adloom: Installation, database: Database
) -> None:
    apply(adloom, "first", [A, B], 0.3)
    made = adloom.ok("run", "first", "--wait")
    assert made["adds_up"]
    assert (made["run"]["state"], made["run"]["items"], made["run"]["open"]) == ("complete", 8, 0)
    made_by = {a.worker for a in tries(database, made["run"]["run"])}
    assert made_by
    assert made_by <= {f"{HOST}-gpu-1", f"{HOST}-gpu-2"}
    for worker in adloom.ok("workers")["workers"]:
        page = httpx.get(f"http://127.0.0.1:{worker['stats']['health_port']}/health")
        assert page.status_code == 200
        assert page.json()["name"] == worker["name"]
    assert adloom.ok("up", "--workers", "2")["workers"] == []


def test_a_worker_stopped_past_its_lease_writes_nothing_when_it_goes_on(
    adloom: Installation, database: Database
) -> None:
    apply(adloom, "stopped", [A, B], 1.0)
    command = adloom.start("run", "stopped", "--wait")
    run = newest(database, "stopped")
    [held, *_] = comes_true(lambda: under_way(database, run))
    os.kill(pid_of(held), signal.SIGSTOP)
    try:
        assert command.wait(400) == 0
        [its] = [a for a in tries(database, run) if a.epoch == held.epoch
                 and a.batch_id == held.batch_id]  # fmt: skip
        assert its.ending is AttemptEnding.LOST
        before = rows(database, run), objects(adloom)
    finally:
        os.kill(pid_of(held), signal.SIGCONT)
    log = adloom.home / "logs" / f"worker-{held.worker}.log"
    comes_true(lambda: {w.name for w in workers(database)} == {f"{HOST}-gpu-1", f"{HOST}-gpu-2"})
    time.sleep(LEASE_S)
    assert (rows(database, run), objects(adloom)) == before, log.read_text()[-2000:]
    assert counts(database, run) == ("complete", 8, 0, 0)


def rows(database: Database, run: int) -> list[Any]:
    """All that a worker may write of a run's renders and batches."""
    statements = (
        "SELECT * FROM render WHERE id IN (SELECT render_id FROM run_item WHERE run_id = :run)",
        "SELECT * FROM batch WHERE run_id = :run",
        "SELECT * FROM batch_attempt WHERE batch_id IN (SELECT id FROM batch WHERE run_id = :run)",
        "SELECT * FROM rendition WHERE render_id IN "
        "(SELECT render_id FROM run_item WHERE run_id = :run)",
        "SELECT * FROM score WHERE render_id IN "
        "(SELECT render_id FROM run_item WHERE run_id = :run)",
    )
    with database.transaction() as tx:
        return [sorted(map(str, tx.execute(text(s), {"run": run}))) for s in statements]


def objects(adloom: Installation) -> dict[Path, bytes]:
    return {f: f.read_bytes() for f in (adloom.home / "objects").rglob("*") if f.is_file()}


def test_two_campaigns_that_share_renders_run_at_once_and_cancelling_one_harms_nothing(
    adloom: Installation, database: Database
) -> None:
    begun = len(journal(adloom))
    for name, scenes in {"left": [A, B], "right": [B, C], "dropped": [A, B, C]}.items():
        apply(adloom, name, scenes, 1.5)
    commands = {name: adloom.start("run", name, "--wait") for name in ("dropped", "left", "right")}
    adloom.ok("cancel", str(newest(database, "dropped")))
    assert [commands[name].wait(400) for name in ("left", "right")] == [0, 0]
    commands["dropped"].wait(400)
    for name in ("left", "right"):
        assert counts(database, newest(database, name)) == ("complete", 8, 0, 0)
    assert newest(database, "dropped")
    seeds = [line["seed"] for line in journal(adloom)[begun:]]
    assert len(seeds) == len(set(seeds)), "a shared render was made twice"
    assert len(seeds) <= 12


def journal(adloom: Installation) -> list[dict[str, Any]]:
    file = Path(adloom.env["ADLOOM_SIMULATION_JOURNAL"])
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def handed_over(database: Database, run: int) -> int:
    """How many of its batches workers may still begin, or have begun."""
    with database.transaction() as tx:
        return submissions.under_way(tx, run)


def test_a_paused_run_begins_no_batch_until_it_is_resumed(
    adloom: Installation, database: Database
) -> None:
    apply(adloom, "paused", [A, B, C], 1.0, formats=["1:1", "4:5"])  # more than is handed over
    command = adloom.start("run", "paused", "--wait")
    run = newest(database, "paused")
    comes_true(lambda: tries(database, run))
    adloom.ok("pause", str(run))
    comes_true(lambda: not handed_over(database, run))
    ended = len(tries(database, run))
    assert ended < 12
    time.sleep(2.5)
    assert len(tries(database, run)) == ended
    assert command.poll() is None
    adloom.ok("resume", str(run))
    assert command.wait(400) == 0
    assert counts(database, run) == ("complete", 24, 0, 0)


def test_a_worker_told_to_stop_finishes_what_it_renders_and_another_does_the_rest(
    adloom: Installation, database: Database
) -> None:
    apply(adloom, "drained", [A, B, C], 0.8)
    command = adloom.start("run", "drained", "--wait")
    run = newest(database, "drained")
    [held, *_] = comes_true(lambda: under_way(database, run))
    supervisor = psutil.Process(pid_of(held)).parent()
    assert supervisor is not None
    supervisor.terminate()
    psutil.wait_procs([supervisor], timeout=240)
    assert not supervisor.is_running()
    [its] = [
        a for a in tries(database, run) if (a.batch_id, a.epoch) == (held.batch_id, held.epoch)
    ]
    assert its.ending is AttemptEnding.FINISHED
    assert command.wait(400) == 0
    with database.transaction() as tx:
        endings = attempts.endings(tx, run)
    assert set(endings) <= {"finished", "drained"}
    assert adloom.ok("up", "--workers", "2")["workers"] == [f"worker {held.worker}"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pool", "tpu"), "there is no work pool 'tpu'"),
        (("--pool", "gpu", "--device", "cuda:7"), "device 'cuda:7' cannot be used"),
        (("--pool", "gpu", "--name", f"{HOST}-gpu-1"), "gpu-1' runs already"),
    ],
)
def test_a_worker_that_can_never_work_says_why_in_one_line(
    adloom: Installation, options: tuple[str, ...], words: str
) -> None:
    answer = adloom.call("worker", *options)
    assert answer.code == 4
    assert words in answer.err
    assert "Traceback" not in answer.err


def test_the_fleet_is_seen_from_outside(adloom: Installation, database: Database) -> None:
    address = adloom.ok("up", "--workers", "2")["metrics"]
    said = comes_true(lambda: page(address))
    up = [line for line in said if line.startswith("adloom_worker_up{") and 'pool="gpu"' in line]
    assert [line.split()[-1] for line in up] == ["1.0", "1.0"]
    assert "adloom_up 1.0" in said
    assert len(workers(database)) == 2
    for worker in workers(database):
        assert worker.stats["build"]["renderer"] == RENDERER_VERSION
        assert abs(worker.stats["clock_skew_s"]) < 2.0
        own = page(f"http://127.0.0.1:{worker.stats['health_port']}/metrics")
        assert any(line.startswith("adloom_device_renders_total ") for line in own)
    checks = {c["name"]: c["level"] for c in adloom.ok("doctor")["checks"]}
    assert {checks[n] for n in ("workers", "versions", "clocks", "loaded", "prefect")} == {"ok"}


def page(address: str) -> list[str]:
    try:
        return httpx.get(address).raise_for_status().text.splitlines()
    except httpx.HTTPError:
        return []


OTHER_VERSION = """
import sys
import adloom.render_spec
adloom.render_spec.RENDERER_VERSION = "99"
from workers.process import main
sys.exit(main())
"""


def test_a_worker_of_another_renderer_version_refuses_in_one_line(
    adloom: Installation, database: Database
) -> None:
    running = connect(Settings.load(home=adloom.home))
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_VERSION, "--name=other", "--pool=gpu", "--limit=2"],
        env={**adloom.env, **running.worker_environment},
        cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.read()
        code = process.wait(240)
    assert code == 4
    assert "the fleet renders with version 1" in said
    assert "Traceback" not in said
    assert "other" not in {w.name for w in workers(database)}


def test_beyond_this_machine_prefect_needs_a_password(tmp_path: Path) -> None:
    other = new_installation(tmp_path, ADLOOM_PREFECT_HOST="0.0.0.0")
    try:
        answer = other.call("up")
        assert answer.code == 4
        assert "without a password" in answer.err
        assert "ADLOOM_PREFECT_AUTH" in answer.err
    finally:
        other.down()
