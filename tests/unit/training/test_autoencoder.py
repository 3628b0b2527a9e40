"""`mini`'s autoencoder: its linear start, its statistics, a short training."""

from pathlib import Path

import numpy as np
import torch

from models.refadgen.autoencoder import MiniAutoencoder
from tests.unit.training.conftest import drawn_shard
from training.shards import write_shard
from training.train_autoencoder import AutoencoderTraining, patches_of, psnr_db, train


def smooth_pictures(count: int) -> torch.Tensor:
    """(count, 3, 64, 64) in [-1, 1], gradients of random slopes and colours."""
    rng = np.random.default_rng(0)
    slope, offset = torch.from_numpy(rng.uniform(-0.6, 0.6, (2, count, 3, 1, 1))).float()
    x = torch.linspace(-1, 1, 64)
    return (slope * x + offset * x[:, None]).clamp(-1, 1)


def test_the_linear_start_reconstructs_smooth_pictures() -> None:
    model = MiniAutoencoder(latent_channels=12, width=16)
    pictures = smooth_pictures(16)
    with torch.no_grad():
        before = psnr_db(model.decode_raw(model.encode_raw(pictures)), pictures)
        model.set_linear_path(patches_of(pictures))
        after = psnr_db(model.decode_raw(model.encode_raw(pictures)), pictures)
    assert after > 30 > before


def test_latents_have_zero_mean_and_unit_deviation_and_decode_back() -> None:
    model = MiniAutoencoder(latent_channels=8, width=16)
    pictures = smooth_pictures(16)
    with torch.no_grad():
        model.set_linear_path(patches_of(pictures))
        raw = model.decode_raw(model.encode_raw(pictures))
        model.set_latent_statistics(model.encode_raw(pictures))
        latents = model.encode(pictures).latent_dist.mode()
        assert torch.allclose(model.decode(latents).sample, raw, atol=1e-4)
    assert latents.shape == (16, 8, 8, 8)
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(8), atol=1e-3)
    assert torch.allclose(latents.std((0, 2, 3)), torch.ones(8), atol=1e-3)


def test_training_improves_on_the_start_and_the_decoder_can_go_on(tmp_path: Path) -> None:
    shard = drawn_shard((64, 96), 16)
    write_shard(tmp_path / "samples", shard)
    cfg = AutoencoderTraining(tmp_path / "samples", tmp_path / "ae", steps=12, batch=4, warmup=2)
    trained = train(cfg)
    pictures = torch.from_numpy(shard.ads[:4]).permute(0, 3, 1, 2).float() / 127.5 - 1
    more = train(
        AutoencoderTraining(
            tmp_path / "samples", tmp_path / "more", steps=6, batch=4, decoder_of=tmp_path / "ae"
        )
    )
    with torch.no_grad():
        assert torch.equal(
            trained.encode(pictures).latent_dist.mode(), more.encode(pictures).latent_dist.mode()
        )
    assert not torch.equal(trained.decoder[0].weight, more.decoder[0].weight)
    rows = (tmp_path / "ae" / "loss.csv").read_text().splitlines()
    assert rows[0] == "step,seconds,loss,psnr_db"
