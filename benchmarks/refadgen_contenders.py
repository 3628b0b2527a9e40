"""Three ways to the same picture, called alike: ours, the released code's, plain text-to-image."""

from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from torch import Tensor

from benchmarks.refadgen_shapes import PROMPT, Shapes, plain_unet
from models.refadgen.acceleration import NONE, Acceleration
from models.refadgen.ahead import with_position_logits
from models.refadgen.attention import Fusion
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.sampling import denoise, generators_of, latent_mask, standard_normal

Render = Callable[[int], Tensor]


@dataclass(frozen=True, slots=True)
class Job:
    """What every contender renders: `products` pictures share the batch's samples."""

    shapes: Shapes
    steps: int
    guidance: float
    products: int = 1


def pictures(job: Job, count: int, device: torch.device | str) -> Tensor:
    """`count` product pictures (P, 3, H, W) of the shapes' reference size, the product on white.
    Contenders draw them once per batch size, so that drawing is no part of their time after the
    first call."""
    generator = torch.Generator().manual_seed(1)
    height, width = job.shapes.reference
    made = torch.ones(count, 3, height, width)
    inside = made[:, :, height // 4 : -height // 8, width // 4 : -width // 4]
    inside.copy_(0.98 * torch.rand(inside.shape, generator=generator))
    return made.to(device)


def masks_and_frames(job: Job, batch: int) -> tuple[Tensor, Tensor | None]:
    """Frames are None for aligned references, which need none."""
    width, height = job.shapes.width, job.shapes.height
    masks = torch.zeros(batch, 1, height, width)
    masks[:, :, height // 4 : -height // 8, width // 4 : -width // 4] = 1
    if job.shapes.reference_frame == "aligned":
        return masks, None
    frame = torch.tensor([width / 2, 0.56 * height, 0.75 * height])
    return masks, frame.expand(batch, 3)


def ours(pipeline: RefAdGenPipeline, job: Job) -> Render:
    """References once per product, K and V with them: here the cache is warm."""
    features = pipeline.encode_references(pictures(job, job.products, pipeline.device))

    def render(batch: int) -> Tensor:
        masks, frames = masks_and_frames(job, batch)
        chosen = features.select([i % job.products for i in range(batch)])
        return _rendered(pipeline, job, chosen, masks, frames)

    return render


@dataclass(frozen=True, slots=True)
class Lever:
    """One way to be quicker than `ours`: its options of `render`, or an acceleration."""

    acceleration: Acceleration = NONE
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None


def pulled(lever: Lever) -> Callable[[RefAdGenPipeline, Job], Render]:
    """`ours` with a lever, on networks of its own where the lever changes them."""

    def make(pipeline: RefAdGenPipeline, job: Job) -> Render:
        features = pipeline.encode_references(pictures(job, job.products, pipeline.device))
        own = pipeline
        if lever.acceleration != NONE:
            own = copy(pipeline)
            for name in ("unet", "vae", "reference_unet"):
                setattr(own, name, deepcopy(getattr(pipeline, name)))
            own.accelerate(lever.acceleration)
        taken = job if lever.steps is None else replace(job, steps=min(job.steps, lever.steps))

        def render(batch: int) -> Tensor:
            masks, frames = masks_and_frames(taken, batch)
            chosen = features.select([i % taken.products for i in range(batch)])
            return _rendered(own, taken, chosen, masks, frames, **lever.options)

        return render

    return make


def ours_cold(pipeline: RefAdGenPipeline, job: Job) -> Render:
    """The same with every sample's product new: its references are part of the time."""

    @cache
    def drawn(batch: int) -> Tensor:
        return pictures(job, batch, pipeline.device)

    def render(batch: int) -> Tensor:
        masks, frames = masks_and_frames(job, batch)
        features = pipeline.encode_references(drawn(batch))
        return _rendered(pipeline, job, features, masks, frames)

    return render


def released(pipeline: RefAdGenPipeline, job: Job) -> Render:
    """As the authors' code does it: both contexts through the Reference U-Net for every image,
    K and V projected again in each step."""

    @cache
    def drawn(batch: int) -> Tensor:
        return pictures(job, batch, pipeline.device)

    @torch.no_grad()
    def render(batch: int) -> Tensor:
        masks, frames = masks_and_frames(job, batch)
        unet, dtype = pipeline.unet, pipeline.unet.dtype
        images = drawn(batch).to(dtype)
        pixels = pipeline.encoder_pixels(images)
        tokens = torch.cat([pipeline.image_tokens(torch.zeros_like(pixels)),
                            pipeline.image_tokens(pixels)])  # fmt: skip
        latent = pipeline.encode_picture(images)
        hidden = pipeline.reference_unet.capture(torch.cat([latent, latent]), tokens)
        size = masks.shape[-2] // pipeline.latent_px, masks.shape[-1] // pipeline.latent_px
        positions = _positions(pipeline, frames, size)
        mask = latent_mask(masks.to(pipeline.device, dtype), size, pipeline.config["mask_resize"])
        text = pipeline.text_encoders.encode([""] * batch + [PROMPT] * batch).hidden

        def predict(z: Tensor, t: Tensor) -> Tensor:
            # The halves apart from the first layer on, and both texts projected in each step.
            keys, values = unet.project_references(hidden)
            fusion = with_position_logits(unet, Fusion(keys, values, positions, scale=1.0))
            both = unet.predict(torch.cat([z, z]), torch.cat([mask, mask]), t, text, fusion)
            without, conditional = both.chunk(2)
            return without + job.guidance * (conditional - without)

        noise = standard_normal(generators_of(range(batch)), (unet.config["out_channels"], *size))
        latents = denoise(predict, noise.to(pipeline.device, dtype), pipeline.scheduler, job.steps)
        return pipeline.decode_picture(latents)

    return render


def plain(pipeline: RefAdGenPipeline, job: Job) -> Render:
    """diffusers' StableDiffusionPipeline with a U-Net of the same size, the same autoencoder."""
    network = plain_unet(pipeline)
    sd = StableDiffusionPipeline(
        vae=None,  # pyright: ignore[reportArgumentType]
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,  # pyright: ignore[reportArgumentType]
        unet=network,
        scheduler=type(pipeline.scheduler).from_config(pipeline.scheduler.config),
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    sd.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def render(batch: int) -> Tensor:
        text = pipeline.text_encoders.encode([PROMPT] * batch).hidden
        negative = pipeline.text_encoders.encode([""] * batch).hidden
        noise = standard_normal(
            generators_of(range(batch)),
            (
                network.config["out_channels"],
                job.shapes.height // pipeline.latent_px,
                job.shapes.width // pipeline.latent_px,
            ),
        )
        made = sd(
            prompt_embeds=text,
            negative_prompt_embeds=negative,
            num_inference_steps=job.steps,
            guidance_scale=job.guidance,
            height=job.shapes.height,
            width=job.shapes.width,
            latents=noise.to(pipeline.device, pipeline.unet.dtype),
            output_type="latent",
        )
        return pipeline.decode_picture(made.images)  # pyright: ignore[reportAttributeAccessIssue]

    return render


def _positions(
    pipeline: RefAdGenPipeline, frames: Tensor | None, size: tuple[int, int]
) -> dict[int, Tensor]:
    """Position features by token count, for both guidance halves."""
    if frames is None:
        return {}
    on_device = frames.to(pipeline.device)
    positions = pipeline.unet.frame_positions(on_device, size, pipeline.latent_px)
    return {n: p.repeat(2, 1, 1) for n, p in positions.items()}


def _rendered(
    pipeline: RefAdGenPipeline,
    job: Job,
    features: ReferenceFeatures,
    masks: Tensor,
    frames: Tensor | None,
    **options: Any,
) -> Tensor:
    batch = len(masks)
    return pipeline.render(
        [PROMPT] * batch, [""] * batch, features, masks, frames, list(range(batch)),
        steps=job.steps, guidance_scale=job.guidance, **options,
    )  # fmt: skip
