"""Samples in one small file, there and back."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from adloom.errors import ModelError
from training.packing import pack, unpack
from training.shards import Shard, read_shards, write_shard

NATIVE = (96, 64)


def smooth(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def two_views_each(count: int) -> Shard:
    """Rows of one ad follow each other, with a reference of their own each."""
    rng = np.random.default_rng(5)
    ads = np.stack([smooth(rng, *NATIVE) for _ in range(count)]).repeat(2, axis=0)
    masks = (rng.random((count, NATIVE[1], NATIVE[0])) * 255).astype(np.uint8).repeat(2, axis=0)
    products = np.stack([smooth(rng, 64, 64) for _ in range(2 * count)])
    frames = rng.random((2 * count, 3)).astype(np.float32)
    return Shard(NATIVE, ads, masks, products, frames, [f"a red cup {i}" for i in range(2 * count)])


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    shard = two_views_each(3)
    write_shard(tmp_path / "samples", shard)
    rows = json.dumps([{"view": i % 2} for i in range(6)])
    (tmp_path / "samples" / "96x64.rows.json").write_text(rows)
    assert pack(tmp_path / "samples", tmp_path / "samples.zip") == 6
    assert unpack(tmp_path / "samples.zip", tmp_path / "back") == 6

    [found] = read_shards(tmp_path / "back")
    assert (found.native, list(found.captions)) == (NATIVE, list(shard.captions))
    assert np.array_equal(found.masks, shard.masks)
    assert np.array_equal(found.frames, shard.frames)
    assert (tmp_path / "back" / "96x64.rows.json").read_text() == rows
    for name in ("ads", "products"):
        off = np.abs(getattr(found, name).astype(float) - getattr(shard, name))
        assert off.mean() < 3, name
    assert np.array_equal(found.ads[0], found.ads[1])


def test_a_picture_shared_by_two_rows_is_stored_once(tmp_path: Path) -> None:
    write_shard(tmp_path / "samples", two_views_each(4))
    pack(tmp_path / "samples", tmp_path / "samples.zip")
    names = zipfile.ZipFile(tmp_path / "samples.zip").namelist()
    stored = {kind: sum(f".{kind}/0" in n for n in names) for kind in ("ads", "masks", "products")}
    assert stored == {"ads": 4, "masks": 4, "products": 8}


def rewritten(packed: Path, changes: dict[str, bytes | None]) -> None:
    """Members replaced, added, or left out where None."""
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in (members | changes).items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"../victim/x.ads/count": b"1"}, "victim"),
        ({"/tmp/abs.ads/count": b"1"}, "abs.ads"),
        ({".bashrc": b"echo"}, "bashrc"),
        ({"96x64.ads/000000.webp": None}, "000000.webp"),
        ({"96x64.ads/000002.webp": b"nothing"}, "000002.webp is damaged"),
        ({"96x64.ads/count": b"7"}, "7 ads"),
        ({"96x64.captions.json": b"{"}, "Expecting"),
        ({"96x64.captions.json": b"[]"}, "0 captions"),
        ({"96x64.frames.npy": None}, "frames"),
        ({"96x64.captions.json": None}, "no captions"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    write_shard(tmp_path / "samples", two_views_each(2))
    pack(tmp_path / "samples", tmp_path / "samples.zip")
    rewritten(tmp_path / "samples.zip", changes)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelError, match="no packed samples") as caught:
        unpack(tmp_path / "samples.zip", tmp_path / "back")
    assert said in str(caught.value)
    assert "samples.zip" in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut", "flipped"])
def test_what_is_no_packed_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    write_shard(tmp_path / "samples", two_views_each(2))
    packed = tmp_path / "samples.zip"
    pack(tmp_path / "samples", packed)
    whole = packed.read_bytes()
    flipped = bytearray(whole)
    start = whole.index(b"96x64.captions.json") + len("96x64.captions.json")
    flipped[start : start + 20] = bytes(255 - b for b in whole[start : start + 20])
    contents = {"empty": b"", "text": b"no archive", "cut": whole[:-200], "flipped": flipped}
    packed.unlink()
    if kind in contents:
        packed.write_bytes(contents[kind])
    with pytest.raises(ModelError, match="no packed samples") as caught:
        unpack(packed, tmp_path / "back")
    assert "samples.zip" in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_nothing_is_packed_into_itself_or_over_what_lies_there(tmp_path: Path) -> None:
    write_shard(tmp_path / "samples", two_views_each(2))
    with pytest.raises(ModelError, match="pack itself"):
        pack(tmp_path / "samples", tmp_path / "samples" / "x.zip")
    with pytest.raises(ModelError, match="no samples"):
        pack(tmp_path / "nowhere", tmp_path / "x.zip")
    pack(tmp_path / "samples", tmp_path / "deep" / "x.zip")
    with pytest.raises(ModelError, match="lies there already"):
        unpack(tmp_path / "deep" / "x.zip", tmp_path / "samples")
