"""RefAdGen as one saved and loaded whole: components, reference features, rendering."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPVisionModelWithProjection, PreTrainedTokenizerBase

from adloom.errors import ModelError
from models.refadgen import checks
from models.refadgen.autoencoder import PATCH, MiniAutoencoder
from models.refadgen.reference import ReferenceFeatures, ReferenceUNet, reference_features
from models.refadgen.resampler import Resampler
from models.refadgen.sampling import (
    Conditions,
    Guidance,
    check_schedule,
    denoise,
    guided_prediction,
    initial_noise,
    latent_mask,
)
from models.refadgen.tokens import token_ids
from models.refadgen.unet import GenerationUNet

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
WEIGHT_SUFFIXES = (".safetensors", ".json")


class RefAdGenPipeline(DiffusionPipeline):
    """The components of RefAdGen and what is fixed with the weights.

    reference_size: side of the reference pictures in px; mask_resize: `nearest` (the paper) or
    `area`; guidance_rescale: see `sampling.Guidance`; noise_scale: see `sampling.initial_noise`.
    Text and image encoder, tokenizer and autoencoder may be SD1.5's.
    """

    def __init__(
        self,
        vae: AutoencoderKL | MiniAutoencoder,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerBase,
        image_encoder: CLIPVisionModelWithProjection,
        resampler: Resampler,
        unet: GenerationUNet,
        reference_unet: ReferenceUNet,
        scheduler: DDIMScheduler,
        reference_size: int = 512,
        mask_resize: str = "nearest",
        guidance_rescale: float = 0.0,
        noise_scale: float = 1.0,
    ) -> None:
        super().__init__()
        check_schedule(scheduler)
        if mask_resize not in ("nearest", "area"):
            raise ModelError(
                f"mask_resize {mask_resize!r}", where="model_index.json", hint="nearest or area"
            )
        if not 0 < noise_scale <= 1:
            raise ModelError(
                f"noise_scale {noise_scale}", where="model_index.json", hint="above 0, at most 1"
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
        )
        self.register_to_config(
            reference_size=reference_size,
            mask_resize=mask_resize,
            guidance_rescale=guidance_rescale,
            noise_scale=noise_scale,
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
    def reference_size(self) -> int:
        return int(self.config["reference_size"])

    def encode_picture(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> scaled latents (B, C, h, w); the posterior's mode."""
        posterior = self.vae.encode(2 * images - 1).latent_dist
        return posterior.mode() * self.vae.config.scaling_factor

    def decode_picture(self, latents: Tensor) -> Tensor:
        """Scaled latents -> (B, 3, H, W) in [0, 1]."""
        decoded = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return (decoded / 2 + 0.5).clamp(0, 1)

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """(B, L, D); prompts beyond the encoder's length are cut."""
        ids = token_ids(self.tokenizer, prompts).to(self.device)
        return self.text_encoder(ids).last_hidden_state

    def encoder_pixels(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) in [0, 1] -> what the image encoder takes."""
        side = self.image_encoder.config.image_size
        if images.shape[-1] != side:
            images = F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v).to(images)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
        return (images - mean) / std

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(B, L, D) from the image encoder's input; all zero for the unconditional half."""
        encoded = self.image_encoder(pixels, output_hidden_states=True)
        return self.resampler(encoded.hidden_states[-2])

    @torch.no_grad()
    def encode_references(self, images: Tensor) -> ReferenceFeatures:
        """Features of P products from their pictures (P, 3, S, S) in [0, 1]: the product on white
        in the canonical frame (see `frames`), S = reference_size. Computed once per product,
        they serve every scene, placement, seed and step."""
        checks.check_pictures(images, self.reference_size)
        images = images.to(self.device, self.unet.dtype)
        pixels = self.encoder_pixels(images)
        tokens = self.image_tokens(torch.zeros_like(pixels)), self.image_tokens(pixels)
        return reference_features(
            self.reference_unet, self.unet, self.encode_picture(images), tokens
        )

    @torch.no_grad()
    def render(
        self,
        prompts: Sequence[str],
        negative_prompts: Sequence[str],
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor,
        seeds: Sequence[int],
        steps: int = 20,
        guidance_scale: float = 4.0,
        reference_scale: float = 1.0,
    ) -> Tensor:
        """Advertising pictures (B, 3, H, W) in [0, 1].

        references: one entry per sample (`ReferenceFeatures.select`); masks: (B, 1, H, W) in
        [0, 1], native px; frames: (B, 3) = (cx, cy, side) of the product frames, native px.
        RenderArgumentError names the argument that cannot be used.
        """
        batch = self._checked_batch(prompts, negative_prompts, references, masks, frames, seeds)
        checks.check_sampler(steps, guidance_scale, reference_scale)
        device, dtype = self.device, self.unet.dtype
        size = masks.shape[-2] // self.latent_px, masks.shape[-1] // self.latent_px
        conditions = Conditions(
            text=self.encode_text(prompts),
            negative_text=self.encode_text(negative_prompts),
            mask=latent_mask(masks.to(device, dtype), size, self.config["mask_resize"]),
            references=references,
            positions=self.unet.frame_positions(
                frames.to(device, torch.float32), size, self.latent_px
            ),
            reference_scale=reference_scale,
        )
        guidance = Guidance(guidance_scale, float(self.config["guidance_rescale"]))
        shape = (self.unet.config["out_channels"], *size)
        noise = initial_noise(seeds, shape, float(self.config["noise_scale"]))
        assert len(noise) == batch
        predict = guided_prediction(self.unet, conditions, guidance)
        latents = denoise(predict, noise.to(device, dtype), self.scheduler, steps)
        return self.decode_picture(latents)

    def _checked_batch(
        self,
        prompts: Sequence[str],
        negative_prompts: Sequence[str],
        references: ReferenceFeatures,
        masks: Tensor,
        frames: Tensor,
        seeds: Sequence[int],
    ) -> int:
        checks.check_masks(masks, self.native_unit)
        batch = len(masks)
        checks.check_frames(frames, batch)
        checks.check_lengths(
            batch,
            prompts=prompts,
            negative_prompts=negative_prompts,
            references=range(len(references)),
            seeds=seeds,
        )
        checks.check_seeds(seeds)
        return batch


def weights_hash(folder: Path) -> str:
    """sha256 over the files that decide the pixels, each with its path; hex.

    ModelError where the folder holds no pipeline.
    """
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            "no model_index.json", where=str(folder), hint="give a diffusers-format folder"
        )
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in WEIGHT_SUFFIXES):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return total.hexdigest()


def parameter_count(pipeline: RefAdGenPipeline) -> int:
    """Of all networks together."""
    networks = (m for m in pipeline.components.values() if isinstance(m, torch.nn.Module))
    return sum(math.prod(p.shape) for m in networks for p in m.parameters())
