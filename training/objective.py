"""What is learned: the noisy latent's prediction error, weighted; conditions dropped at random."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import token_ids
from training.conditions import fusion_of
from training.latents import Batch
from training.precision import in_bfloat16
from training.recipe import Training


@dataclass(frozen=True, slots=True)
class Noised:
    """Latents (B, C, h, w) with noise, what the U-Net is to say of them, and when (B,)."""

    noisy: Tensor
    target: Tensor
    t: Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a batch's loss is computed from, on one device: nothing is drawn after it. batch:
    with some conditions dropped; weights: the timesteps', (B, 1, 1, 1) or one for all."""

    batch: Batch
    noised: Noised
    weights: Tensor


class Objective:
    """The loss of a batch for a pipeline under a recipe. All that is random comes from the
    generator passed in, so that a resumed run draws the same."""

    def __init__(self, pipeline: RefAdGenPipeline, cfg: Training) -> None:
        self.pipeline, self.cfg = pipeline, cfg
        self.device = pipeline.unet.conv_in.weight.device
        self.empty_ids = token_ids(pipeline.tokenizer, [""])
        self.channel_weights = channel_weights(pipeline, cfg.channel_weighting).to(self.device)

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """The weighted error at random timesteps: eq. 2, or the v-prediction's, as the pipeline's
        scheduler says."""
        return self.error(self.prepared(batch, rng))

    def prepared(self, batch: Batch, rng: np.random.Generator) -> Prepared:
        """What is random of a batch's loss, drawn."""
        ids, pixels = self.dropped(batch, rng)
        noised = self._with_noise(batch.ads, *self._drawn(batch.ads.shape, rng))
        shown = replace(batch, ids=ids, pixels=pixels)
        return Prepared(shown, noised, self._snr_weights(noised.t))

    def error(self, given: Prepared) -> Tensor:
        """The loss: a function of what is given and the weights alone."""
        error = (self._predicted(given) - given.noised.target).square()
        weight = 1 + self.cfg.mask_weight * given.batch.masks
        weighted = weight * self.channel_weights * error * given.weights
        return weighted.mean() / weight.mean()

    def attention(self) -> AbstractContextManager[object]:
        """How attention is computed. The backward pass must be within it, too: with gradient
        checkpointing it runs layers again."""
        # Of what `models.refadgen.attention.attend` does not compute: on a CPU the backward pass
        # of fused attention is slower than plain matrix products.
        return sdpa_kernel([SDPBackend.MATH] if self.device.type == "cpu" else _FUSED)

    def dropped(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Text ids and the image encoder's input, some of them empty and all zero."""
        cfg = self.cfg
        draw = torch.from_numpy(rng.random(len(batch.ids))).to(self.device)
        both = draw < cfg.drop_both
        image = both | ((draw >= cfg.drop_both) & (draw < cfg.drop_both + cfg.drop_image))
        text = both | (draw >= 1 - cfg.drop_text)
        ids = torch.where(text[:, None], self.empty_ids.to(self.device), batch.ids)
        pixels = self.pipeline.encoder_pixels(batch.pixels)
        return ids, pixels * ~image[:, None, None, None]

    def _drawn(self, shape: Sequence[int], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Noise of latents' shape (B, C, h, w), and timesteps (B,)."""
        noise = normal(shape, rng, self.device)
        steps = self.pipeline.scheduler.config.num_train_timesteps
        t = stratified_timesteps(shape[0], steps, rng)
        if self.cfg.noise_offset:
            of_channels = normal((*shape[:2], 1, 1), rng, self.device)
            noise = noise + self.cfg.noise_offset * of_channels
        return noise, t.to(self.device)

    def _with_noise(self, latents: Tensor, noise: Tensor, t: Tensor) -> Noised:
        scheduler = self.pipeline.scheduler
        noisy = scheduler.add_noise(latents, noise, t)
        if scheduler.config.prediction_type == "epsilon":
            return Noised(noisy, noise, t)
        return Noised(noisy, scheduler.get_velocity(latents, noise, t), t)

    def _predicted(self, given: Prepared) -> Tensor:
        pipeline = self.pipeline
        batch, noised = given.batch, given.noised
        with in_bfloat16(self.device, self.cfg.bf16), self.attention():
            text = pipeline.text_encoder(batch.ids).last_hidden_state
            fusion = fusion_of(pipeline, batch, batch.pixels)
            shown = batch.masks if self.cfg.mask_input else torch.zeros_like(batch.masks)
            made = pipeline.unet.predict(noised.noisy, shown, noised.t, text, fusion)
        return made.float()

    def _snr_weights(self, t: Tensor) -> Tensor:
        """Min-SNR (arXiv 2303.09556): min(SNR, gamma) / SNR of epsilon, / (SNR + 1) of v."""
        gamma = self.cfg.min_snr_gamma
        if gamma is None:
            return torch.ones((), device=self.device)
        scheduler = self.pipeline.scheduler
        alphas = scheduler.alphas_cumprod.to(self.device)[t]
        snr = alphas / (1 - alphas)
        rest = snr if scheduler.config.prediction_type == "epsilon" else snr + 1
        return (snr.clamp(max=gamma) / rest)[:, None, None, None]


_FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def channel_weights(pipeline: RefAdGenPipeline, power: float) -> Tensor:
    """(1, C, 1, 1) of mean 1; ones for an autoencoder whose channels are not ranked."""
    if not isinstance(pipeline.vae, MiniAutoencoder):
        return torch.ones(1, 1, 1, 1)
    weights = pipeline.vae.channel_spread().float() ** power
    return (weights / weights.mean()).view(1, -1, 1, 1)


def normal(shape: Sequence[int], rng: np.random.Generator, device: torch.device) -> Tensor:
    """Standard normal on the device. A GPU draws its own from a seed of the generator's: the CPU
    would be the slower of the two."""
    if device.type == "cpu":
        return torch.from_numpy(rng.standard_normal(shape, np.float32))
    own = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    return torch.randn(tuple(shape), generator=own, device=device)


def stratified_timesteps(count: int, steps: int, rng: np.random.Generator) -> Tensor:
    """`count` timesteps in [0, steps), evenly spread from a random start: less variance than
    independent draws, the same distribution of each."""
    spread = (rng.random() + np.arange(count) / count) % 1.0
    return torch.from_numpy((rng.permutation(spread) * steps).astype(np.int64))
