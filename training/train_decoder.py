"""Teach `mini`'s decoder what its U-Net's latents look like.

The autoencoder learns on latents of real pictures; a sampler's latents are a little off, and a
decoder that never saw such draws a fine grid over them. Here noised latents of drawn samples are
brought back by the trained U-Net in a few DDIM steps and decoded towards the real picture. The
encoder and all latents stay as they are: the U-Net stays valid.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adloom.errors import ModelError
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.pipeline import RefAdGenPipeline
from training.conditions import fusion_of
from training.latents import Batch, Bucket, draw_rows, load_buckets, take_rows
from training.objective import normal
from training.parallel import ALONE, Workers
from training.precision import in_bfloat16
from training.schedule import warmup_cosine
from training.shards import Shard, read_shards
from training.train_autoencoder import psnr_db, reconstruction_loss, to_signed

LOG_EVERY = 20


@dataclass(frozen=True, slots=True)
class DecoderTraining:
    """How to train. batch: of each worker; deepest: the latest timestep that pictures are noised
    to; ddim_steps: from there to the latent that is decoded; clean_share: of latents left as
    encoded, so that the decoder stays good at those."""

    model: Path
    samples: Path
    encoded: Path
    out: Path
    batch: int = 16
    lr: float = 5e-4
    warmup: int = 20
    deepest: int = 600
    ddim_steps: int = 2
    clean_share: float = 0.2
    gradient_weight: float = 0.5
    seed: int = 0
    steps: int = 10000
    max_minutes: float = 10.0


def train_decoder(cfg: DecoderTraining, workers: Workers) -> None:
    """One worker's run; rank 0 saves the autoencoder to `cfg.out`. Ends after `steps` or
    `max_minutes`, whichever comes first."""
    torch.manual_seed(cfg.seed)
    pipeline = RefAdGenPipeline.from_pretrained(cfg.model)
    if workers.count == 1 and torch.cuda.is_available():
        pipeline.to("cuda")
    shards, buckets = read_shards(cfg.samples), load_buckets(cfg.encoded)
    check_pairs(cfg, shards, buckets)
    teach_decoder(pipeline, shards, buckets, cfg, workers)
    if workers.leads:
        pipeline.vae.save_pretrained(cfg.out)


def teach_decoder(
    pipeline: RefAdGenPipeline,
    shards: list[Shard],
    buckets: list[Bucket],
    cfg: DecoderTraining,
    workers: Workers = ALONE,
) -> None:
    """Trains the pipeline's decoder in place, on the pipeline's device; `buckets` are the `shards`
    encoded, one for each native size."""
    trained = decoder_parameters(pipeline)
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.99), fused=True)
    started, step = time.monotonic(), 0
    while (progress := workers.agree(_progress(cfg, step, started))) < 1:
        rng = np.random.default_rng([cfg.seed, step, workers.rank])
        for group in optimizer.param_groups:
            group["lr"] = cfg.lr * warmup_cosine(step, cfg.warmup, progress)
        pictures, batch = drawn(shards, buckets, cfg.batch, rng)
        loss, psnr = decoder_step(pipeline, (pictures, batch), cfg, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        workers.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        step += 1
        if step % LOG_EVERY == 0 and workers.leads:
            print(f"step {step} loss {float(loss):.4f} psnr {float(psnr):.2f} dB", flush=True)


def _progress(cfg: DecoderTraining, step: int, started: float) -> float:
    return max(step / cfg.steps, (time.monotonic() - started) / (60 * cfg.max_minutes))


def decoder_step(
    pipeline: RefAdGenPipeline,
    drawn_pairs: tuple[Tensor, Batch],
    cfg: DecoderTraining,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """The decoder's loss on real pictures (B, 3, H, W) in [-1, 1] and their samples, on the
    pipeline's device, and its PSNR in dB."""
    device = pipeline.device
    pictures, batch = drawn_pairs[0].to(device), drawn_pairs[1].to(device)
    latents = resampled(pipeline, batch, cfg, rng)
    with in_bfloat16(device):
        scaled = latents / pipeline.vae.config.scaling_factor
        made = pipeline.vae.decode(scaled).sample.float()
    psnr = psnr_db(made.detach(), pictures)
    return reconstruction_loss(made, pictures, cfg.gradient_weight), psnr


def decoder_parameters(pipeline: RefAdGenPipeline) -> list[nn.Parameter]:
    """The only ones that learn."""
    for network in pipeline.components.values():
        if isinstance(network, nn.Module):
            network.requires_grad_(False)
    vae = pipeline.vae
    assert isinstance(vae, MiniAutoencoder)
    trained = [*vae.decoder.parameters(), *vae.to_picture.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    return trained


def check_pairs(cfg: DecoderTraining, shards: list[Shard], buckets: list[Bucket]) -> None:
    """ModelError where the encoded samples are of others than the drawn ones."""
    drawn_counts = {s.native: len(s) for s in shards}
    encoded_counts = {b.native: len(b) for b in buckets}
    if drawn_counts != encoded_counts:
        raise ModelError(
            f"encoded samples {encoded_counts} are not of the drawn {drawn_counts}",
            where=str(cfg.encoded),
            hint="encode these samples again",
        )


def drawn(
    shards: list[Shard], buckets: list[Bucket], count: int, rng: np.random.Generator
) -> tuple[Tensor, Batch]:
    """`count` samples of one native size: their ads in [-1, 1], and themselves encoded."""
    bucket, rows = draw_rows(buckets, count, rng)
    shard = next(s for s in shards if s.native == bucket.native)
    return to_signed(np.stack([shard.ads[i] for i in rows.tolist()])), take_rows(bucket, rows)


@torch.no_grad()
def resampled(
    pipeline: RefAdGenPipeline, batch: Batch, cfg: DecoderTraining, rng: np.random.Generator
) -> Tensor:
    """The batch's latents, but for a clean share noised and brought back by the U-Net."""
    count = len(batch.ads)
    top = float(rng.uniform(0.1, 1.0)) * cfg.deepest
    steps = np.linspace(top, 0, cfg.ddim_steps + 1).round().astype(int).tolist()
    device = batch.ads.device
    alphas = pipeline.scheduler.alphas_cumprod.to(device)
    noise = normal(batch.ads.shape, rng, device)
    at = torch.full((count,), steps[0], device=device)
    z = pipeline.scheduler.add_noise(batch.ads, noise, at)
    with in_bfloat16(device):
        text = pipeline.text_encoder(batch.ids).last_hidden_state
        fusion = fusion_of(pipeline, batch, pipeline.encoder_pixels(batch.pixels))
        for now, then in pairwise(steps):
            v = pipeline.unet.predict(z, batch.masks, at.fill_(now), text, fusion)
            a, b = alphas[now], alphas[then] if then else torch.ones_like(alphas[0])
            clean, rest = a.sqrt() * z - (1 - a).sqrt() * v, (1 - a).sqrt() * z + a.sqrt() * v
            z = (b.sqrt() * clean + (1 - b).sqrt() * rest).float()
    kept = torch.from_numpy(rng.random(count) < cfg.clean_share)[:, None, None, None].to(device)
    return torch.where(kept, batch.ads, z)
