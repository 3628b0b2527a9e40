"""Overlapping tiles of one size over a larger picture or latent, and their feathered blend."""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from models.refadgen.checks import refuse

LEAST_OVERLAP = 0.25
"""Of a tile's side, with the tile beside it."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """T tiles of `tile` (h, w) that cover `size` (H, W); `places`: their (top, left) corners.

    The blend is a mean under weights that fall linearly to a tile's edges (MultiDiffusion, arXiv
    2302.08113, eq. 5, with its weights W_i), so that no tile's edge shows.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    places: tuple[tuple[int, int], ...]

    @classmethod
    def over(cls, size: tuple[int, int], tile: tuple[int, int]) -> "Tiling":
        """RenderArgumentError where a tile is larger than what it shall cover."""
        if tile[0] > size[0] or tile[1] > size[1]:
            raise refuse("tile", f"{tile} over {size}", "give a picture no smaller than a tile")
        rows, columns = (_starts(whole, part) for whole, part in zip(size, tile, strict=True))
        return cls(size, tile, tuple((y, x) for y in rows for x in columns))

    def __len__(self) -> int:
        return len(self.places)

    def times(self, factor: int) -> "Tiling":
        """The same tiles where everything is `factor` times as large: a latent's in pixels."""
        return Tiling(
            (self.size[0] * factor, self.size[1] * factor),
            (self.tile[0] * factor, self.tile[1] * factor),
            tuple((y * factor, x * factor) for y, x in self.places),
        )

    def cut(self, whole: Tensor) -> Tensor:
        """(1, C, H, W) -> (T, C, h, w)."""
        height, width = self.tile
        return torch.cat([whole[:, :, y : y + height, x : x + width] for y, x in self.places])

    def blend(self, tiles: Tensor) -> Tensor:
        """(T, C, h, w) -> (1, C, H, W); tiles cut from a whole give that whole."""
        height, width = self.tile
        weight = (_hat(height)[:, None] * _hat(width)).to(tiles.device)
        total = torch.zeros(1, tiles.shape[1], *self.size, device=tiles.device)
        weights = torch.zeros(self.size, device=tiles.device)
        for part, (y, x) in zip(tiles.float(), self.places, strict=True):
            total[0, :, y : y + height, x : x + width] += weight * part
            weights[y : y + height, x : x + width] += weight
        return (total / weights).to(tiles.dtype)


def _starts(whole: int, part: int) -> list[int]:
    """Evenly from 0 to whole - part, neighbours overlapping by at least LEAST_OVERLAP."""
    count = ceil((whole - part) / (part * (1 - LEAST_OVERLAP))) + 1
    return [round(i * (whole - part) / max(1, count - 1)) for i in range(count)]


def _hat(length: int) -> Tensor:
    """(length,) rising to the middle and falling again, nowhere 0."""
    from_start = torch.arange(length, dtype=torch.float32) + 0.5
    return torch.minimum(from_start, length - from_start) * (2 / length)
