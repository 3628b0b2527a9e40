"""Photos and masks as arrays, fetched once each for the renders of a batch."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adloom.geometry import Box
from adloom.imaging.encode import decode
from adloom.keys import mask_key, photo_key
from storage.protocol import ObjectStore

_KEPT = 8
"""A batch is cut by reference, so that a few pictures serve all of it."""


@dataclass(frozen=True, slots=True)
class ProductPicture:
    """A photo (H, W, 3) with its mask (H, W), and the product's box in photo px."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    bbox: Box


def mask_box(mask: NDArray[np.uint8]) -> Box:
    """The bounding box of what a mask calls product (>= 128); empty: a box of no size."""
    ys, xs = np.nonzero((mask >= 128).any(axis=1))[0], np.nonzero((mask >= 128).any(axis=0))[0]
    if not len(xs):
        return Box(0, 0, 0, 0)
    return Box(float(xs[0]), float(ys[0]), float(xs[-1] - xs[0] + 1), float(ys[-1] - ys[0] + 1))


class ProductPictures:
    """Loads pictures from the object store and keeps the last few. Safe for several threads."""

    def __init__(self, store: ObjectStore, workspace: str) -> None:
        self._store = store
        self._workspace = workspace
        self._kept: OrderedDict[tuple[str, str], ProductPicture] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """How many pictures are kept."""
        return _KEPT

    def get(self, photo_sha256: str, mask_sha256: str) -> ProductPicture:
        """Raises ObjectMissingError when photo or mask is not in the store."""
        key = (photo_sha256, mask_sha256)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._load(photo_sha256, mask_sha256)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _load(self, photo_sha256: str, mask_sha256: str) -> ProductPicture:
        rgb = decode(self._store.get(photo_key(self._workspace, photo_sha256)))
        mask = decode(self._store.get(mask_key(self._workspace, mask_sha256)))
        flat = mask if mask.ndim == 2 else mask[..., 0]
        return ProductPicture(flatten(rgb), flat, mask_box(flat))


def flatten(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of a picture that may have alpha: laid on white, as packshots stand."""
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.round(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
