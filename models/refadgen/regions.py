"""Sampling that tells the product from its scene.

What a product looks like is known from its reference; of the scene there are words alone. Each
wants another sampler: the product calm (noise below one, little guidance, nothing random on the
way), the scene led firmly by its words and given fresh noise at each step, which mends what the
steps before got wrong. Regions are blended by the mask M' at the latent's size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.sampling import Step, initial_noise

MOST_ETA = 0.999
"""At 1 rounding can make a square root of less than 0 in diffusers' first step from pure noise."""


@dataclass(frozen=True, slots=True)
class Regions:
    """How the product and its scene are sampled; as it stands, like all the rest.

    noise, product_noise: deviation of the noise that sampling starts from, above 0, at most 1.
    Below 1 (Glow's temperature, arXiv 1807.03039, sec. 6) a small model gives up some variety for
    cleaner pictures: weights/mini/README.md has figures.
    product_guidance: share in [0, 1] of the guidance that acts on the product: a scale s is there
    1 + share (s - 1). Guidance that varies over the picture: arXiv 2404.05384.
    scene_eta: η in [0, 1] of DDIM (arXiv 2010.02502, eq. 16) in the scene, 1 is DDPM; the product
    has none. Samplers other than DDIM take no notice of it.
    """

    noise: float = 1.0
    product_noise: float = 1.0
    product_guidance: float = 1.0
    scene_eta: float = 0.0

    def check(self) -> None:
        """ModelError names the value that is out of bounds."""
        for name, value, above in (
            ("noise_scale", self.noise, True),
            ("product_noise_scale", self.product_noise, True),
            ("product_guidance", self.product_guidance, False),
            ("scene_eta", self.scene_eta, False),
        ):
            if not (0 < value <= 1 or (value == 0 and not above)):
                bounds = "above 0, at most 1" if above else "from 0 to 1"
                raise ModelError(f"{name} {value}", where="model_index.json", hint=bounds)

    def start(self, noise: Tensor, mask: Tensor) -> Tensor:
        """Standard normal noise (B, C, h, w) with the deviations of scene and product."""
        mask = mask.to(noise)
        if self.noise == self.product_noise:
            return self.noise * noise
        return blended(self.noise * noise, self.product_noise * noise, mask)

    def steps_of(
        self, scheduler: SchedulerMixin, mask: Tensor, generators: Sequence[torch.Generator]
    ) -> Step | None:
        """Steps with fresh noise in the scene, each sample's from its generator; None where the
        scheduler's own steps do."""
        if self.scene_eta == 0 or not isinstance(scheduler, DDIMScheduler):
            return None
        sampler: Any = scheduler
        eta = min(self.scene_eta, MOST_ETA)

        def step(predicted: Tensor, t: Tensor, z: Tensor) -> Tensor:
            fresh = initial_noise(generators, tuple(z.shape[1:])).to(z)
            given = {"eta": eta, "variance_noise": fresh, "return_dict": False}
            scene = sampler.step(predicted, t, z, **given)[0]
            return blended(scene, sampler.step(predicted, t, z, return_dict=False)[0], mask)

        return step


def blended(scene: Tensor, product: Tensor, mask: Tensor) -> Tensor:
    """scene where the mask (B, 1, h, w) is 0, product where it is 1."""
    return torch.lerp(scene, product, mask.to(scene))
