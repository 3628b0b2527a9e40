"""Sampling with classifier-free guidance: plain functions of tensors, no pipeline in sight."""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor
from torch.nn import functional as F

from adloom.render_spec import Shortcuts
from models.refadgen.added import TextTime
from models.refadgen.ahead import prepared
from models.refadgen.attention import Fusion
from models.refadgen.checks import check_timesteps, refuse
from models.refadgen.forward import Deep, check_reusable
from models.refadgen.product_tokens import product_only
from models.refadgen.reference import CONDITIONAL, UNCONDITIONAL, ReferenceFeatures
from models.refadgen.unet import GenerationUNet

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(predicted, t, z_t) -> the next z."""


def generators_of(seeds: Sequence[int | torch.Generator]) -> list[torch.Generator]:
    """One generator per sample; a seed's is on the CPU, so that its noise is the same alone, in
    any batch and on any device."""
    return [
        s if isinstance(s, torch.Generator) else torch.Generator().manual_seed(int(s))
        for s in seeds
    ]


def standard_normal(generators: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """(B, *shape) standard normal, each sample from its own generator."""
    return torch.stack([torch.randn(shape, generator=g, device=g.device) for g in generators])


def latent_mask(mask: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """M' (B, 1, h, w): the native mask brought to the latent's size. `area` keeps the share of
    each token that is covered; `nearest` is the paper's."""
    if how == "nearest":
        return F.interpolate(mask, size, mode="nearest")
    return F.interpolate(mask, size, mode="area")


