"""Samples in one small file, to carry to another machine: pictures as WebP.

PACK.zip
  128x128.ads/000007.webp      row 7's picture; where there is none, the row before's
  128x128.ads/count            how many rows there are
  128x128.masks/000007.webp    lossless
  128x128.captions.json …      captions, frames, and what the rows show, as they lie in the folder
"""

import io
import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from training.shards import read_shards

Picture = NDArray[np.uint8]
QUALITIES: Final = {"ads": 92, "products": 92, "masks": 101}
"""WebP's, of each array of pictures; above 100 is lossless."""

DECODED_AT_ONCE: Final = 256
NEEDED: Final = ("frames.npy", "captions.json")
COUNT: Final = "count"
KNOWN: Final = re.compile(
    r"\d+x\d+\.(ads|products|masks)/(count|\d{6}\.webp)"
    r"|\d+x\d+\.(frames\.npy|captions\.json|rows\.json)|adprod-mini\.json"
)
DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError,
    ValueError, cv2.error,
)  # fmt: skip


def pack(samples: Path, out: Path) -> int:
    """Writes the folder's samples to the file OUT; how many rows that are. ModelError where the
    folder has none, or OUT would lie in it."""
    shards = read_shards(samples)
    if out.resolve().is_relative_to(samples.resolve()):
        raise ModelError("the file would pack itself", where=str(out), hint="another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f"{out.name}.part")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for shard in shards:
                stem = f"{shard.native[0]}x{shard.native[1]}"
                for kind, quality in QUALITIES.items():
                    _pack_pictures(archive, f"{stem}.{kind}", getattr(shard, kind), quality)
                for name in (*(f"{stem}.{n}" for n in NEEDED), f"{stem}.rows.json"):
                    _pack_file(archive, samples / name)
            _pack_file(archive, samples / "adprod-mini.json")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return sum(len(s) for s in shards)


def unpack(packed: Path, out: Path) -> int:
    """Writes a packed file's samples to the new folder OUT, whole or not at all, as they were but
    for WebP's losses; how many rows that are. ModelError where it is no such file, or damaged, or
    OUT holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError("something lies there already", where=str(out), hint="a new folder")
    temporary = out.with_name(f"{out.name}.part")
    try:
        with zipfile.ZipFile(packed) as archive:
            names = _known_names(archive)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            rows = sum(
                _unpack_shard(archive, names, name.removesuffix(".captions.json"), temporary)
                for name in sorted(names)
                if name.endswith(".captions.json")
            )
            if "adprod-mini.json" in names:
                (temporary / "adprod-mini.json").write_bytes(archive.read("adprod-mini.json"))
    except (*DAMAGED, FileNotFoundError) as error:
        raise ModelError(
            f"no packed samples: {error}",
            where=str(packed),
            hint="make them with `python -m training pack`",
        ) from error
    else:
        if out.is_dir():
            out.rmdir()
        temporary.replace(out)
        return rows
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _pack_file(archive: zipfile.ZipFile, path: Path) -> None:
    if path.is_file():
        archive.write(path, path.name, zipfile.ZIP_DEFLATED)


def _pack_pictures(archive: zipfile.ZipFile, array: str, rows: Picture, quality: int) -> None:
    archive.writestr(f"{array}/{COUNT}", str(len(rows)))
    for i, data in _encoded(rows, quality):
        archive.writestr(f"{array}/{i:06d}.webp", data)


def _encoded(rows: Picture, quality: int) -> Iterator[tuple[int, bytes]]:
    """The rows that differ from the one before, by their numbers."""
    before: Picture | None = None
    for i, row in enumerate(rows):
        if before is not None and np.array_equal(row, before):
            continue
        before = row
        given = row if row.ndim == 2 else row[..., ::-1]
        _, data = cv2.imencode(".webp", given, [cv2.IMWRITE_WEBP_QUALITY, quality])
        yield i, data.tobytes()


def _known_names(archive: zipfile.ZipFile) -> set[str]:
    """ValueError for anything that `pack` does not write, such as a path that leads elsewhere."""
    names = set(archive.namelist())
    strange = sorted(name for name in names if not KNOWN.fullmatch(name))
    if strange:
        raise ValueError(f"{strange[0]!r} belongs to none")
    if not any(name.endswith(".captions.json") for name in names):
        raise ValueError("no captions in it")
    return names


def _unpack_shard(archive: zipfile.ZipFile, names: set[str], stem: str, out: Path) -> int:
    """ValueError where arrays, frames and captions are not of one length."""
    count = len(json.loads(archive.read(f"{stem}.captions.json")))
    frames = np.load(io.BytesIO(archive.read(f"{stem}.frames.npy")), allow_pickle=False)
    if count == 0 or frames.shape != (count, 3):
        raise ValueError(f"{count} captions of {stem}, frames {frames.shape}")
    for name in (*NEEDED, "rows.json"):
        if f"{stem}.{name}" in names:
            (out / f"{stem}.{name}").write_bytes(archive.read(f"{stem}.{name}"))
    for kind in QUALITIES:
        stored = int(archive.read(f"{stem}.{kind}/{COUNT}"))
        if stored != count:
            raise ValueError(f"{count} captions of {stem}, {stored} {kind}")
        _unpack_pictures(archive, names, f"{stem}.{kind}", count, out)
    return count


def _unpack_pictures(
    archive: zipfile.ZipFile, names: set[str], array: str, count: int, out: Path
) -> None:
    row = _decoded(archive, array, 0)
    shape = (count, *row.shape)
    rows = np.lib.format.open_memmap(out / f"{array}.npy", "w+", np.uint8, shape)
    stored = [i for i in range(count) if f"{array}/{i:06d}.webp" in names]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(stored), DECODED_AT_ONCE):
            some = stored[first : first + DECODED_AT_ONCE]
            for i, row in zip(some, pool.map(partial(_decoded, archive, array), some), strict=True):
                if row.shape != shape[1:]:
                    raise ValueError(f"{array}, row {i}: {row.shape} where row 0 has {shape[1:]}")
                rows[i] = row
    for i in sorted(set(range(count)) - set(stored)):
        rows[i] = rows[i - 1]
    rows.flush()


def _decoded(archive: zipfile.ZipFile, array: str, i: int) -> Picture:
    """(H, W, 3), masks (H, W)."""
    name = f"{array}/{i:06d}.webp"
    picture = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{name} is damaged")
    return np.asarray(picture[..., 0] if array.endswith(".masks") else picture[..., ::-1], np.uint8)
