"""The decoder learns from the U-Net's own latents; what encodes stays as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adloom.errors import ModelError
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.training.conftest import NATIVES, drawn_shard
from training.latents import encode_shard, save_buckets
from training.parallel import ALONE
from training.shards import read_shards, write_shard
from training.train_autoencoder import psnr_db
from training.train_decoder import DecoderTraining, drawn, resampled, train_decoder


@pytest.fixture
def cfg(tmp_path: Path) -> DecoderTraining:
    pipeline = build_mini(["a", "red", "cup", "on", "white", "table"])
    pipeline.save_pretrained(tmp_path / "model")
    for native in NATIVES:
        write_shard(tmp_path / "samples", drawn_shard(native, 6))
    buckets = [encode_shard(pipeline, shard) for shard in read_shards(tmp_path / "samples")]
    save_buckets(tmp_path / "buckets.pt", buckets)
    return DecoderTraining(
        tmp_path / "model", tmp_path / "samples", tmp_path / "buckets.pt", tmp_path / "vae",
        batch=4, lr=2e-3, warmup=1, steps=12,
    )  # fmt: skip


def test_it_decodes_better_and_encodes_the_same(cfg: DecoderTraining) -> None:
    train_decoder(cfg, ALONE)
    before = RefAdGenPipeline.from_pretrained(cfg.model)
    after = MiniAutoencoder.from_pretrained(cfg.out)
    shards = read_shards(cfg.samples)
    buckets = [encode_shard(before, s) for s in shards]
    pictures, batch = drawn(shards, buckets, 6, np.random.default_rng(5))
    latents = resampled(before, batch, cfg, np.random.default_rng(6))
    with torch.no_grad():
        assert torch.equal(
            after.encode(pictures).latent_dist.mode(),
            before.vae.encode(pictures).latent_dist.mode(),
        )
        gain = psnr_db(after.decode(latents).sample, pictures) - psnr_db(
            before.vae.decode(latents).sample, pictures
        )
    assert gain > 1


def test_samples_and_their_encoding_stay_together(cfg: DecoderTraining) -> None:
    pipeline = RefAdGenPipeline.from_pretrained(cfg.model)
    shards = read_shards(cfg.samples)
    buckets = [encode_shard(pipeline, s) for s in shards]
    pictures, batch = drawn(shards, buckets, 5, np.random.default_rng(1))
    encoded = pipeline.encode_picture(pictures / 2 + 0.5)
    assert torch.allclose(batch.ads, encoded, atol=5e-3)  # kept in half precision


def test_a_clean_share_is_left_as_encoded(cfg: DecoderTraining) -> None:
    pipeline = RefAdGenPipeline.from_pretrained(cfg.model)
    shards = read_shards(cfg.samples)
    _, batch = drawn(
        shards, [encode_shard(pipeline, s) for s in shards], 5, np.random.default_rng(1)
    )
    rng = np.random.default_rng(2)
    assert torch.equal(resampled(pipeline, batch, replace(cfg, clean_share=1.0), rng), batch.ads)
    noised = resampled(pipeline, batch, replace(cfg, clean_share=0.0), rng)
    assert not torch.isclose(noised, batch.ads).all((1, 2, 3)).any()


def test_encoded_samples_of_others_are_refused(cfg: DecoderTraining) -> None:
    write_shard(cfg.samples, drawn_shard(NATIVES[0], 7))
    with pytest.raises(ModelError, match="not of the drawn"):
        train_decoder(cfg, ALONE)
