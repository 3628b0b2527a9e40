"""RefAdGen's components as one saved and loaded whole, and what each is used for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from os import PathLike
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from adloom.errors import ModelError
from models.refadgen import checks
from models.refadgen.added import pooled_size
from models.refadgen.autoencoder import PATCH, MiniAutoencoder
from models.refadgen.pictures import encoder_pixels
from models.refadgen.reference import ReferenceUNet
from models.refadgen.regions import Regions
from models.refadgen.resampler import Resampler
from models.refadgen.sampling import Guidance
from models.refadgen.schedules import NoiseSchedule, check_schedule
from models.refadgen.text import TextEncoders
from models.refadgen.unet import GenerationUNet

TILE_BEYOND_PX = 2**21
"""Above Stable Diffusion's and SDXL's own sizes (2**20 px), which are decoded whole."""


class RefAdGenComponents(DiffusionPipeline):
    """The components of RefAdGen and what is fixed with the weights.

    reference_size: side of the canonical reference pictures in px; mask_resize: `nearest` (the
    paper) or `area`; guidance_rescale: see `sampling.Guidance`; noise_scale,
    product_noise_scale (None: the same), product_guidance, scene_eta, detail_guidance,
    detail_below: see `regions.Regions`;
    reference_frame: `canonical` (ours: the product on a square of its own) or `aligned` (the
    paper's: the product on white where it stands on the canvas); unit_scale: how many of the
    smallest steps in size a format's unit takes, 2 for a `mini` of 256 px. Text and image encoder,
    tokenizer and autoencoder may be SD1.5's; the second text encoder and its tokenizer are SDXL's,
    and so is `force_zeros_for_empty_prompt`: no (negative) prompt at all is then zeros in place of
    the empty text's encoding.

    The scheduler given here tells how the weights were trained; `pipeline.scheduler` may be
    replaced by any that goes with it (`schedules.check_schedule`).
    """

    _optional_components = ["text_encoder_2", "tokenizer_2"]  # noqa: RUF012  (diffusers')

    def __init__(
        self,
        vae: AutoencoderKL | MiniAutoencoder,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerBase,
        image_encoder: CLIPVisionModelWithProjection,
        resampler: Resampler,
        unet: GenerationUNet,
        reference_unet: ReferenceUNet,
        scheduler: SchedulerMixin,
        reference_size: int = 512,
        mask_resize: str = "nearest",
        guidance_rescale: float = 0.0,
        noise_scale: float = 1.0,
        product_noise_scale: float | None = None,
        product_guidance: float = 1.0,
        scene_eta: float = 0.0,
        detail_guidance: float = 1.0,
        detail_below: float = 0.0,
        unit_scale: int = 1,
        reference_frame: str = "canonical",
        force_zeros_for_empty_prompt: bool = True,
        text_encoder_2: CLIPTextModelWithProjection | None = None,
        tokenizer_2: PreTrainedTokenizerBase | None = None,
    ) -> None:
        super().__init__()
        check_schedule(scheduler)
        _check_config(mask_resize, reference_frame, unet)
        if unit_scale < 1:
            raise ModelError(
                f"unit_scale {unit_scale}", where="model_index.json", hint="at least 1"
            )
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            resampler=resampler,
            unet=unet,
            reference_unet=reference_unet,
            scheduler=scheduler,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
        )
        self.register_to_config(
            reference_size=reference_size,
            mask_resize=mask_resize,
            guidance_rescale=guidance_rescale,
            noise_scale=noise_scale,
            product_noise_scale=product_noise_scale,
            product_guidance=product_guidance,
            scene_eta=scene_eta,
            detail_guidance=detail_guidance,
            detail_below=detail_below,
            unit_scale=unit_scale,
            reference_frame=reference_frame,
            force_zeros_for_empty_prompt=force_zeros_for_empty_prompt,
        )
        Regions.of(self.config)  # which refuses what cannot be
        self._trained = NoiseSchedule.of(scheduler)
        self.text_encoders.check(_context(unet), pooled_size(unet.config))
        _check_tokens(image_encoder, resampler, reference_unet)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any
    ) -> Self:
        """A folder or hub id, with diffusers' options (`dtype` or `torch_dtype`, `variant`,
        `local_files_only`, …). ModelError names a tensor that is missing, NaN or infinite.

        Without a dtype all parts are float32, whatever they were saved in.
        """
        if "torch_dtype" not in kwargs:
            kwargs.setdefault("dtype", torch.float32)  # transformers' own default is the file's
        pipeline = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        checks.check_weights(pipeline.networks)
        return pipeline

    @property
    def trained_schedule(self) -> NoiseSchedule:
        """What the weights were trained with, by the scheduler that came with them."""
        return self._trained

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """The components that have weights, by name."""
        named = self.components.items()
        return {name: part for name, part in named if isinstance(part, torch.nn.Module)}

    @property
    def text_encoders(self) -> TextEncoders:
        return TextEncoders(
            self.tokenizer, self.text_encoder, self.tokenizer_2, self.text_encoder_2
        )

    @property
    def regions(self) -> Regions:
        """How the product and its scene are sampled."""
        return Regions.of(self.config)

    def guidance(self, scale: float) -> Guidance:
        """Guidance of this scale as the weights want it: rescaled, with the shares of the product
        and of the details."""
        regions = self.regions
        return Guidance(
            scale,
            float(self.config["guidance_rescale"]),
            product_share=regions.product_guidance,
            detail_share=regions.detail_guidance,
            detail_below=regions.detail_below * len(self.trained_schedule.alphas),
        )

    @property
    def latent_px(self) -> int:
        """Native pixels per latent token."""
        if isinstance(self.vae, MiniAutoencoder):
            return PATCH
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def native_unit(self) -> int:
        """Widths and heights that can be rendered are multiples of this many pixels."""
        return self.latent_px * self.unet.downscale

    @property
    def format_unit(self) -> int:
        """Pixels of a format's unit (`adloom.geometry`): the sizes that the weights know best."""
        return self.native_unit * int(self.config["unit_scale"])

    @property
    def reference_size(self) -> int:
        return int(self.config["reference_size"])

    @property
    def reference_frame(self) -> str:
        """`canonical` or `aligned`."""
        return str(self.config["reference_frame"])

    def encode_picture(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> scaled latents (B, C, h, w); the posterior's mode."""
        posterior = self.vae.encode(2 * images - 1).latent_dist
        return posterior.mode() * self.vae.config.scaling_factor

    def decode_picture(self, latents: Tensor) -> Tensor:
        """Scaled latents -> (B, 3, H, W) in [0, 1], NaN where the decoder overflowed.

        Beyond TILE_BEYOND_PX diffusers' autoencoders decode in overlapping tiles, blended into
        each other: slightly other pixels, in the memory of one tile. The native size alone decides,
        never the memory at hand, so that the same input gives the same picture anywhere.
        """
        area_px = latents.shape[-2] * latents.shape[-1] * self.latent_px**2
        with _tiling(self.vae) if area_px > TILE_BEYOND_PX else nullcontext():
            decoded = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        shown = (decoded / 2 + 0.5).clamp(0, 1)  # which would make white of an infinite value
        return torch.where(torch.isfinite(decoded), shown, torch.nan)

    def encoder_pixels(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> what the image encoder takes."""
        return encoder_pixels(images, self.image_encoder.config.image_size)

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(B, L, D) from the image encoder's input; all zero for the unconditional half."""
        encoded = self.image_encoder(pixels, output_hidden_states=True)
        return self.resampler(encoded.hidden_states[-2])


@contextmanager
def _tiling(vae: AutoencoderKL | MiniAutoencoder) -> Iterator[None]:
    if isinstance(vae, MiniAutoencoder):  # its decoder is small
        yield
        return
    before, vae.use_tiling = vae.use_tiling, True
    try:
        yield
    finally:
        vae.use_tiling = before


def _check_config(mask_resize: str, reference_frame: str, unet: GenerationUNet) -> None:
    if mask_resize not in ("nearest", "area"):
        raise ModelError(
            f"mask_resize {mask_resize!r}", where="model_index.json", hint="nearest or area"
        )
    if reference_frame not in checks.FRAMES:
        raise ModelError(
            f"reference_frame {reference_frame!r}",
            where="model_index.json",
            hint=" or ".join(checks.FRAMES),
        )
    if reference_frame == "aligned" and unet.config["position_frequencies"]:
        raise ModelError(
            "position features are of the canonical frame",
            where="model_index.json",
            hint="use reference_frame canonical, or a U-Net with position_frequencies 0",
        )


def _check_tokens(
    image_encoder: CLIPVisionModelWithProjection, resampler: Resampler, unet: ReferenceUNet
) -> None:
    """That image tokens pass from one part to the next."""
    given, read = image_encoder.config.hidden_size, resampler.config["embedding_dim"]
    if given != read:
        raise ModelError(
            f"the image encoder gives {given} numbers per token, the Resampler reads {read}",
            where="resampler",
            hint="take the image encoder that the Resampler was trained with",
        )
    given, read = resampler.config["output_dim"], _context(unet)
    if given != read:
        raise ModelError(
            f"the Resampler gives tokens of {given} numbers, the Reference U-Net reads {read}",
            where="resampler",
            hint="take an IP-Adapter-Plus for the U-Net's own base",
        )


def _context(unet: GenerationUNet | ReferenceUNet) -> int:
    """How many numbers per token of its context the U-Net reads."""
    given = unet.config["encoder_hid_dim"] or unet.config["cross_attention_dim"]
    return int(given if isinstance(given, int) else given[0])


def parameter_count(pipeline: RefAdGenComponents) -> int:
    """Of all networks together."""
    return sum(math.prod(p.shape) for m in pipeline.networks.values() for p in m.parameters())
