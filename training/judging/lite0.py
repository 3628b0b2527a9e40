"""Stand-ins that need no download: EfficientNet-Lite0 compares products, patches and pictures."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from adloom.imaging.views import product_views
from models.scoring.identity import VIEW_PX, IdentityNetwork
from models.segmentation.measures import bounding_box

Picture = NDArray[np.uint8]
BATCH: Final = 32
MATCH_LEVEL, PATCH_LEVELS = 3, (0, 1)
"""Points are matched where the network has seen much (1/16), and compared where it has not."""

FEATURE_SCALE: Final = 1280**0.5
"""Unit features are scaled so that KID's kernel, made for features of some spread, tells apart."""


class Lite0:
    """The judging network and what is made of it. `pictures` are (H, W, 3), masks (H, W)."""

    def __init__(self, network: IdentityNetwork | None = None) -> None:
        self.network = network or IdentityNetwork()

    def features(self, pictures: Sequence[Picture]) -> NDArray[np.float64]:
        """(N, 1280) of unit length; pictures of other sizes are brought to VIEW_PX squares."""
        made = []
        for start in range(0, len(pictures), BATCH):
            part = torch.cat([_square(p) for p in pictures[start : start + BATCH]])
            with torch.inference_mode():
                made.append(self.network(part).numpy())
        return np.concatenate(made).astype(np.float64)

    def patch_distance(self, view: Picture, original: Picture) -> float:
        """Matched-patch distance: every place of the original's product is matched to the place of
        the view that looks most alike, and the patches there are compared as LPIPS does, without
        its learned weights. 0 for the same picture; NaN where no place matches both ways."""
        maps = self.network.maps(torch.cat([_square(original), _square(view)]))
        places, matched = mutual_matches(maps[MATCH_LEVEL][0], maps[MATCH_LEVEL][1], original)
        if not len(places):
            return float("nan")
        return float(np.mean([_apart(maps[k], places, matched) for k in PATCH_LEVELS]))


def _square(picture: Picture) -> Tensor:
    """(1, 3, VIEW_PX, VIEW_PX) 0..255."""
    given = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    if given.shape[-2:] == (VIEW_PX, VIEW_PX):
        return given
    return F.interpolate(given, (VIEW_PX, VIEW_PX), mode="bilinear", antialias=True)


def mutual_matches(first: Tensor, second: Tensor, original: Picture) -> tuple[Tensor, Tensor]:
    """Places of two feature maps (C, S, S), numbered row by row, that look most alike both ways:
    those of the first, where `original` shows the product, and those of the second."""
    deep = F.normalize(torch.stack([first, second]), dim=1).flatten(2)
    alike = deep[0].T @ deep[1]
    there, back = alike.argmax(1), alike.argmax(0)
    places = torch.arange(len(there))
    mutual = (back[there] == places) & _shows(original, first.shape[-1])
    return places[mutual], there[mutual]


def _shows(view: Picture, side: int) -> Tensor:
    """Which of side x side places show the product: the ground of a view is of one colour."""
    ground = view[0, 0].astype(int)
    differs = (np.abs(view.astype(int) - ground).max(axis=2) > 8).astype(np.float32)
    share = F.adaptive_avg_pool2d(torch.from_numpy(differs)[None, None], side)
    return share.flatten() > 0.3


def _apart(maps: Tensor, places: Tensor, matched: Tensor) -> float:
    """Mean squared difference of the unit features around matched places, (2, C, h, w): the first
    picture's at `places`, the second's at `matched`, both of the matching grid."""
    unit = F.normalize(maps, dim=1)
    side = VIEW_PX // 2 ** (MATCH_LEVEL + 1)
    step = unit.shape[-1] // side
    patches = F.unfold(unit, step, stride=step).unflatten(1, (unit.shape[1], -1))
    first, second = patches[0][..., places], patches[1][..., matched]
    return float((first - second).square().sum(0).mean())


def views_of(picture: Picture, truth: Picture, mask: Picture) -> tuple[Picture, Picture]:
    """Views of the product in a picture and in the true ad, at one size and in one light."""
    box = bounding_box(mask)
    return product_views(picture, truth, mask, box, box, VIEW_PX)


def share_of_overlap(mask: Picture, truth: Picture) -> float:
    """IoU of what is at least half covered."""
    a, b = mask >= 128, truth >= 128
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))
