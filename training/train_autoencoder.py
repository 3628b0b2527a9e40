"""Train `mini`'s autoencoder on drawn samples: L1 on pixels and on their gradients."""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.refadgen.autoencoder import PATCH, MiniAutoencoder
from training.precision import in_bfloat16
from training.schedule import warmup_cosine
from training.shards import Shard, read_shards
from training.threads import ThreadChooser

CROP = 64
SAVE_EVERY = 500
LOG_EVERY = 100
LINEAR_SHARE = 0.1
PROBE_BATCHES = 16


@dataclass(frozen=True, slots=True)
class AutoencoderTraining:
    """How to train: crops of CROP px, `batch` of them per step, noise on the latent in std.

    decoder_of: an autoencoder whose encoder and latents stay as they are while its decoder goes
    on learning; a model trained on those latents stays valid.
    """

    shards: Path
    out: Path
    steps: int = 6000
    batch: int = 32
    lr: float = 1e-3
    warmup: int = 100
    latent_noise: float = 0.05
    gradient_weight: float = 0.5
    product_share: float = 0.25
    seed: int = 0
    max_minutes: float = 25.0
    decoder_of: Path | None = None


def crops(shards: list[Shard], cfg: AutoencoderTraining, rng: np.random.Generator) -> Tensor:
    """(batch, 3, CROP, CROP) in [-1, 1]: windows of ads and, for a share, of product pictures."""
    weights = np.array([len(s) for s in shards], float)
    out = np.empty((cfg.batch, CROP, CROP, 3), np.uint8)
    for i, k in enumerate(rng.choice(len(shards), cfg.batch, p=weights / weights.sum())):
        shard = shards[k]
        source = shard.products if rng.random() < cfg.product_share else shard.ads
        picture = source[rng.integers(len(shard))]
        y, x = (int(rng.integers(0, n - CROP + 1)) for n in picture.shape[:2])
        window = picture[y : y + CROP, x : x + CROP]
        out[i] = window[:, ::-1] if rng.random() < 0.5 else window
    return to_signed(out)


def parameter_groups(model: MiniAutoencoder, lr: float) -> list[dict[str, object]]:
    """The linear path starts at its optimum and has small weights: a tenth of the rate."""
    linear = [*model.to_latent.parameters(), *model.to_picture.parameters()]
    nets = [*model.encoder.parameters(), *model.decoder.parameters()]
    return [
        {"params": linear, "lr": LINEAR_SHARE * lr, "peak": LINEAR_SHARE * lr},
        {"params": nets, "lr": lr, "peak": lr},
    ]


def to_signed(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (B, H, W, 3) -> float (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1  # channels last


def reconstruction_loss(made: Tensor, real: Tensor, gradient_weight: float) -> Tensor:
    error = made - real
    dx = error[..., :, 1:] - error[..., :, :-1]
    dy = error[..., 1:, :] - error[..., :-1, :]
    pixels = error.abs().mean() + error.square().mean()
    return pixels + gradient_weight * (dx.abs().mean() + dy.abs().mean())


def psnr_db(made: Tensor, real: Tensor) -> Tensor:
    """Of pictures in [-1, 1]."""
    return -10 * torch.log10((made.clamp(-1, 1) - real).square().mean() / 4)


def patches_of(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (N, 3, PATCH, PATCH)."""
    b, c, h, w = pictures.shape
    tiles = pictures.view(b, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(-1, c, PATCH, PATCH)


def train(cfg: AutoencoderTraining) -> MiniAutoencoder:
    """Train, fix the latent statistics, save to `cfg.out`; returns the trained model."""
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    shards = read_shards(cfg.shards)
    probe = torch.cat([crops(shards, cfg, rng) for _ in range(PROBE_BATCHES)])
    model = _start(cfg, probe)
    optimizer = torch.optim.AdamW(parameter_groups(model, cfg.lr), betas=(0.9, 0.99), fused=True)
    start, log = time.monotonic(), []
    threads = ThreadChooser((2, 1))
    for step in range(cfg.steps):
        threads.before_step()
        elapsed = time.monotonic() - start
        progress = max(step / cfg.steps, elapsed / (60 * cfg.max_minutes))
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * warmup_cosine(step, cfg.warmup, progress)
        loss = _step(model, crops(shards, cfg, rng), optimizer, cfg)
        if step % LOG_EVERY == 0:
            psnr = _probe_psnr(model, probe)
            log.append((step, round(elapsed, 1), round(loss, 5), round(psnr, 2)))
            print(f"step {step} {elapsed:.0f}s loss {loss:.4f} psnr {psnr:.2f} dB", flush=True)
        if step % SAVE_EVERY == SAVE_EVERY - 1:
            _finish(model, probe, cfg)
    _finish(model, probe, cfg)
    with (cfg.out / "loss.csv").open("w", newline="") as f:
        csv.writer(f).writerows([("step", "seconds", "loss", "psnr_db"), *log])
    return model


def _start(cfg: AutoencoderTraining, probe: Tensor) -> MiniAutoencoder:
    if cfg.decoder_of is None:
        model = MiniAutoencoder()
        model.set_linear_path(patches_of(probe))
    else:
        model = MiniAutoencoder.from_pretrained(cfg.decoder_of)
        model.train().to_latent.requires_grad_(False)
        model.encoder.requires_grad_(False)
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _step(
    model: MiniAutoencoder,
    batch: Tensor,
    optimizer: torch.optim.Optimizer,
    cfg: AutoencoderTraining,
) -> float:
    with in_bfloat16("cpu"):
        z = model.encode_raw(batch).float()
        spread = z.detach().std((0, 2, 3), keepdim=True)
        z = z + cfg.latent_noise * spread * torch.randn_like(z)
        made = model.decode_raw(z)
    loss = reconstruction_loss(made.float(), batch, cfg.gradient_weight)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _probe_psnr(model: MiniAutoencoder, probe: Tensor) -> float:
    part = probe[:64]
    with in_bfloat16("cpu"):
        made = model.decode_raw(model.encode_raw(part))
    return float(psnr_db(F.hardtanh(made.float()), part))


@torch.no_grad()
def _finish(model: MiniAutoencoder, probe: Tensor, cfg: AutoencoderTraining) -> None:
    if cfg.decoder_of is None:
        model.set_latent_statistics(model.encode_raw(probe))
    model.save_pretrained(cfg.out)
