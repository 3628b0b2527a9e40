"""What failed is opened again by error class, reason and age, and only that is made."""

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

pytestmark = [pytest.mark.acceptance]

PRODUCTS = ("zolla-soda", "tarn-bottle")


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installed = new_installation(tmp_path_factory.mktemp("retry"))
    feed = copy_shop(DEMO_FEED, tmp_path_factory.mktemp("shop") / "demo", PRODUCTS)
    installed.ok("up")
    try:
        installed.ok("catalog", "add", "demo", "--location", str(feed))
        installed.ok("catalog", "sync", "demo")
        yield installed
    finally:
        installed.down()


def test_a_retry_makes_what_failed_for_the_reason_that_was_mended(
    adloom: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "again.yaml"
    file.write_text(campaign_yaml("again", ["marble-morning"]))
    adloom.ok("campaign", "apply", str(file))
    masks = sorted((adloom.home / "objects" / "default" / "masks").iterdir())
    hidden = masks[0].rename(tmp_path / "mask")

    answer = adloom.call("run", "again", "--wait", "--json")
    assert answer.code == 5, answer.err
    run = answer.json["run"]
    assert (run["items"], run["failed"], run["state"]) == (2, 1, "complete")
    assert answer.json["failures"][0][0] == "ObjectMissingError"

    number = str(run["run"])
    for options in (("--error-class", "RenderError"), ("--older-than", "1h")):
        refused = adloom.call("retry", number, *options, "--wait")
        assert (refused.code, "nothing to retry" in refused.err) == (3, True), refused.err

    hidden.rename(masks[0])
    made = adloom.ok("retry", number, "--reason", "does not exist", "--since", "1h", "--wait")
    assert made["adds_up"]
    assert (made["run"]["run"], made["run"]["failed"]) == (run["run"], 0)
    assert (made["run"]["rendered"], made["run"]["state"]) == (2, "complete")
