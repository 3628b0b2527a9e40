"""Samples in one small file, to carry to another machine: pictures as WebP.

PACK.zip
  128x128.ads/000007.webp      row 7's picture; where there is none, the row before's
  128x128.masks/000007.webp    lossless
  128x128.frames.npy …         all else as it lies in the folder
"""

import zipfile
from collections.abc import Iterator
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

COUNT: Final = "count"


def pack(samples: Path, out: Path) -> int:
    """Writes the folder's samples to the file OUT; how many rows that are. FileNotFoundError where
    the folder has none."""
    shards = read_shards(samples)
    temporary = out.with_name(f"{out.name}.part")
    with zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(samples.iterdir()):
            stem, _, kind = path.name.removesuffix(".npy").rpartition(".")
            if path.suffix == ".npy" and kind in QUALITIES:
                rows = np.load(path, mmap_mode="r")
                archive.writestr(f"{stem}.{kind}/{COUNT}", str(len(rows)))
                for name, data in _encoded(rows, QUALITIES[kind]):
                    archive.writestr(f"{stem}.{kind}/{name}", data)
            elif path.is_file():
                archive.write(path, path.name, zipfile.ZIP_DEFLATED)
    temporary.replace(out)
    return sum(len(s) for s in shards)


def unpack(packed: Path, out: Path) -> int:
    """Writes a packed file's samples to the folder OUT, as they were but for WebP's losses; how
    many rows that are. ModelError where it is no such file, or damaged."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(packed) as archive:
            names = archive.namelist()
            for counted in (n for n in names if n.endswith(f"/{COUNT}")):
                array = counted.removesuffix(f"/{COUNT}")
                np.save(out / f"{array}.npy", _decoded(archive, array, set(names)))
            for name in (n for n in names if "/" not in n):
                archive.extract(name, out)
        return sum(len(s) for s in read_shards(out))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, cv2.error) as error:
        raise ModelError(
            f"no packed samples: {error}",
            where=str(packed),
            hint="make them with `python -m training pack`",
        ) from error


def _encoded(rows: Picture, quality: int) -> Iterator[tuple[str, bytes]]:
    before: Picture | None = None
    for i, row in enumerate(rows):
        if before is not None and np.array_equal(row, before):
            continue
        before = row
        given = row if row.ndim == 2 else row[..., ::-1]
        _, data = cv2.imencode(".webp", given, [cv2.IMWRITE_WEBP_QUALITY, quality])
        yield f"{i:06d}.webp", data.tobytes()


def _decoded(archive: zipfile.ZipFile, array: str, names: set[str]) -> Picture:
    """(N, H, W, 3), masks (N, H, W)."""
    is_mask = array.endswith(".masks")
    rows: list[Picture] = []
    for i in range(int(archive.read(f"{array}/{COUNT}"))):
        name = f"{array}/{i:06d}.webp"
        if name not in names and rows:
            rows.append(rows[-1])
            continue
        data = np.frombuffer(archive.read(name), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{name} is damaged")
        rows.append(np.asarray(picture[..., 0] if is_mask else picture[..., ::-1], np.uint8))
    return np.stack(rows)
