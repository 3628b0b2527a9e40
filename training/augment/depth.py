"""A product's relief from a depth network, such as Depth Anything, through transformers."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from adloom.errors import ModelError
from training.augment.heights import inscribed_radius

Picture = NDArray[np.uint8]

METRIC = frozenset({"zoedepth", "glpn", "depth_pro", "prompt_depth_anything"})
"""Model types whose prediction grows with distance; the others' grows towards the camera."""

RANGE = (2.0, 98.0)
"""Percentiles of the prediction on the product that become farthest and nearest."""


class DepthEstimator:
    """Keeps a depth network in memory. Its prediction is relative: the product's thickness is taken
    from its silhouette, `thickest` times the greatest inscribed radius."""

    def __init__(self, processor, model, device: str = "cpu", thickest: float = 1.0) -> None:
        self._processor, self._model = processor, model.to(device).eval()
        self._device, self._thickest = device, thickest
        config = model.config
        kind = getattr(config, "depth_estimation_type", None)
        self.grows_with_distance = kind == "metric" or config.model_type in METRIC

    @classmethod
    def load(
        cls, source: str | Path, *, device: str = "cpu", offline: bool = False
    ) -> "DepthEstimator":
        """The network in a folder or of a hub id, e.g. `depth-anything/Depth-Anything-V2-Small-hf`.

        Raises ModelError where it cannot be had.
        """
        try:
            processor = AutoImageProcessor.from_pretrained(source, local_files_only=offline)
            model = AutoModelForDepthEstimation.from_pretrained(source, local_files_only=offline)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(
                f"the depth network cannot be loaded: {error}",
                where=str(source),
                hint="name a folder or hub id of a depth estimation model of transformers",
            ) from error
        return cls(processor, model, device)

    @torch.no_grad()
    def relief(self, photo: Picture, mask: Picture) -> NDArray[np.float32]:
        """(H, W): heights of the product's front in px towards the camera, 0 where there is none.

        photo (H, W, 3), mask (H, W) of its product.
        """
        inside = mask >= 128
        inputs = self._processor(images=photo, return_tensors="pt").to(self._device)
        predicted = self._model(**inputs).predicted_depth[0].float().cpu().numpy()
        height, width = inside.shape
        depth = cv2.resize(predicted, (width, height), interpolation=cv2.INTER_CUBIC)
        nearness = np.asarray(-depth if self.grows_with_distance else depth, np.float32)
        if not np.isfinite(nearness).all() or not inside.any():
            raise ModelError("the depth network gave no depth for this photo")
        low, high = np.percentile(nearness[inside], RANGE)
        spread = np.float64(high) - np.float64(low)
        share = np.clip((nearness - low) / spread, 0, 1) if spread > 0 else np.zeros_like(nearness)
        return np.where(inside, share * (self._thickest * inscribed_radius(inside)), 0).astype(
            np.float32
        )
