"""Training samples on disk: drawn once by the scene generator, read back as memory maps.

A folder holds one set of arrays per native size: `{W}x{H}.{ads,masks,products,frames}.npy` and
`{W}x{H}.captions.json`.
"""

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from training.scenes_synth.scale import VARIABLE

SHARES = {(128, 128): 0.35, (128, 160): 0.25, (96, 176): 0.2, (176, 96): 0.2}
"""Native sizes (width, height) at a scale of 1, and how many samples are of each."""
ARRAYS = ("ads", "masks", "products", "frames")
BLOCK = 256  # samples drawn with one seed


@dataclass(frozen=True, slots=True)
class Shard:
    """Samples of one native size: ads and masks (N, H, W[, 3]), products (N, S, S, 3), uint8."""

    native: tuple[int, int]
    ads: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    products: NDArray[np.uint8]
    frames: NDArray[np.float32]
    captions: Sequence[str]

    def __len__(self) -> int:
        return len(self.captions)


def draw_block(native: tuple[int, int], split: str, seed: int, count: int) -> Shard:
    """Draw `count` samples; the same arguments give the same samples."""
    from training.scenes_synth import sample

    rng = np.random.default_rng([seed, *native, split == "train"])
    drawn = [sample(rng, native, split) for _ in range(count)]  # pyright: ignore[reportArgumentType]
    return Shard(
        native,
        np.stack([s.ad for s in drawn]),
        np.stack([s.mask for s in drawn]),
        np.stack([s.product for s in drawn]),
        np.array([s.frame for s in drawn], np.float32),
        [s.caption for s in drawn],
    )


def halved(shard: Shard) -> Shard:
    """The same samples at half the size."""
    width, height = shard.native

    def small(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tall, wide = pictures.shape[1] // 2, pictures.shape[2] // 2
        return np.stack(
            [cv2.resize(p, (wide, tall), interpolation=cv2.INTER_AREA) for p in pictures]
        )

    arrays = {name: small(getattr(shard, name)) for name in ("ads", "masks", "products")}
    return Shard(
        (width // 2, height // 2),
        **arrays,
        frames=np.asarray(shard.frames / 2, np.float32),
        captions=shard.captions,
    )


def concatenate(shards: Sequence[Shard]) -> Shard:
    """One shard of all samples; every shard must have the same native size."""
    natives = {s.native for s in shards}
    if len(natives) != 1:
        raise ValueError(f"shards of one native size expected, got {sorted(natives)}")
    arrays = {name: np.concatenate([getattr(s, name) for s in shards]) for name in ARRAYS}
    return Shard(natives.pop(), captions=[c for s in shards for c in s.captions], **arrays)


def write_shard(folder: Path, shard: Shard) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{shard.native[0]}x{shard.native[1]}"
    for name in ARRAYS:
        np.save(folder / f"{stem}.{name}.npy", getattr(shard, name))
    (folder / f"{stem}.captions.json").write_text(json.dumps(list(shard.captions)))


def read_shards(folder: Path) -> list[Shard]:
    """Every shard of the folder, memory-mapped; ModelError where there is none."""
    found: list[Shard] = []
    for captions in sorted(folder.glob("*.captions.json")):
        stem = captions.name.split(".")[0]
        width, height = (int(n) for n in stem.split("x"))
        arrays = {n: np.load(folder / f"{stem}.{n}.npy", mmap_mode="r") for n in ARRAYS}
        found.append(Shard((width, height), captions=json.loads(captions.read_text()), **arrays))
    if not found:
        raise ModelError(
            "no samples", where=str(folder), hint="draw them with `python -m training shards`"
        )
    return found


def by_native(shards: Sequence[Shard]) -> list[Shard]:
    """One shard for each native size."""
    of: dict[tuple[int, int], list[Shard]] = {}
    for shard in shards:
        of.setdefault(shard.native, []).append(shard)
    return [concatenate(parts) for parts in of.values()]


def words_of(shards: Iterable[Shard]) -> set[str]:
    """All that their captions hold."""
    return {
        word for s in shards for caption in s.captions for word in caption.replace(",", " ").split()
    }


def draw_and_write(folder: Path, native: tuple[int, int], seed: int, count: int) -> Path:
    """A block in a folder of its own. It stands here, and not beside who trains: processes that
    draw load no networks."""
    write_shard(folder, draw_block(native, "train", seed, count))
    return folder


@contextmanager
def drawing_pool(workers: int, scale: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that draw at a scale (`scenes_synth.scale`): native sizes are of its px."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(scale)  # inherited by processes that are started anew
    try:
        start = multiprocessing.get_context("spawn")
        # A thread each: OpenCV would take all cores in every process.
        with ProcessPoolExecutor(workers, start, cv2.setNumThreads, (1,)) as pool:
            yield pool
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def draw_shards(
    folder: Path,
    counts: dict[tuple[int, int], int],
    *,
    split: str,
    seed: int,
    workers: int,
    scale: int = 1,
) -> Iterable[str]:
    """Draw and write one shard per native size; yields a line of progress for each."""
    with drawing_pool(workers, scale) as pool:
        for native, count in counts.items():
            blocks = range(0, count, BLOCK)
            futures = [
                pool.submit(draw_block, native, split, seed + 1000 * i, min(BLOCK, count - start))
                for i, start in enumerate(blocks)
            ]
            write_shard(folder, concatenate([f.result() for f in futures]))
            yield f"{native[0]}x{native[1]}: {count} samples"
