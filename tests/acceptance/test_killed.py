"""A rendering process that is killed loses nothing and makes nothing twice."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.installation import (
    DEMO_FEED,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("killed")]

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
        installed.call("down")


def _renders(adloom: Installation) -> dict[str, tuple[int, int]]:
    """Name -> (inode, mtime) of every stored render: another one means that it was made twice."""
    folder = adloom.home / "objects" / "default" / "renders"
    files = folder.glob("*") if folder.is_dir() else []
    return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in files if f.is_file()}


def test_a_killed_run_is_gone_on_with_and_no_stored_render_is_made_again(
    adloom: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "night.yaml"
    file.write_text(campaign_yaml("night", SCENES, steps=8))
    adloom.ok("campaign", "apply", str(file))

    process = adloom.start("run", "night", "--wait")
    deadline = time.monotonic() + 120
    while len(_renders(adloom)) < 3:
        assert time.monotonic() < deadline, (adloom.home / "started.log").read_text()
        assert process.poll() is None, (adloom.home / "started.log").read_text()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = _renders(adloom)
    assert len(stored) < 12, "the run had ended before it was killed"

    interrupted = adloom.ok("runs")["runs"][0]
    made = adloom.ok("run", "night", "--wait")
    run = made["run"]
    assert run["run"] == interrupted["run"], "the interrupted run was not gone on with"
    assert made["adds_up"]
    assert run["state"] == "complete"
    assert run["items"] == 12
    assert run["approved"] + run["needs_review"] + run["rejected"] == 12
    after = _renders(adloom)
    assert len(after) == 12
    assert {k: after[k] for k in stored} == stored
    assert adloom.ok("run", "night", "--wait")["run"]["new"] == 0
