"""MP-LPIPS (Magic Clothing, arXiv 2404.09512): points of the reference's and the render's product
are matched by diffusion features, and LPIPS compares the patches around them.

The features are DIFT's (Tang et al. 2023, arXiv 2306.03881): what Stable Diffusion's U-Net makes of
a picture that is slightly noised, in its second block on the way up.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from adloom.imaging.views import product_views
from models.segmentation.measures import bounding_box
from training.judging.heldout import Truth, box_in_frame, shown_in
from training.judging.lite0 import mutual_matches

Picture = NDArray[np.uint8]
TIMESTEP, BLOCK, NOISES = 261, 1, 8
PATCH_SHARE: Final = 1 / 8
"""Of a view's side."""

MOST_PATCHES: Final = 64


class DiffusionFeatures:
    """pipeline: a StableDiffusionPipeline; its scheduler noises, its prompt is empty."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        tokens = pipeline.tokenizer(
            "", padding="max_length", max_length=pipeline.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids  # fmt: skip
        self._text = pipeline.text_encoder(tokens.to(pipeline.device))[0]

    @property
    def side(self) -> int:
        """Px of the pictures that the U-Net knows best."""
        return self._pipeline.unet.config.sample_size * self._pipeline.vae_scale_factor

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, C, h, w) float32 on the CPU, the mean over noises."""
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
        return torch.stack(kept).float().mean(0).cpu()


class MatchedPatches:
    """A `hub.Measure`: the reference's product against the render's, NaN where nothing matches.

    lpips: (N, 3, P, P) in [-1, 1] twice -> N distances.
    """

    def __init__(self, features: DiffusionFeatures, lpips: Any, device: str) -> None:
        self._features, self._lpips, self._device = features, lpips, device

    def __call__(self, made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        return [self._distance(p, t) for p, t in zip(made, truths, strict=True)]

    @torch.no_grad()
    def _distance(self, picture: Picture, truth: Truth) -> float:
        mask = shown_in(truth.reference)
        bbox = bounding_box(mask)
        box = box_in_frame(truth, bbox)
        view, original = product_views(
            picture, truth.reference, mask, bbox, box, self._features.side
        )
        pair = torch.cat([_signed(original), _signed(view)])
        maps = self._features(pair)
        places, matched = mutual_matches(maps[0], maps[1], original)
        if not len(places):
            return float("nan")
        chosen = torch.linspace(0, len(places) - 1, min(MOST_PATCHES, len(places))).round().long()
        columns = maps.shape[-1]
        first = _patches(pair[0], places[chosen], columns)
        second = _patches(pair[1], matched[chosen], columns)
        return float(self._lpips(first.to(self._device), second.to(self._device)).mean())


def _signed(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None] / 127.5 - 1


def _patches(picture: Tensor, places: Tensor, columns: int) -> Tensor:
    """(N, 3, P, P) around places of a grid of so many columns, of a picture (3, S, S)."""
    side = picture.shape[-1]
    patch = 2 * max(1, round(PATCH_SHARE * side / 2))
    padded = F.pad(picture[None], [patch // 2] * 4, mode="replicate")[0]
    step = side / columns
    corners = [
        (int((place // columns + 0.5) * step), int((place % columns + 0.5) * step))
        for place in places.tolist()
    ]
    return torch.stack([padded[:, y : y + patch, x : x + patch] for y, x in corners])
