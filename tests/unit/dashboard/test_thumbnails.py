"""Smaller copies: made once, kept within bounds."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adloom.errors import InvalidInputError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from dashboard.thumbnails import ThumbnailCache, smaller


def files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_a_copy_is_made_once_however_many_ask_at_once(tmp_path: Path) -> None:
    cache, made, together = ThumbnailCache(tmp_path), [], threading.Barrier(8)

    def make() -> bytes:
        made.append(1)
        return b"picture"

    def ask(_: int) -> bytes:
        together.wait(timeout=10)
        return cache.get("one", make)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {b"picture"}
    assert len(made) == 1
    assert ThumbnailCache(tmp_path).get("one", lambda: b"another") == b"picture"


def test_the_folder_stays_within_its_bound_and_keeps_what_was_asked_for_last(
    tmp_path: Path,
) -> None:
    cache = ThumbnailCache(tmp_path, limit_bytes=1000)
    for n in range(10):
        cache.get(f"{n}", lambda: b"x" * 100)
        for path in files(tmp_path):
            os.utime(path, (path.stat().st_mtime - 10, path.stat().st_mtime - 10))
    cache.get("more", lambda: b"x" * 100)
    assert cache.size_bytes <= 1000
    assert sum(p.stat().st_size for p in files(tmp_path)) == cache.size_bytes
    assert cache.get("more", lambda: b"made again") == b"x" * 100
    assert cache.get("0", lambda: b"made again") == b"made again"


def test_what_cannot_be_made_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path)

    def broken() -> bytes:
        raise InvalidInputError("no picture")

    with pytest.raises(InvalidInputError):
        cache.get("one", broken)
    assert files(tmp_path) == []
    assert cache.get("one", lambda: b"picture") == b"picture"


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_bytes(b"in the way")
    assert ThumbnailCache(taken / "below").get("one", lambda: b"picture") == b"picture"


def test_a_name_is_no_path(tmp_path: Path) -> None:
    ThumbnailCache(tmp_path / "cache").get("../../escaped", lambda: b"picture")
    assert all(tmp_path / "cache" in p.parents for p in files(tmp_path))


def test_a_copy_is_a_webp_of_the_asked_size_on_white() -> None:
    pixels = np.zeros((600, 1200, 4), np.uint8)
    with Image.open(BytesIO(smaller(encode(pixels, ImageFormat.PNG), 320))) as copy:
        assert (copy.format, copy.size) == ("WEBP", (320, 160))
        assert copy.convert("RGB").getpixel((10, 10)) == (255, 255, 255)
    small = encode(np.zeros((8, 8), np.uint8), ImageFormat.PNG)
    with Image.open(BytesIO(smaller(small, 320))) as copy:
        assert copy.size == (8, 8)
    with pytest.raises(InvalidInputError):
        smaller(b"no picture", 320)
