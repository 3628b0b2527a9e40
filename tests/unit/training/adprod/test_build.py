"""The whole build on a few made-up ads: counts, resuming, the folder read back."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adloom.errors import ConfigurationError, ConflictError, SpecError
from tests.unit.training.adprod.pictures import ad, save, with_watermark
from training.adprod.annotations import read_annotations
from training.adprod.build import Build, build
from training.adprod.example import Making
from training.adprod.filters import Limits
from training.adprod.records import record_path
from training.adprod.released import list_triplets
from training.adprod.splitting import split_of

MAKING = Making(Limits(shorter_px=200, confidence=0.3))


def folder_hash(out: Path) -> dict[str, str]:
    return {
        p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(out.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Three good ads, one twice, one marked, one small, one broken, one without a caption."""
    root = tmp_path_factory.mktemp("ads")
    pictures = root / "pictures"
    for seed in (1, 2, 3):
        save(pictures, f"cup/{seed}.png", ad(seed))
    save(pictures, "cup/twice.png", ad(3))
    save(pictures, "marked.png", with_watermark(ad(4)))
    save(pictures, "small.png", ad(5)[:150])
    save(pictures, "untold.png", ad(6))
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    rows = ["image,caption,product", "gone.png,x,"]
    for name in ("cup/1", "cup/2", "cup/3", "cup/twice", "marked", "small"):
        rows.append(
            f"{name}.png,a ball {name}|a toy,{'same' if name in ('cup/1', 'cup/2') else ''}"
        )
    rows.append("broken.jpg,a ball,")
    (root / "captions.csv").write_text("\n".join(rows) + "\n")
    return Build(pictures, root / "out", root / "captions.csv", making=MAKING)


@pytest.fixture(scope="module")
def report(task: Build):
    return build(task)


def test_every_picture_is_accounted_for(report) -> None:
    assert report.pictures == 8
    assert report.accepted == 3
    assert report.left_out == {
        "UNREADABLE": 1, "DUPLICATE": 1, "LOW_RESOLUTION": 1, "WATERMARK": 1, "NO_CAPTION": 1,
    }  # fmt: skip
    assert report.accepted + sum(report.left_out.values()) == report.pictures
    assert report.unknown == ("gone.png",)
    assert report.failures[0].startswith("broken.jpg: ")
    assert sum(s["triplets"] for s in report.splits.values()) == 15
    assert report.variants == {"degraded": 6, "novel_view": 6, "original": 3}


def test_the_folder_is_one_of_triplets(task: Build, report) -> None:  # noqa: ARG001
    listing = list_triplets(task.out)
    assert len(listing) == 15
    assert not listing.missing
    names = {t.product.name[-7:-4] for t in listing.triplets}
    assert names == {"_00", "_01", "_02", "_03", "_04"}
    for triplet in listing.triplets:
        novel = triplet.product.name.endswith(("_03.png", "_04.png"))
        assert triplet.mask.name.endswith("_gs.npy") == novel
        assert not triplet.ad_mask.name.endswith("_gs.npy")
    for split in ("train", "test"):
        for annotation in read_annotations(task.out / f"{split}.json"):
            assert split_of(annotation.product) == split
    assert {t.key for t in listing.triplets if t.captions[0].endswith(("1", "2"))} == {"same"}


def test_report_and_sheet_are_written(task: Build, report) -> None:
    written = json.loads((task.out / "report.json").read_text())
    assert written["accepted"] == report.accepted
    assert "| WATERMARK | 1 |" in (task.out / "report.md").read_text()
    assert (task.out / "examples.png").stat().st_size > 1000


def test_started_again_it_makes_nothing_again(task: Build, report) -> None:
    before = {p: p.stat().st_mtime_ns for p in (task.out / "Product Image").iterdir()}
    calls: list[tuple[int, int]] = []
    assert build(task, progress=lambda done, of: calls.append((done, of))) == report
    assert {p: p.stat().st_mtime_ns for p in (task.out / "Product Image").iterdir()} == before
    assert calls == [(8, 8)]


def test_killed_and_gone_on_with_it_is_the_same_and_so_is_it_in_parallel(
    task: Build,
    report,
    tmp_path: Path,
) -> None:
    killed = replace(task, out=tmp_path / "out", workers=2)

    class Killed(Exception):
        pass

    def kill(done: int, of: int) -> None:
        del of
        if done >= 4:
            raise Killed

    with pytest.raises(Killed):
        build(killed, progress=kill)
    left = killed.out / "Ad Image" / "x.png.1.part"
    left.write_bytes(b"half a file")
    record_path(killed.out, "cup/1.png").write_text('{"path": "cup/1.p')
    assert build(killed) == report
    assert not left.exists()
    assert folder_hash(killed.out) == folder_hash(task.out)


def test_other_settings_need_another_folder(task: Build, report) -> None:  # noqa: ARG001
    with pytest.raises(ConflictError, match="making"):
        build(replace(task, making=replace(MAKING, seed=1)))


def test_a_caption_that_comes_later_is_used(task: Build, tmp_path: Path) -> None:
    first = tmp_path / "first.csv"
    first.write_text("image,caption\ncup/2.png,x\n")
    pictures = tmp_path / "in"
    save(pictures, "cup/2.png", ad(2))
    save(pictures, "untold.png", ad(6))
    later = Build(pictures, tmp_path / "out", first, making=task.making)
    assert build(later).left_out == {"NO_CAPTION": 1}
    first.write_text("image,caption\ncup/2.png,another\nuntold.png,y\n")
    assert build(later).accepted == 2
    said = {t.captions for t in list_triplets(tmp_path / "out").triplets}
    assert said == {("another",), ("y",)}


def test_a_captioner_captions_what_has_no_caption(task: Build, tmp_path: Path) -> None:
    class Shapes:
        version = "shapes"

        def captions(self, picture: np.ndarray, category: str) -> tuple[str, ...]:
            return (f"a {category} of {picture.shape[0]} px",)

    pictures = tmp_path / "in"
    save(pictures, "kite/1.png", ad(1))
    made = build(Build(pictures, tmp_path / "out", making=task.making), Shapes())
    assert made.accepted == 1
    assert {t.captions for t in list_triplets(tmp_path / "out").triplets} == {("a kite of 240 px",)}


def test_no_caption_at_all_is_refused_before_anything_is_made(task: Build, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="caption"):
        build(replace(task, captions=None, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_unknown_extractor_is_refused(task: Build, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no extractor"):
        build(replace(task, out=tmp_path / "out", extractor="nowhere:Nothing"))
