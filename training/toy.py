"""From samples to a trained toy in one go: proof that all stages fit together, not a good model."""

from functools import partial
from pathlib import Path

from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from training.latents import encode_shard, save_buckets
from training.parallel import run_together
from training.recipe import read_recipe
from training.shards import read_shards
from training.train import check_unused, train_worker
from training.train_autoencoder import AutoencoderTraining, train

AUTOENCODER_SHARE = 0.3
"""Of the minutes; the rest trains the U-Nets."""


def train_toy(samples: Path, out: Path, minutes: float, workers: int, seed: int) -> Path:
    """Autoencoder, untrained model, latents, training; the folder of the trained pipeline."""
    from training.scenes_synth import CAPTION_WORDS

    run = out / "run"
    check_unused(run)
    shards = read_shards(samples)
    spent = AUTOENCODER_SHARE * minutes
    autoencoder = AutoencoderTraining(samples, out / "vae", max_minutes=spent, seed=seed)
    train(autoencoder)
    start = out / "start"
    vae = MiniAutoencoder.from_pretrained(out / "vae")
    build_mini(CAPTION_WORDS, seed, vae).save_pretrained(start)
    pipeline = RefAdGenPipeline.from_pretrained(start)
    save_buckets(out / "buckets.pt", [encode_shard(pipeline, shard) for shard in shards])
    changes = {"max_minutes": minutes - spent, "seed": seed, "warmup": 20, "ema_decay": 0.98}
    recipe = read_recipe("mini", changes)
    run_together(
        workers, partial(train_worker, start, out / "buckets.pt", run, recipe, False, None, False)
    )
    return run / "ema"
