"""Sampling that tells the product from its scene.

What a product looks like is known from its reference; of the scene there are words alone. Each
wants another sampler: the product calm (noise below one, little guidance, nothing random on the
way), the scene led firmly by its words and given fresh noise at each step, which mends what the
steps before got wrong. Regions are blended by the mask M' at the latent's size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.sampling import Step, standard_normal


@dataclass(frozen=True, slots=True)
class Regions:
    """How the product and its scene are sampled. Its defaults sample both alike, plainly.

    noise, product_noise: deviation of the noise that sampling starts from, above 0, at most 1.
    Below 1 (Glow's temperature, arXiv 1807.03039, sec. 6) a small model gives up some variety for
    cleaner pictures: weights/mini/README.md has figures.
    product_guidance: share in [0, 1] of the guidance that acts on the product: a scale s is there
    1 + share (s - 1). Guidance that varies over the picture: arXiv 2404.05384.
    scene_eta: η in [0, 1] of DDIM (arXiv 2010.02502, eq. 16) in the scene, 1 is DDPM; the product
    has none. It has no effect on samplers other than DDIM.
    detail_guidance: share in [0, 1] of the guidance that acts below `detail_below`, a share in
    [0, 1] of the noise schedule: what is where is decided above it, how it looks below. Guidance
    that is of no use at low noise: arXiv 2404.07724.
    """

    noise: float = 1.0
    product_noise: float = 1.0
    product_guidance: float = 1.0
    scene_eta: float = 0.0
    detail_guidance: float = 1.0
    detail_below: float = 0.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Regions":
        """What a pipeline's configuration says; `product_noise_scale` None is `noise_scale`.
        ModelError names the value that cannot be."""
        noise = _number(config, "noise_scale")
        own = config["product_noise_scale"] is not None
        return cls(
            noise,
            _number(config, "product_noise_scale") if own else noise,
            _number(config, "product_guidance", may_be_zero=True),
            _number(config, "scene_eta", may_be_zero=True),
            _number(config, "detail_guidance", may_be_zero=True),
            _number(config, "detail_below", may_be_zero=True),
        )

    def start(self, noise: Tensor, mask: Tensor) -> Tensor:
        """Standard normal noise (B, C, h, w) with the deviations of scene and product."""
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
        given = {"generators": generators, "eta": self.scene_eta * (1 - mask)}
        return lambda predicted, t, z: _ddim_step(sampler, predicted, t, z, **given)


def _number(config: Mapping[str, Any], name: str, *, may_be_zero: bool = False) -> float:
    value = config[name]
    if isinstance(value, int | float) and (0 < value <= 1 or (may_be_zero and value == 0)):
        return float(value)
    bounds = "a number from 0 to 1" if may_be_zero else "a number above 0, at most 1"
    raise ModelError(f"{name} {value!r}", where="model_index.json", hint=bounds)


def _ddim_step(
    sampler: Any,
    predicted: Tensor,
    t: Tensor,
    z: Tensor,
    generators: Sequence[torch.Generator],
    eta: Tensor,
) -> Tensor:
    """DDIM's step (eq. 12 and 16) with an η (B, 1, h, w) of each place: everywhere as much noise
    is left as the network expects next. diffusers' own takes one η for all."""
    made = sampler.step(predicted, t, z)
    before = int(t) - sampler.config.num_train_timesteps // sampler.num_inference_steps
    alphas = sampler.alphas_cumprod
    here = float(alphas[int(t)])
    left = float(alphas[before] if before >= 0 else sampler.final_alpha_cumprod)
    renewed = eta.to(z) * sqrt(max(0.0, 1 - here / left) / (1 - here))  # of the noise's deviation
    kept = (1 - renewed.square()).clamp(min=0).sqrt()
    clean = sqrt(left) * made.pred_original_sample
    fresh = sqrt(1 - left) * standard_normal(generators, tuple(z.shape[1:])).to(z)
    return clean + kept * (made.prev_sample - clean) + renewed * fresh


def blended(scene: Tensor, product: Tensor, mask: Tensor) -> Tensor:
    """scene where the mask (B, 1, h, w) is 0, product where it is 1."""
    return torch.lerp(scene, product, mask.to(scene))