@dataclass(frozen=True, slots=True)
class Guidance:
    """scale 1 renders the conditional half alone; rescale in [0, 1] pulls the guided
    prediction's deviation back to the conditional one's (arXiv 2305.08891, sec. 3.4).

    above, below: the timesteps between which both halves are rendered (arXiv 2404.07724);
    elsewhere the conditional one alone.

    product_share: of the guidance, on the product (`Regions.product_guidance`).
    detail_share: of the guidance, at timesteps below detail_below (`Regions.detail_guidance`).
    """

    scale: float
    rescale: float = 0.0
    above: float = 0.0
    below: float = math.inf
    product_share: float = 1.0
    detail_share: float = 1.0
    detail_below: float = 0.0

    def between(self, above: float, below: float, timesteps: int) -> "Guidance":
        """With `Shortcuts.guided_above` and `guided_below` of a schedule of so many timesteps."""
        high = math.inf if below >= 1 else below * timesteps
        return replace(self, above=above * timesteps, below=high)

    def at(self, t: Tensor) -> "Guidance":
        """The guidance of this timestep, of one scale."""
        if self.detail_share == 1 or float(t) >= self.detail_below:
            return self
        return replace(self, scale=1 + self.detail_share * (self.scale - 1), detail_share=1.0)

    def acts_at(self, t: Tensor) -> bool:
        if self.scale == 1:
            return False
        if self.above <= 0 and math.isinf(self.below):
            return True
        return self.above <= float(t) <= self.below

    def combine(
        self, unconditional: Tensor, conditional: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Both (B, C, h, w); mask: (B, 1, h, w), where the product is: ValueError where a
        `product_share` has none. Each scale's prediction is rescaled by itself."""
        guided = self._guided(unconditional, conditional, self.scale)
        if self.product_share == 1:
            return guided
        if mask is None:
            raise ValueError("product_share needs the mask")
        own_scale = 1 + self.product_share * (self.scale - 1)
        return torch.lerp(guided, self._guided(unconditional, conditional, own_scale), mask)

    def _guided(self, unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
        guided = unconditional + scale * (conditional - unconditional)
        if self.rescale == 0:
            return guided
        dims = (1, 2, 3)
        ratio = conditional.std(dims, keepdim=True) / guided.std(dims, keepdim=True)
        return guided * (self.rescale * ratio + 1 - self.rescale)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a batch of B samples is rendered from; texts are (B, L, D), mask is (B, 1, h, w).

    added, negative_added: what SDXL-shaped U-Nets need beside the texts; product_only: whether of
    the references the product's tokens alone are attended to.
    """

    text: Tensor
    negative_text: Tensor
    mask: Tensor
    references: ReferenceFeatures
    positions: dict[int, Tensor]
    reference_scale: float
    added: TextTime | None = None
    negative_added: TextTime | None = None
    product_only: bool = False

    def fusion(self, *halves: int, few_shapes: bool = False) -> Fusion:
        """The AFMs' argument for these guidance halves, stacked along the batch; few_shapes: see
        `product_only`."""
        parts = [self.references.half(h) for h in halves]
        fusion = Fusion(
            keys={n: torch.cat([k[n] for k, _ in parts]) for n in parts[0][0]},
            values={n: torch.cat([v[n] for _, v in parts]) for n in parts[0][1]},
            positions={n: p.repeat(len(halves), 1, 1) for n, p in self.positions.items()},
            scale=self.reference_scale,
        )
        if not self.product_only:
            return fusion
        product = {n: p.repeat(len(halves), 1) for n, p in self.references.product.items()}
        return product_only(fusion, product, few_shapes=few_shapes)

    def halves(self, unet: GenerationUNet, *which: int) -> "Halves":
        """What the network is given for these guidance halves, in every step."""
        texts = {UNCONDITIONAL: self.negative_text, CONDITIONAL: self.text}
        added = {UNCONDITIONAL: self.negative_added, CONDITIONAL: self.added}
        text = torch.cat([texts[h] for h in which])
        extra = [a for a in (added[h] for h in which) if a is not None]
        fusion = prepared(unet, self.fusion(*which, few_shapes=unet.is_compiled), text)
        return Halves(text, fusion, TextTime.concatenate(extra) if extra else None)


@dataclass(frozen=True, slots=True)
class Halves:
    """Guidance halves of B samples, k of them: text (k B, L, D), and with it fusion and added."""

    text: Tensor
    fusion: Fusion
    added: TextTime | None


class GuidedPrediction:
    """The network as a function of (z_t, t), step after step of one render.

    Both halves run as one batch, each attending to its own text and its own reference features.
    """

    def __init__(
        self, unet: GenerationUNet, conditions: Conditions, guidance: Guidance, reuse_every: int
    ) -> None:
        self.unet, self.conditions, self.guidance = unet, conditions, guidance
        self.reuse_every = reuse_every
        self._step = 0
        self._deep: Deep | None = None

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        guidance = self.guidance.at(t)
        if not guidance.acts_at(t):
            return self._predicted(self._alone, z, t)
        unconditional, conditional = self._predicted(self._both, z, t).chunk(2)
        return guidance.combine(unconditional, conditional, self.conditions.mask)

    @cached_property
    def _alone(self) -> Halves:
        return self.conditions.halves(self.unet, CONDITIONAL)

    @cached_property
    def _both(self) -> Halves:
        return self.conditions.halves(self.unet, UNCONDITIONAL, CONDITIONAL)

    def _predicted(self, halves: Halves, z: Tensor, t: Tensor) -> Tensor:
        renewed = self._step % self.reuse_every == 0
        self._step += 1
        if self._deep is not None and (renewed or len(self._deep.hidden) != len(halves.text)):
            self._deep = None
        given = z, self.conditions.mask, t, halves.text, halves.fusion, halves.added
        if self.reuse_every == 1:
            return self.unet.predict(*given)
        predicted, self._deep = self.unet.predict_with(self._deep, *given)
        return predicted


def guided_prediction(
    unet: GenerationUNet, conditions: Conditions, guidance: Guidance, reuse_every: int = 1
) -> Callable[[Tensor, Tensor], Tensor]:
    """The network as a function of (z_t, t), for one render."""
    return GuidedPrediction(unet, conditions, guidance, reuse_every)


def check_shortcuts(
    shortcuts: Shortcuts, unet: GenerationUNet, references: ReferenceFeatures
) -> None:
    """RenderArgumentError or ModelError for shortcuts that cannot be taken."""
    low, high = shortcuts.guided_above, shortcuts.guided_below
    if not 0 <= low < high <= 1:
        raise refuse(
            "shortcuts", f"guidance from {low} to {high} of the schedule", "0 <= above < below <= 1"
        )
    if shortcuts.reuse_every < 1:
        raise refuse("shortcuts", f"reuse_every {shortcuts.reuse_every}", "give 1 (off) or more")
    if shortcuts.reuse_every > 1:
        check_reusable(unet)
    if shortcuts.product_tokens_only and not references.product:
        raise refuse(
            "references", "do not say which tokens show the product", "use encode_references"
        )


def denoise(
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    scheduler: SchedulerMixin,
    steps: int,
    generators: Sequence[torch.Generator] = (),
    taken: Callable[[Tensor], Iterable[Tensor]] = iter,
    after_step: Callable[[int, Tensor, Tensor], Tensor] | None = None,
    step: Step | None = None,
) -> Tensor:
    """From noise (B, C, h, w) to a clean latent in `steps` steps of any of diffusers' schedulers.

    generators: one per sample, for schedulers that add noise on the way; taken: what of the
    timesteps is taken, such as a progress bar around them; after_step: (i, t, z) -> z;
    step: how a step is taken, None: the scheduler's own.
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
        if step is not None:
            z = step(predicted, t, z)
        else:
            z = sampler.step(predicted, t, z, return_dict=False, **extra)[0]
        if after_step is not None:
            z = after_step(i, t, z)
    return z
