"""MP-LPIPS, as Magic Clothing measures it (arXiv 2404.09512): points of the reference's product are
found again in the render by diffusion features, and LPIPS compares the patches around them. A point
that is found beside the render's product counts as the distance of white from black.

The features are DIFT's (Tang et al. 2023, arXiv 2306.03881): what Stable Diffusion's U-Net makes of
a picture that is slightly noised, on its way up.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.judging.heldout import Truth, shown_in

Picture = NDArray[np.uint8]
TIMESTEP, BLOCK, NOISES = 41, 2, 8
PROMPT: Final = "a photo of a product"
GRID_PX, PATCH_PX, GROWN_PX = 40, 33, 17
"""Between points of the reference; a patch's side; by how much the render's product is widened for
a point to count as on it. All of pictures of 512 px."""

SIDE_PX: Final = 512


class DiffusionFeatures:
    """pipeline: a StableDiffusionPipeline, whose scheduler noises."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        tokens = pipeline.tokenizer(
            PROMPT, padding="max_length", max_length=pipeline.tokenizer.model_max_length,
            truncation=True, return_tensors="pt",
        ).input_ids  # fmt: skip
        with torch.no_grad():
            self._text = pipeline.text_encoder(tokens.to(pipeline.device))[0]

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, C, h, w) float32, the mean over noises."""
        vae, unet = self._pipeline.vae, self._pipeline.unet
        given = pictures.to(vae.device, vae.dtype)
        latents = vae.encode(given).latent_dist.mean * vae.config.scaling_factor
        generator = torch.Generator("cpu").manual_seed(0)
        timestep = torch.tensor([TIMESTEP], device=latents.device)
        kept: list[Tensor] = []
        hook = unet.up_blocks[BLOCK].register_forward_hook(lambda *call: kept.append(call[2]))
        try:
            for _ in range(NOISES):
                noise = torch.randn(latents.shape[1:], generator=generator).to(latents)
                noised = self._pipeline.scheduler.add_noise(latents, noise[None], timestep)
                unet(noised, timestep, self._text.expand(len(latents), -1, -1))
        finally:
            hook.remove()
        return torch.stack(kept).float().mean(0)


class MatchedPatches:
    """A `hub.Measure`. lpips: (N, 3, P, P) in [-1, 1] twice -> N distances; mask_of: a picture ->
    (H, W) its product's mask; side: px that both pictures are brought to."""

    def __init__(
        self,
        features: DiffusionFeatures,
        lpips: Any,
        mask_of: Callable[[Picture], Picture],
        side: int = SIDE_PX,
    ) -> None:
        self._features, self._lpips, self._mask_of, self._side = features, lpips, mask_of, side

    def __call__(self, made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        return [self._distance(p, t.reference) for p, t in zip(made, truths, strict=True)]

    @torch.no_grad()
    def _distance(self, picture: Picture, reference: Picture) -> float:
        asked = self._cut(reference, shown_in(reference))
        own_mask = self._mask_of(picture)
        shown = self._cut(picture, own_mask)
        maps = self._features(torch.cat([asked[0], shown[0]]))
        points = self._points(asked[1])
        found = _found_again(maps, points, self._side)
        scale = self._side / SIDE_PX
        patch = 2 * max(1, round(PATCH_PX * scale / 2)) + 1
        grown = np.ones((max(1, round(GROWN_PX * scale)),) * 2, np.uint8)
        missed = torch.from_numpy(cv2.dilate(shown[1], grown)[found[:, 1], found[:, 0]] == 0)
        first = _patches(asked[0][0], points, patch)
        second = _patches(shown[0][0], found, patch)
        first[missed], second[missed] = 1.0, -1.0
        device = maps.device
        return float(self._lpips(first.to(device), second.to(device)).mean())

    def _cut(self, picture: Picture, mask: Picture) -> tuple[Tensor, Picture]:
        """(1, 3, S, S) in [-1, 1] with the product on black, and its mask (S, S)."""
        size = (self._side, self._side)
        resized = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        inside = np.asarray(cv2.resize(mask, size) >= 128, np.uint8)
        cut = torch.from_numpy(resized * inside[..., None]).permute(2, 0, 1)[None]
        return cut / 127.5 - 1, inside

    def _points(self, mask: Picture) -> NDArray[np.int64]:
        """(N, 2) x, y of a grid's points on the product; its middle where none is."""
        step = max(1, round(GRID_PX * self._side / SIDE_PX))
        rows, columns = np.nonzero(mask)
        on_grid = (rows % step == 0) & (columns % step == 0)
        if not on_grid.any():
            return np.array([[int(np.median(columns)), int(np.median(rows))]])
        return np.stack([columns[on_grid], rows[on_grid]], axis=1)


def _found_again(maps: Tensor, points: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """(N, 2) x, y: where the second map (2, C, h, w), brought to `side` px, is most like the first
    at each point."""
    whole = F.interpolate(maps, (side, side), mode="bilinear")
    x, y = (torch.from_numpy(points[:, k].copy()) for k in (0, 1))
    asked = F.normalize(whole[0][:, y, x], dim=0)
    places = (asked.T @ F.normalize(whole[1].flatten(1), dim=0)).argmax(1).cpu().numpy()
    return np.stack([places % side, places // side], axis=1)


def _patches(picture: Tensor, points: NDArray[np.int64], patch: int) -> Tensor:
    """(N, 3, P, P) around points of a picture (3, S, S), black beyond its edges."""
    padded = F.pad(picture[None], [patch // 2] * 4, value=-1.0)[0]
    return torch.stack([padded[:, y : y + patch, x : x + patch] for x, y in points.tolist()])
