"""The whole path on real servers: a real catalogue in, approved creatives out, nothing twice."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.acceptance.installation import (
    SALEOR,
    Installation,
    campaign_yaml,
    copy_shop,
    new_installation,
)

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        not (SALEOR / "feed.tsv").is_file(), reason=f"the Saleor catalogue is not at {SALEOR}"
    ),
]

SCENES = ["marble-morning", "beach-day", "oak-living-room", "neon-street"]
OTHERS = ["apple-juice", "mighty-mug"]
PRODUCTS = ["white-plimsolls", "blue-plimsolls", "dash-force"]
BROKEN = "broken-photo"
SELECTION = {"external_ids": [*PRODUCTS, BROKEN]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of part of the catalogue in a temporary folder, so that a test can change a photo."""
    folder = tmp_path_factory.mktemp("shop") / "saleor"
    feed = copy_shop(SALEOR / "feed.tsv", folder, (*PRODUCTS, *OTHERS))
    whole = (folder / "images" / "white-plimsolls-2.jpg").read_bytes()
    (folder / "images" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    with feed.open("a", encoding="utf-8") as rows:
        rows.write(_row(BROKEN, "images/broken.jpg", "10.00 USD"))
        rows.write(_row("absurd-price", "images/white-plimsolls-2.jpg", "cheap"))
    return folder


def _row(external_id: str, photo: str, price: str) -> str:
    fields = (external_id, "Title", "", "https://shop.example/p", photo, "", "in_stock", price,
              "Brand", "Mug", "new", "", "no")  # fmt: skip
    return "\t".join(fields) + "\n"


@pytest.fixture(scope="module")
def adloom(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Iterator[Installation]:
    installed = new_installation(tmp_path_factory.mktemp("first-light"))
    installed.ok("up")
    try:
        installed.ok("catalog", "add", "saleor", "--location", str(shop / "feed.tsv"))
        yield installed
    finally:
        installed.down()


@pytest.fixture(scope="module")
def first_run(adloom: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict:
    file = tmp_path_factory.mktemp("specs") / "spring.yaml"
    synced = adloom.ok("catalog", "sync", "saleor")
    counts = synced["counts"]
    assert (counts["added"], counts["rejected"], counts["photos_rejected"]) == (
        len(PRODUCTS) + len(OTHERS) + 1,
        1,
        1,
    )
    assert {p["external_id"]: p["reason"] for p in synced["problems"]} == {
        BROKEN: "TRUNCATED",
        "absurd-price": "BAD_PRICE",
    }
    file.write_text(campaign_yaml("spring", SCENES, selection=SELECTION))
    adloom.ok("campaign", "apply", str(file))
    planned = adloom.ok("campaign", "plan", "spring")
    assert (planned["slots"], planned["reused"]) == (12, 0)
    assert planned["skipped"] == {"PHOTO_PROBLEM": 1}
    return adloom.ok("run", "spring", "--wait")


def test_every_planned_slot_is_judged_and_the_counts_add_up(first_run: dict) -> None:
    run = first_run["run"]
    assert first_run["adds_up"]
    assert (run["state"], run["items"], run["new"], run["reused"]) == ("complete", 12, 12, 0)
    assert run["approved"] + run["needs_review"] + run["rejected"] == 12


def test_approved_creatives_are_exported_with_a_manifest_and_a_sheet(
    adloom: Installation, first_run: dict, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    done = adloom.ok("creatives", "export", str(first_run["run"]["run"]), str(folder))
    rows = pd.read_csv(folder / "manifest.csv")
    assert len(rows) == done["images"] == first_run["run"]["approved"]
    assert pd.read_parquet(folder / "manifest.parquet")["file"].tolist() == rows["file"].tolist()
    assert "photo" in (folder / "index.html").read_text()
    for file in rows["file"]:
        with Image.open(folder / file) as picture:
            assert picture.size == (1080, 1080)


def test_the_same_run_again_renders_nothing(adloom: Installation, first_run: dict) -> None:
    again = adloom.ok("run", "spring", "--wait")["run"]
    assert again["run"] != first_run["run"]["run"]
    assert (again["items"], again["new"], again["reused"]) == (12, 0, 12)


def test_a_second_campaign_reuses_the_renders_and_exports_its_own_set(
    adloom: Installation, first_run: dict, tmp_path: Path
) -> None:
    assert first_run["run"]["new"] == 12
    file = tmp_path / "summer.yaml"
    file.write_text(campaign_yaml("summer", SCENES[:2], selection=SELECTION))
    adloom.ok("campaign", "apply", str(file))
    run = adloom.ok("run", "summer", "--wait")["run"]
    assert (run["items"], run["new"], run["reused"]) == (6, 0, 6)
    adloom.ok("creatives", "export", str(run["run"]), str(tmp_path / "summer"))
    rows = pd.read_csv(tmp_path / "summer" / "manifest.csv")
    assert set(rows["scene"]) <= set(SCENES[:2])
    assert len(rows) == run["approved"]


def test_a_changed_gate_judges_again_and_renders_nothing(
    adloom: Installation, first_run: dict, tmp_path: Path
) -> None:
    assert first_run["run"]["new"] == 12
    file = tmp_path / "strict.yaml"
    strict = [{"score": "model.identity", "min": 2.0}]  # a cosine never reaches 2
    file.write_text(campaign_yaml("spring", SCENES, selection=SELECTION, gates=strict))
    adloom.ok("campaign", "apply", str(file))
    made = adloom.ok("run", "spring", "--wait")
    assert (made["run"]["new"], made["run"]["rejected"]) == (0, 12)
    assert made["reasons"] == [["MODEL_IDENTITY", 12]]


def test_a_changed_photo_renders_only_its_own_creatives(
    adloom: Installation, first_run: dict, shop: Path
) -> None:
    assert first_run["run"]["new"] == 12
    photo = shop / "images" / "white-plimsolls-2.jpg"
    with Image.open(photo) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photo, quality=95)
    counts = adloom.ok("catalog", "sync", "saleor")["counts"]
    assert (counts["photos_new"], counts["deactivated"]) == (1, 0)
    run = adloom.ok("run", "spring", "--wait")["run"]
    assert (run["items"], run["new"], run["reused"]) == (12, 4, 8)
    products = {
        c["external_id"]
        for c in adloom.ok("creatives", "list", "--run", str(run["run"]))["creatives"]
        if c["disposition"] == "new"
    }
    assert products == {"white-plimsolls"}


def test_mistakes_end_in_one_clear_line_and_a_documented_code(
    adloom: Installation, first_run: dict, tmp_path: Path
) -> None:
    assert first_run["adds_up"]
    bad = tmp_path / "bad.yaml"
    bad.write_text("campaign: bad\nscenes: [no-such-scene]\nformats: ['1:1']\n")
    cases = {
        ("run", "nothing", "--wait"): (3, "nothing"),
        ("catalog", "sync", "nowhere"): (3, "nowhere"),
        ("campaign", "apply", str(bad)): (2, "no-such-scene"),
        ("campaign", "apply", str(tmp_path / "gone.yaml")): (2, "gone.yaml"),
        ("report", "99999"): (3, "99999"),
        ("creatives", "show", "99999"): (3, "99999"),
        ("scenes", "show", "no-such-scene"): (3, "no-such-scene"),
        ("frobnicate",): (2, "frobnicate"),
    }
    for arguments, (code, word) in cases.items():
        answer = adloom.call(*arguments)
        assert answer.code == code, (arguments, answer)
        assert word in answer.err
        assert "Traceback" not in answer.err
