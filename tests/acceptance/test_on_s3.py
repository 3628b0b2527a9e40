"""The same run with its objects on a real S3 server, and what goes wrong with one."""

import json
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
from tests.server_fixtures import S3Server

pytestmark = [pytest.mark.acceptance]

PRODUCTS = ("zolla-soda", "tarn-bottle")


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Installation]:
    bucket = s3_server.new_bucket()
    installed = new_installation(
        tmp_path_factory.mktemp("on-s3"),
        ADLOOM_STORAGE_URL=f"s3://{bucket}/shop",
        ADLOOM_S3_ENDPOINT=s3_server.endpoint,
        **s3_server.env,
    )
    installed.ok("up")
    try:
        yield installed
    finally:
        installed.down()


def test_a_run_keeps_its_objects_on_s3(adloom: Installation, tmp_path: Path) -> None:
    feed = copy_shop(DEMO_FEED, tmp_path / "demo", PRODUCTS)
    adloom.ok("catalog", "add", "demo", "--location", str(feed))
    adloom.ok("catalog", "sync", "demo")
    file = tmp_path / "s3.yaml"
    file.write_text(campaign_yaml("s3", ["marble-morning", "beach-day"]))
    adloom.ok("campaign", "apply", str(file))
    made = adloom.ok("run", "s3", "--wait")
    assert made["adds_up"]
    assert (made["run"]["items"], made["run"]["new"], made["run"]["failed"]) == (4, 4, 0)
    assert adloom.ok("run", "s3", "--wait")["run"]["new"] == 0
    done = adloom.ok("creatives", "export", str(made["run"]["run"]), str(tmp_path / "out"))
    assert done["images"] == made["run"]["approved"]
    images = adloom.ok("creatives", "list", "--run", str(made["run"]["run"]))["creatives"]
    assert all(c["image"].startswith("s3://") for c in images)
    assert adloom.ok("gc")["removed"] == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials"),
        ({"ADLOOM_STORAGE_URL": "s3://no-such-bucket/shop"}, "no-such-bucket"),
        ({"ADLOOM_S3_ENDPOINT": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
def test_what_is_wrong_with_s3_is_said_in_one_line(
    adloom: Installation, changed: dict[str, str], words: str
) -> None:
    answer = adloom.call("gc", **changed)
    assert answer.code == 4
    assert words in answer.err
    assert "Traceback" not in answer.err
    checks = json.loads(adloom.call("doctor", "--json", **changed).out)["checks"]
    assert [c["name"] for c in checks if c["level"] == "fail"] == ["storage"]
