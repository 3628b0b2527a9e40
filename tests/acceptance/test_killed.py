"""A rendering process that is killed loses nothing and makes nothing twice."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adloom.states import Outcome
from db.engine import Database
from db.queries import creatives
from services.stack import connect
from tasks.settings import Settings
from tests.acceptance.installation import (
    DEMO_FEED,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)

pytestmark = [pytest.mark.acceptance]

PRODUCTS = ("zolla-soda", "tarn-bottle", "tamsin-tea", "korba-ball", "ebba-vase", "solveig-lamp")
SCENES = ["marble-morning", "beach-day"]


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installed = new_installation(
        tmp_path_factory.mktemp("killed"),
        ADLOOM_LEASE_S="3",
        ADLOOM_BATCH_SIZE="8",
        ADLOOM_MICRO_BATCH="2",
    )
    feed = copy_shop(DEMO_FEED, tmp_path_factory.mktemp("shop") / "demo", PRODUCTS)
    installed.ok("up")
    try:
        installed.ok("catalog", "add", "demo", "--location", str(feed))
        installed.ok("catalog", "sync", "demo")
        yield installed
    finally:
        installed.down()


def _stored(adloom: Installation) -> set[str]:
    """The fingerprints of the stored renders."""
    folder = adloom.home / "objects" / "default" / "renders"
    files = folder.glob("*") if folder.is_dir() else []
    return {f.name for f in files if f.is_file()}


def _rows(adloom: Installation, run: int) -> dict[str, dict[str, float]]:
    """Fingerprint -> timings of each render of a run whose row says that it is there."""
    database = Database(connect(Settings.load(home=adloom.home)).database_url)
    try:
        with database.transaction() as tx:
            views = creatives.of_run(tx, run, outcomes=tuple(Outcome))
            return {v.fingerprint: dict(v.render.timings) for v in views if v.render}
    finally:
        database.dispose()


def test_a_killed_run_is_gone_on_with_and_no_stored_render_is_made_again(
    adloom: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "night.yaml"
    file.write_text(campaign_yaml("night", SCENES, steps=8))
    adloom.ok("campaign", "apply", str(file))

    process = adloom.start("run", "night", "--wait")
    deadline = time.monotonic() + 120
    while len(_stored(adloom)) < 3:
        assert time.monotonic() < deadline, (adloom.home / "started.log").read_text()
        assert process.poll() is None, (adloom.home / "started.log").read_text()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = _stored(adloom)
    assert len(stored) < 12, "the run had ended before it was killed"

    interrupted = adloom.ok("runs")["runs"][0]
    before = _rows(adloom, interrupted["run"])
    assert set(before) <= stored, "a row points to an object that is not there"
    made = adloom.ok("run", "night", "--wait")
    run = made["run"]
    assert run["run"] == interrupted["run"], "the interrupted run was not gone on with"
    assert made["adds_up"]
    assert run["state"] == "complete"
    assert run["items"] == 12
    assert run["approved"] + run["needs_review"] + run["rejected"] == 12
    after = _rows(adloom, run["run"])
    assert set(after) == _stored(adloom)
    assert len(after) == 12
    for fingerprint in stored:  # rendered once: before the kill, its object adopted if need be
        assert after[fingerprint] == before.get(fingerprint, {"adopted": 1.0})
    assert adloom.ok("run", "night", "--wait")["run"]["new"] == 0
