"""Sampling with classifier-free guidance: plain functions of tensors, no pipeline in sight."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor
from torch.nn import functional as F

from models.refadgen.added import TextTime
from models.refadgen.ahead import prepared
from models.refadgen.attention import Fusion
from models.refadgen.checks import check_timesteps
from models.refadgen.reference import CONDITIONAL, UNCONDITIONAL, ReferenceFeatures
from models.refadgen.unet import GenerationUNet


def generators_of(seeds: Sequence[int | torch.Generator]) -> list[torch.Generator]:
    """One generator per sample; a seed's is on the CPU, so that its noise is the same alone, in
    any batch and on any device."""
    return [
        s if isinstance(s, torch.Generator) else torch.Generator().manual_seed(int(s))
        for s in seeds
    ]


def initial_noise(
    generators: Sequence[torch.Generator], shape: tuple[int, int, int], scale: float = 1.0
) -> Tensor:
    """(B, C, h, w), each sample from its own generator.

    scale: the noise's standard deviation. Below 1 (Glow's temperature, arXiv 1807.03039, sec. 6)
    a small model gives up some variety for cleaner pictures: weights/mini/README.md has figures.
    """
    drawn = [torch.randn(shape, generator=g, device=g.device) for g in generators]
    return scale * torch.stack(drawn)


def latent_mask(mask: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """M' (B, 1, h, w): the native mask brought to the latent's size. `area` keeps the share of
    each token that is covered; `nearest` is the paper's."""
    if how == "nearest":
        return F.interpolate(mask, size, mode="nearest")
    return F.interpolate(mask, size, mode="area")


@dataclass(frozen=True, slots=True)
class Guidance:
    """scale 1 renders the conditional half alone; rescale in [0, 1] pulls the guided
    prediction's deviation back to the conditional one's (arXiv 2305.08891, sec. 3.4)."""

    scale: float
    rescale: float = 0.0

    def combine(self, unconditional: Tensor, conditional: Tensor) -> Tensor:
        guided = unconditional + self.scale * (conditional - unconditional)
        if self.rescale == 0:
            return guided
        dims = (1, 2, 3)
        ratio = conditional.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
        return guided * (self.rescale * ratio + 1 - self.rescale)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a batch of B samples is rendered from; texts are (B, L, D), mask is (B, 1, h, w).

    added, negative_added: what SDXL-shaped U-Nets need beside the texts.
    """

    text: Tensor
    negative_text: Tensor
    mask: Tensor
    references: ReferenceFeatures
    positions: dict[int, Tensor]
    reference_scale: float
    added: TextTime | None = None
    negative_added: TextTime | None = None

    def fusion(self, *halves: int) -> Fusion:
        """The AFMs' argument for these guidance halves, stacked along the batch."""
        parts = [self.references.half(h) for h in halves]
        return Fusion(
            keys={n: torch.cat([k[n] for k, _ in parts]) for n in parts[0][0]},
            values={n: torch.cat([v[n] for _, v in parts]) for n in parts[0][1]},
            positions={n: p.repeat(len(halves), 1, 1) for n, p in self.positions.items()},
            scale=self.reference_scale,
        )


def guided_prediction(
    unet: GenerationUNet, conditions: Conditions, guidance: Guidance
) -> Callable[[Tensor, Tensor], Tensor]:
    """The network as a function of (z_t, t). Both halves run as one batch, each attending to its
    own text and its own reference features."""
    c = conditions
    if guidance.scale == 1:
        alone = prepared(unet, c.fusion(CONDITIONAL), c.text)
        return lambda z, t: unet.predict(z, c.mask, t, c.text, alone, c.added)
    text = torch.cat([c.negative_text, c.text])
    both = prepared(unet, c.fusion(UNCONDITIONAL, CONDITIONAL), text)
    added = None
    if c.negative_added is not None and c.added is not None:
        added = TextTime.concatenate([c.negative_added, c.added])

    def predict(z: Tensor, t: Tensor) -> Tensor:
        unconditional, conditional = unet.predict(z, c.mask, t, text, both, added).chunk(2)
        return guidance.combine(unconditional, conditional)

    return predict


def denoise(
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    scheduler: SchedulerMixin,
    steps: int,
    generators: Sequence[torch.Generator] = (),
    taken: Callable[[Tensor], Iterable[Tensor]] = iter,
    after_step: Callable[[int, Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """From noise (B, C, h, w) to a clean latent in `steps` steps of any of diffusers' schedulers.

    generators: one per sample, for schedulers that add noise on the way; taken: what of the
    timesteps is taken, such as a progress bar around them; after_step: (i, t, z) -> z.
    """
    # diffusers' annotations know no common scheduler: they ask for an int where its schedulers
    # take their own timesteps' type.
    sampler: Any = scheduler
    sampler.set_timesteps(steps, device=noise.device)
    check_timesteps(sampler.timesteps, int(sampler.config["num_train_timesteps"]))
    extra: dict[str, Any] = {}
    if generators and "generator" in inspect.signature(sampler.step).parameters:
        extra["generator"] = list(generators)
    z = noise * sampler.init_noise_sigma
    for i, t in enumerate(taken(sampler.timesteps)):
        predicted = predict(sampler.scale_model_input(z, t).to(noise.dtype), t)
        z = sampler.step(predicted, t, z, return_dict=False, **extra)[0]
        if after_step is not None:
            z = after_step(i, t, z)
    return z
