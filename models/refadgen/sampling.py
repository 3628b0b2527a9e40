"""DDIM with classifier-free guidance: plain functions of tensors, no pipeline in sight."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from adloom.errors import ModelError
from models.refadgen.attention import Fusion
from models.refadgen.reference import CONDITIONAL, UNCONDITIONAL, ReferenceFeatures
from models.refadgen.unet import GenerationUNet


def own_schedule() -> DDIMScheduler:
    """The schedule of our own models: v-prediction, zero terminal SNR, trailing timesteps."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=0,
    )


def released_schedule() -> DDIMScheduler:
    """The sampler of the released code: epsilon-prediction, plain scaled_linear, offset 1."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="epsilon",
        rescale_betas_zero_snr=False,
        timestep_spacing="leading",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def check_schedule(scheduler: DDIMScheduler) -> None:
    """Refuse schedules that cannot work: ModelError says why and what goes together."""
    config = scheduler.config
    zero_snr = bool(config["rescale_betas_zero_snr"])
    prediction = config["prediction_type"]
    if prediction not in ("v_prediction", "epsilon"):
        raise ModelError(
            f"prediction type {prediction!r} is not supported",
            where="scheduler",
            hint="use v_prediction or epsilon",
        )
    if zero_snr and prediction == "epsilon":
        raise ModelError(
            "epsilon-prediction is singular where the terminal SNR is zero",
            where="scheduler",
            hint="use v_prediction or set rescale_betas_zero_snr to false",
        )
    if zero_snr and config["timestep_spacing"] != "trailing":
        raise ModelError(
            "a model with zero terminal SNR must start sampling at the last timestep",
            where="scheduler",
            hint="set timestep_spacing to trailing",
        )


def initial_noise(seeds: Sequence[int], shape: tuple[int, int, int], scale: float = 1.0) -> Tensor:
    """(B, C, h, w): each sample from its own seed on the CPU, so that it is the same alone, in
    any batch and on any device.

    scale: the noise's standard deviation. Below 1 (Glow's temperature, arXiv 1807.03039, sec. 6)
    a small model gives up some variety for cleaner pictures: weights/mini/README.md has figures.
    """
    return scale * torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


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
    """What a batch of B samples is rendered from; texts are (B, L, D), mask is (B, 1, h, w)."""

    text: Tensor
    negative_text: Tensor
    mask: Tensor
    references: ReferenceFeatures
    positions: dict[int, Tensor]
    reference_scale: float

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
        alone = c.fusion(CONDITIONAL)
        return lambda z, t: unet.predict(z, c.mask, t, c.text, alone)
    both = c.fusion(UNCONDITIONAL, CONDITIONAL)
    text = torch.cat([c.negative_text, c.text])
    mask = torch.cat([c.mask, c.mask])

    def predict(z: Tensor, t: Tensor) -> Tensor:
        unconditional, conditional = unet.predict(torch.cat([z, z]), mask, t, text, both).chunk(2)
        return guidance.combine(unconditional, conditional)

    return predict


def denoise(
    predict: Callable[[Tensor, Tensor], Tensor],
    noise: Tensor,
    scheduler: DDIMScheduler,
    steps: int,
) -> Tensor:
    """From noise (B, C, h, w) to a clean latent in `steps` deterministic DDIM steps."""
    scheduler.set_timesteps(steps, device=noise.device)
    z = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        # diffusers' annotations ask for an int; its schedulers take their own timesteps' type.
        velocity = predict(z, t)
        z = scheduler.step(velocity, t, z, return_dict=False)[0]  # pyright: ignore[reportArgumentType]
    return z
