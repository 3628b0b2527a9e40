"""Contact sheets: product | mask | original | rendered with the right and a swapped reference."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.refadgen.pipeline import RefAdGenPipeline
from training.latents import unit_pictures
from training.shards import Shard

Picture = NDArray[np.uint8]
GAP = 4
HEIGHT = 128  # px of every cell


def write_sheet(
    pipeline: RefAdGenPipeline, shards: Sequence[Shard], out: Path, rows: int, seed: int
) -> None:
    """`rows` samples of each shard, drawn by `seed`, as one PNG."""
    rng = np.random.default_rng(seed)
    _write([_block(pipeline, shard, rng, rows) for shard in shards], out)


def write_rows(rows: Sequence[Sequence[Picture]], out: Path, columns: int = 4) -> None:
    """Rows of pictures side by side, spread over `columns`, as one PNG."""
    lines = [np.concatenate([_cell(picture) for picture in row], axis=1) for row in rows]
    length = -(-len(lines) // columns)
    _write([lines[i : i + length] for i in range(0, len(lines), length)], out)


def _write(blocks: Sequence[Sequence[Picture]], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), cv2.cvtColor(tile(blocks), cv2.COLOR_RGB2BGR))


def _block(
    pipeline: RefAdGenPipeline, shard: Shard, rng: np.random.Generator, rows: int
) -> list[Picture]:
    rows = min(rows, len(shard))
    chosen = np.sort(rng.choice(len(shard), rows, replace=False))
    features = pipeline.encode_references(unit_pictures(shard.products[chosen]))
    masks = torch.from_numpy(shard.masks[chosen])[:, None].float() / 255
    frames = torch.from_numpy(shard.frames[chosen])
    captions = [str(shard.captions[i]) for i in chosen]
    order = list(range(rows))
    made: list[Picture] = []
    for products in (order, order[1:] + order[:1]):
        pictures = pipeline.render(
            captions, [""] * rows, features.select(products), masks, frames, order
        )
        made.append((pictures * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    lines: list[Picture] = []
    for k, i in enumerate(chosen):
        grey = np.repeat(shard.masks[i][..., None], 3, axis=2)
        cells = [shard.products[i], grey, shard.ads[i], made[0][k], made[1][k]]
        lines.append(np.concatenate([_cell(c) for c in cells], axis=1))
    return lines


def _cell(picture: Picture) -> Picture:
    width = round(picture.shape[1] * HEIGHT / picture.shape[0])
    resized = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(  # pyright: ignore[reportReturnType]
        resized, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )


def tile(blocks: Sequence[Sequence[Picture]]) -> Picture:
    """One column per block, white where a column is shorter or a line of it narrower."""
    columns = [_stacked(block) for block in blocks]
    height = max(c.shape[0] for c in columns)
    padded = [
        np.pad(c, ((0, height - c.shape[0]), (0, GAP), (0, 0)), constant_values=255)
        for c in columns
    ]
    return np.concatenate(padded, axis=1)


def _stacked(lines: Sequence[Picture]) -> Picture:
    width = max(line.shape[1] for line in lines)
    wide = [
        np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=255)
        for line in lines
    ]
    return np.concatenate(wide, axis=0)
