"""A super-resolution network over pictures of any size."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError, RenderError
from models.upscaling.runtimes import Runtime, files_of, installed_weights, load
from models.upscaling.tiling import Floats, by_windows

SIDE_PX = 192
"""Of a window: bounds the memory, whatever the picture's size."""

MARGIN_PX = 16
_PROBE_PX = 32


class UpscalingNetwork:
    """The network in memory. `weights_hash`: sha256 over its files; `scale`: how many times larger
    what it gives is. Safe for use by several threads."""

    def __init__(self, runtime: Runtime, weights_hash: str, where: str) -> None:
        self._runtime = runtime
        self._where = where
        self.weights_hash = weights_hash
        self.scale = _scale_of(runtime, where)

    @classmethod
    def load(
        cls, weights: Path | None = None, *, device: str = "cpu", threads: int = 1
    ) -> "UpscalingNetwork":
        """`weights`: an .onnx file, or an ncnn .param; by default the installed Real-ESRGAN.

        Raises ModelError for weights that are missing, or not a network from RGB in [0, 1] to the
        same picture a whole number of times as large.
        """
        path = weights or installed_weights()
        return cls(load(path, device, threads), weights_hash_of(path), str(path))

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) -> (scale H, scale W, 3). RenderError for what the network cannot make."""
        picture: Floats = np.asarray(rgb.transpose(2, 0, 1) / np.float32(255), np.float32)
        height, width = picture.shape[1:]
        side = self._runtime.side or SIDE_PX
        if self._runtime.side:
            short = [(0, 0), *((0, max(0, side - n)) for n in (height, width))]
            picture = np.asarray(np.pad(picture, short, mode="edge"), np.float32)
        large = by_windows(self._run, picture, self.scale, side, min(MARGIN_PX, side // 4))
        large = large[:, : self.scale * height, : self.scale * width]
        return np.rint(np.clip(large, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0).copy()

    def _run(self, part: Floats) -> Floats:
        made = self._runtime(part)
        if made.shape[2:] != (self.scale * part.shape[2], self.scale * part.shape[3]):
            raise RenderError(
                f"the network made {made.shape} of {part.shape}, not {self.scale} times as large",
                where=self._where,
            )
        if not np.isfinite(made).all():
            raise RenderError("the network made values that are no numbers", where=self._where)
        return made


def weights_hash_of(weights: Path) -> str:
    """sha256 over those of the network's files, in their order; hex. ModelError where one is
    missing."""
    digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files_of(weights))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _scale_of(runtime: Runtime, where: str) -> int:
    """Found by running it on grey. ModelError unless grey comes out, a whole number of times as
    large: a network in [0, 255] or of another layout does not give that."""
    side = runtime.side or _PROBE_PX
    try:
        made = runtime(np.full((1, 3, side, side), 0.5, np.float32))
    except Exception as error:  # the runtimes' errors share no other base class
        raise ModelError(
            f"it cannot be run on (1, 3, {side}, {side}): {error}",
            where=where,
            hint="export a network of one RGB input (1, 3, H, W)",
        ) from error
    shape = made.shape
    scale = shape[2] // side if len(shape) == 4 else 0
    if scale < 2 or shape != (1, 3, scale * side, scale * side):
        raise ModelError(
            f"it makes {shape} of (1, 3, {side}, {side})",
            where=where,
            hint="name a network that gives (1, 3, k H, k W) for a whole k of 2 or more",
        )
    middle = float(np.median(made))
    if not abs(middle - 0.5) < 0.25:
        raise ModelError(
            f"it makes {middle:.3g} of grey (0.5)",
            where=where,
            hint="name a network whose values are in [0, 1]",
        )
    return scale
