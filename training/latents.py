"""Training samples as the networks see them: encoded once, then held in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from adloom.errors import ModelError, first_line
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.sampling import latent_mask
from models.refadgen.tokens import token_ids
from training.shards import Shard

ENCODE_BATCH = 64


@dataclass(frozen=True, slots=True)
class Bucket:
    """N samples of one native size. ads (N, C, h, w) and products (N, C, s, s) are latents (aligned
    products (N, C, h, w)),
    masks (N, 1, h, w) in [0, 1], pixels (N, 3, p, p) uint8 the product pictures at the image
    encoder's size, frames (N, 3), ids (N, L).

    renders (N, C, h, w) or None: latents that a model made of the same conditions
    (`own_renders`)."""

    native: tuple[int, int]
    ads: Tensor
    products: Tensor
    masks: Tensor
    pixels: Tensor
    frames: Tensor
    ids: Tensor
    renders: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """What it has a row of for each sample, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "native"}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def to(self, device: torch.device) -> "Bucket":
        """The same on a device: where all samples fit a GPU's memory, drawing copies nothing."""
        return Bucket(self.native, **{name: a.to(device) for name, a in self.arrays.items()})

    def select(self, rows: Tensor) -> "Bucket":
        """Some samples, by their indices or by a boolean for each."""
        return Bucket(self.native, **{name: a[rows] for name, a in self.arrays.items()})


@dataclass(frozen=True, slots=True)
class Batch:
    """A bucket's rows, in float32."""

    ads: Tensor
    products: Tensor
    masks: Tensor
    pixels: Tensor
    frames: Tensor
    ids: Tensor
    renders: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        arrays: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{n: a.to(device) for n, a in arrays.items() if a is not None})


def unit_pictures(pictures: NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """uint8 (N, H, W, 3) -> (N, 3, H, W) in [0, 1], on the device."""
    given = torch.from_numpy(np.array(pictures)).to(device or "cpu")
    return given.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def encode_shard(pipeline: RefAdGenPipeline, shard: Shard, *, mirror: bool = False) -> Bucket:
    """Everything of a shard that no trained network touches. mirror: left and right changed;
    captions say nothing of sides."""
    side = pipeline.image_encoder.config.image_size

    def seen(pictures: NDArray[np.uint8]) -> Tensor:
        given = unit_pictures(pictures, pipeline.device)
        return given.flip(-1) if mirror else given

    def ads(part: slice) -> Tensor:
        return _latents(pipeline, seen(shard.ads[part]))

    def products(part: slice) -> Tensor:
        return _latents(pipeline, seen(shard.products[part]))

    def pixels(part: slice) -> Tensor:
        given = seen(shard.products[part])
        return (_middle_square(given, side) * 255).round().byte().cpu()

    def masks(part: slice) -> Tensor:
        given = torch.from_numpy(np.array(shard.masks[part])).to(pipeline.device)[:, None].float()
        given = given.flip(-1) if mirror else given
        return latent_mask(given / 255, size, pipeline.config["mask_resize"]).half().cpu()

    latents = torch.cat(list(_chunks(ads, len(shard))))
    size = (latents.shape[-2], latents.shape[-1])
    frames = torch.from_numpy(np.array(shard.frames))
    if mirror:
        frames[:, 0] = shard.native[0] - frames[:, 0]
    return Bucket(
        shard.native,
        ads=latents,
        products=torch.cat(list(_chunks(products, len(shard)))),
        masks=torch.cat(list(_chunks(masks, len(shard)))),
        pixels=torch.cat(list(_chunks(pixels, len(shard)))),
        frames=frames,
        ids=token_ids(pipeline.tokenizer, shard.captions),
    )


def _latents(pipeline: RefAdGenPipeline, pictures: Tensor) -> Tensor:
    return pipeline.encode_picture(pictures.to(pipeline.vae.dtype)).half().cpu()


def _middle_square(pictures: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) -> (N, 3, side, side): the shorter side brought to `side`, the middle cut out,
    as the image encoder has it (`models.refadgen.pictures`)."""
    height, width = pictures.shape[-2:]
    short = min(height, width)
    size = side * height // short, side * width // short
    small = F.interpolate(pictures, size, mode="area")
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return small[..., top : top + side, left : left + side]


def _chunks(work: Callable[[slice], Tensor], count: int) -> Iterator[Tensor]:
    for start in range(0, count, ENCODE_BATCH):
        yield work(slice(start, min(count, start + ENCODE_BATCH)))


def joined(buckets: Iterable[Bucket]) -> list[Bucket]:
    """One bucket for each native size: a batch then holds samples of all that were given.
    ModelError where their references differ in size."""
    of: dict[tuple[int, int], list[Bucket]] = {}
    for bucket in buckets:
        of.setdefault(bucket.native, []).append(bucket)
    for native, parts in of.items():
        shapes = sorted({tuple(b.products.shape[1:]) for b in parts})
        if len(shapes) > 1:
            raise ModelError(
                f"references of {len(shapes)} sizes, latents of {shapes}, with ads of {native}",
                hint="encode samples of one size and one reference frame",
            )
    return [_one_after_another(native, parts) for native, parts in of.items()]


def _one_after_another(native: tuple[int, int], parts: Sequence[Bucket]) -> Bucket:
    names = {frozenset(p.arrays) for p in parts}
    if len(names) > 1:
        raise ModelError(
            f"samples of {native} with own renders and some without",
            hint="join samples of one kind; `python -m training own-renders` makes them for any",
        )
    of = {name: torch.cat([p.arrays[name] for p in parts]) for name in parts[0].arrays}
    return Bucket(native, **of)


def save_buckets(path: Path, buckets: list[Bucket]) -> None:
    torch.save([{"native": b.native, **b.arrays} for b in buckets], path)


def load_buckets(path: Path) -> list[Bucket]:
    """The buckets, mapped: rows are read from the disk as they are drawn. ModelError where there
    are none."""
    try:
        stored = torch.load(path, weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"the encoded samples cannot be read: {first_line(error)}",
            where=str(path),
            hint="make them with `python -m training encode`",
        ) from error
    return [Bucket(**bucket) for bucket in stored]


def draw_batch(buckets: list[Bucket], size: int, rng: np.random.Generator) -> Batch:
    """`size` random rows of one bucket, buckets in proportion to their rows."""
    return take_rows(*draw_rows(buckets, size, rng))


def draw_rows(buckets: list[Bucket], size: int, rng: np.random.Generator) -> tuple[Bucket, Tensor]:
    """A bucket, in proportion to its rows, and `size` random indices of them."""
    weights = np.array([len(b) for b in buckets], float)
    bucket = buckets[int(rng.choice(len(buckets), p=weights / weights.sum()))]
    return bucket, torch.from_numpy(rng.integers(len(bucket), size=size))


def take_rows(bucket: Bucket, rows: Tensor) -> Batch:
    rows = rows.to(bucket.ids.device)
    return Batch(
        ads=bucket.ads[rows].float(),
        products=bucket.products[rows].float(),
        masks=bucket.masks[rows].float(),
        pixels=bucket.pixels[rows].float() / 255,
        frames=bucket.frames[rows],
        ids=bucket.ids[rows],
        renders=None if bucket.renders is None else bucket.renders[rows].float(),
    )
