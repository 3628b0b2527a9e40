"""RefAdGen at work: reference features, then advertising pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from adloom.render_spec import EXACT, Shortcuts
from models.refadgen import checks
from models.refadgen.acceleration import Acceleration, accelerate
from models.refadgen.added import TextTime, pooled_size
from models.refadgen.calling import DiffusersCall
from models.refadgen.components import RefAdGenComponents
from models.refadgen.product_tokens import product_area
from models.refadgen.reference import ReferenceFeatures, reference_features
from models.refadgen.sampling import (
    Conditions,
    check_shortcuts,
    denoise,
    generators_of,
    guided_prediction,
    latent_mask,
    standard_normal,
)
from models.refadgen.schedules import check_schedule, sampler_named
from models.refadgen.text import TextFeatures

AfterStep = Callable[[int, Tensor, Tensor], Tensor]


class RefAdGenPipeline(DiffusersCall, RefAdGenComponents):
    """A RefAdGen that renders. See `RefAdGenComponents` for what it is made of, and
    `DiffusersCall` for using it as one of diffusers' pipelines."""

    @classmethod
    def from_stable_diffusion(
        cls,
        base: str | PathLike[str],
        vae: str | PathLike[str] | None = None,
        ip_adapter: str | PathLike[str] = "h94/IP-Adapter",
        image_encoder: str | PathLike[str] = "h94/IP-Adapter",
        **options: Any,
    ) -> "RefAdGenPipeline":
        """The untrained model from the paper's starting points: see
        `conversion.stable_diffusion.build`, which takes the options."""
        from models.refadgen.conversion.stable_diffusion import build  # imports this module

        return build(base, vae, ip_adapter, image_encoder, **options)

    def accelerate(self, acceleration: Acceleration) -> "RefAdGenPipeline":
        """Memory layout and compilation (`Acceleration`); the pictures stay the same but for the
        last bits. Call it when the pipeline is on its device. ModelError says what is not to be
        had there."""
        accelerate(self.unet, (self.vae, self.reference_unet), acceleration)
        return self

    @torch.no_grad()
    def encode_references(self, images: Tensor) -> ReferenceFeatures:
        """Features of P products from their pictures in [0, 1].

        Canonical: (P, 3, S, S), the product on white in its own frame (see `frames`), S =
        reference_size; computed once per product, they serve every scene, placement, seed and
        step. Aligned: (P, 3, H, W), the product on white where it stands on the canvas; they serve
        every scene, seed and step of that placement.
        """
        aligned = self.reference_frame == "aligned"
        if aligned:
            checks.check_aligned_pictures(images, self.native_unit)
        else:
            checks.check_pictures(images, self.reference_size)
        size = int(images.shape[-2]), int(images.shape[-1])
        images = images.to(self.device, self.unet.dtype)
        pixels = self.encoder_pixels(images)
        tokens = self.image_tokens(torch.zeros_like(pixels)), self.image_tokens(pixels)
        return reference_features(
            self.reference_unet,
            self.unet,
            self.encode_picture(images),
            tokens,
            added=self._added(images.new_zeros(len(images), self._pooled_size), size),
            native=size if aligned else None,
            area=product_area(images),
        )

    @torch.no_grad()
    def encode_views(self, images: Tensor) -> ReferenceFeatures:
        """Features of one product from V pictures of it, each as `encode_references` takes it."""
        return self.encode_references(images).as_views()

    @torch.no_grad()
    def encode_prompts(
        self,
        prompts: Sequence[str | None],
        argument: str = "prompts",
        *,
        truncate: bool = False,
    ) -> TextFeatures:
        """What the Generation U-Net reads of each prompt. None is no prompt: the empty text, but
        zeros from SDXL's two encoders where `force_zeros_for_empty_prompt` says so, as diffusers
        has it.

        RenderArgumentError, naming the `argument`, for a prompt beyond the text encoder's length;
        with `truncate` its end is left out.
        """
        features = self.text_encoders.encode(
            [p or "" for p in prompts], argument, truncate=truncate
        )
        absent = [i for i, prompt in enumerate(prompts) if prompt is None]
        if not absent or features.pooled is None:
            return features
        return features.without(absent) if self.config["force_zeros_for_empty_prompt"] else features

    @torch.no_grad()
    def render(
        self,
        prompts: Sequence[str],
        negative_prompts: Sequence[str | None],
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor | None,
        seeds: Sequence[int | torch.Generator],
        steps: int = 20,
        guidance_scale: float = 4.0,
        reference_scale: float = 1.0,
        after_step: AfterStep | None = None,
        decode: bool = True,
        truncate_prompts: bool = False,
        sampler: str | None = None,
        shortcuts: Shortcuts = EXACT,
    ) -> Tensor:
        """Advertising pictures (B, 3, H, W) in [0, 1]; not decoded: scaled latents (B, C, h, w).

        references: one entry per sample (`ReferenceFeatures.select`); masks: (B, 1, H, W) in
        [0, 1], native px; frames: (B, 3) = (cx, cy, side) of the product frames, native px, None
        for U-Nets without position features; seeds: one per sample, or generators; after_step:
        (i, t, z) -> z after each step; sampler: a scheduler by name (`schedules.sampler_named`),
        None: the pipeline's; shortcuts: see `Shortcuts`. A prompt beyond the text encoder's length
        is refused unless `truncate_prompts`. RenderArgumentError names the argument that cannot be
        used.
        """
        checks.check_lengths(len(masks), prompts=prompts, negative_prompts=negative_prompts)
        latents = self.render_latents(
            self.encode_prompts(prompts, truncate=truncate_prompts),
            self.encode_prompts(negative_prompts, "negative_prompts", truncate=truncate_prompts),
            references,
            masks,
            frames,
            seeds,
            steps,
            guidance_scale,
            reference_scale,
            after_step,
            sampler,
            shortcuts,
        )
        return self.decode_picture(latents) if decode else latents

    @torch.no_grad()
    def render_latents(
        self,
        text: TextFeatures,
        negative_text: TextFeatures,
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor | None,
        seeds: Sequence[int | torch.Generator],
        steps: int = 20,
        guidance_scale: float = 4.0,
        reference_scale: float = 1.0,
        after_step: AfterStep | None = None,
        sampler: str | None = None,
        shortcuts: Shortcuts = EXACT,
    ) -> Tensor:
        """Scaled latents (B, C, h, w) from texts that are encoded already; else as `render`."""
        checks.check_sampler(steps, guidance_scale, reference_scale)
        self._check_batch(text, negative_text, references, masks, frames, seeds)
        scheduler = sampler_named(sampler, self.scheduler)
        check_schedule(scheduler, self.trained_schedule)
        check_shortcuts(shortcuts, self.unet, references)
        size = masks.shape[-2] // self.latent_px, masks.shape[-1] // self.latent_px
        conditions = self._conditions(
            text, negative_text, references, masks, frames, reference_scale
        )
        conditions = replace(conditions, product_only=shortcuts.product_tokens_only)
        trained_steps = len(self.trained_schedule.alphas)
        guidance = self.guidance(guidance_scale).between(
            shortcuts.guided_above, shortcuts.guided_below, trained_steps
        )
        generators = generators_of(seeds)
        shape = (self.unet.config["out_channels"], *size)
        regions = self.regions
        noise = regions.start(standard_normal(generators, shape), conditions.mask)
        self._interrupt = False
        return denoise(
            guided_prediction(self.unet, conditions, guidance, shortcuts.reuse_every),
            noise.to(self.device, self.unet.dtype),
            scheduler,
            steps,
            generators=generators,
            taken=self._until_interrupted,
            after_step=after_step,
            step=regions.steps_of(scheduler, conditions.mask, generators),
        )

    def _conditions(
        self,
        text: TextFeatures,
        negative: TextFeatures,
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor | None,
        reference_scale: float,
    ) -> Conditions:
        size = masks.shape[-2] // self.latent_px, masks.shape[-1] // self.latent_px
        masks_here = masks.to(self.device, self.unet.dtype)
        return Conditions(
            text=text.hidden,
            negative_text=negative.hidden,
            mask=latent_mask(masks_here, size, self.config["mask_resize"]),
            references=references,
            positions=self._positions(frames, size),
            reference_scale=reference_scale,
            added=self._text_added(text, masks),
            negative_added=self._text_added(negative, masks),
        )

    @property
    def _pooled_size(self) -> int:
        return pooled_size(self.unet.config)

    def _added(self, pooled: Tensor, size: tuple[int, int]) -> TextTime | None:
        return TextTime.uncropped(pooled, *size) if self._pooled_size else None

    def _text_added(self, text: TextFeatures, masks: Tensor) -> TextTime | None:
        if text.pooled is None:
            return None
        return self._added(text.pooled, (int(masks.shape[-2]), int(masks.shape[-1])))

    def _positions(self, frames: Tensor | None, size: tuple[int, int]) -> dict[int, Tensor]:
        if frames is None:
            return {}
        on_device = frames.to(self.device, torch.float32)
        return self.unet.frame_positions(on_device, size, self.latent_px)

    def _until_interrupted(self, timesteps: Tensor) -> Iterator[Tensor]:
        """The timesteps behind a progress bar, until a callback sets `_interrupt`."""
        self._num_timesteps = len(timesteps)
        progress_bar: Any = self.progress_bar
        for t in progress_bar(timesteps):
            if self._interrupt:
                return
            yield t

    def _check_batch(
        self,
        text: TextFeatures,
        negative_text: TextFeatures,
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor | None,
        seeds: Sequence[int | torch.Generator],
    ) -> None:
        checks.check_masks(masks, self.native_unit)
        batch = len(masks)
        if frames is not None or self.unet.config["position_frequencies"]:
            checks.check_frames(frames, batch)
        checks.check_lengths(
            batch,
            text=text,
            negative_text=negative_text,
            references=references,
            seeds=seeds,
        )
        if self.reference_frame == "aligned":
            checks.check_aligned(references.native, masks)
        checks.check_seeds([s for s in seeds if not isinstance(s, torch.Generator)])
