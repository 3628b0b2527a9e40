"""`python -m training COMMAND`: draw samples, train, look, export. See docs/training.md."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from adloom.render_spec import Sampler
from adloom.weights_bill import BILL_FILE, Part
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import NOISE_SCALE, build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.renderer import RefAdGenRenderer
from models.refadgen.tokens import keep_words
from models.refadgen.weights import components, write_bill
from training import evaluation
from training import shards as sample_shards
from training.latents import encode_shard, save_buckets
from training.parallel import run_together
from training.sheets import write_rows, write_sheet
from training.train import Training, train_worker
from training.train_autoencoder import AutoencoderTraining, train
from training.train_decoder import DecoderTraining, train_decoder

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
BUCKETS = "buckets.pt"
ORIGIN = "trained by this project on synthetic data (training/scenes_synth)"
SHARES = {(128, 128): 0.35, (128, 160): 0.25, (96, 176): 0.2, (176, 96): 0.2}

Folder = Annotated[Path, typer.Argument(file_okay=False)]


@app.command()
def shards(
    out: Folder, count: int = 16000, split: str = "train", seed: int = 0, workers: int = 2
) -> None:
    """Draw samples with the scene generator into OUT."""
    counts = {native: round(count * share) for native, share in SHARES.items()}
    for line in sample_shards.draw_shards(out, counts, split=split, seed=seed, workers=workers):
        typer.echo(line)


@app.command()
def adprod(
    dataset: Folder,
    out: Folder,
    count: int = 16000,
    split: str = "train",
    seed: int = 0,
    annotated_masks: Annotated[
        bool, typer.Option(help="a novel view's own mask, as released, not the ad's")
    ] = False,
) -> None:
    """Cut samples from an AdProd DATASET (`adloom adprod build`) into OUT, as `shards` does."""
    from training.adprod.released import list_triplets
    from training.adprod.samples import write_samples

    listing = list_triplets(dataset, split)
    for name in listing.missing:
        typer.echo(f"missing: {name}", err=True)
    mask_of = "annotated" if annotated_masks else "ad"
    for native, share in SHARES.items():
        problems = write_samples(
            listing.triplets, out, native, round(count * share), seed=seed, mask_of=mask_of
        )
        for problem in problems:
            typer.echo(f"left out: {problem}", err=True)
        typer.echo(f"{native[0]}x{native[1]}: {round(count * share)} samples")


@app.command()
def autoencoder(
    samples: Folder,
    out: Folder,
    minutes: float = 20.0,
    steps: int = 6000,
    decoder_of: Path | None = None,
) -> None:
    """Train mini's autoencoder on drawn SAMPLES into OUT, or only the decoder of another."""
    train(
        AutoencoderTraining(samples, out, steps=steps, max_minutes=minutes, decoder_of=decoder_of)
    )


@app.command()
def initialise(vae: Folder, out: Folder, seed: int = 0) -> None:
    """Write an untrained mini around a trained autoencoder into OUT."""
    from training.scenes_synth import CAPTION_WORDS

    pipeline = build_mini(CAPTION_WORDS, seed, MiniAutoencoder.from_pretrained(vae))
    pipeline.save_pretrained(out)


@app.command()
def encode(model: Folder, samples: Folder, out: Folder) -> None:
    """Encode drawn SAMPLES with MODEL's autoencoder and tokenizer into OUT."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    out.mkdir(parents=True, exist_ok=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        buckets = [encode_shard(pipeline, shard) for shard in sample_shards.read_shards(samples)]
    save_buckets(out / BUCKETS, buckets)


@app.command("train")
def train_model(
    model: Folder,
    encoded: Folder,
    out: Folder,
    minutes: float = 60.0,
    steps: int = 20000,
    batch: int = 16,
    lr: float = 1e-3,
    seed: int = 0,
    mask_weight: float = 2.0,
    channel_weighting: float = 1.0,
    workers: Annotated[int, typer.Option(help="processes, each with its own batch")] = 1,
    resume: bool = False,
) -> None:
    """Train MODEL on ENCODED samples; checkpoints, losses and averaged weights go to OUT."""
    cfg = Training(
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        mask_weight=mask_weight,
        channel_weighting=channel_weighting,
        max_minutes=minutes,
    )
    run_together(workers, partial(train_worker, model, encoded / BUCKETS, out, cfg, resume))


@app.command()
def decoder(
    model: Folder,
    samples: Folder,
    encoded: Folder,
    out: Folder,
    minutes: float = 10.0,
    workers: Annotated[int, typer.Option(help="processes, each with its own batch")] = 1,
) -> None:
    """Train the decoder of MODEL's autoencoder on latents that MODEL's U-Net makes, into OUT."""
    cfg = DecoderTraining(model, samples, encoded / BUCKETS, out, max_minutes=minutes)
    run_together(workers, partial(train_decoder, cfg))


@app.command()
def sheet(model: Folder, samples: Folder, out: Path, rows: int = 8, seed: int = 0) -> None:
    """Render held-out SAMPLES beside their originals into the picture OUT."""
    write_sheet(
        RefAdGenPipeline.from_pretrained(model), sample_shards.read_shards(samples), out, rows, seed
    )


@app.command()
def evaluate(
    model: Folder,
    images: Folder,
    alphas: Folder,
    out: Annotated[Path | None, typer.Option(help="a picture of all renders")] = None,
    steps: int = 20,
    guidance: float = 4.0,
    reference_scale: float = 1.0,
) -> None:
    """Identity with the right and a swapped reference, for photos IMAGES with masks ALPHAS."""
    judged = evaluation.evaluate(
        RefAdGenRenderer.load(model),
        evaluation.read_products(images, alphas),
        evaluation.PROMPTS,
        Sampler(steps=steps, guidance=guidance, reference_scale=reference_scale),
    )
    if out is not None:
        write_rows(judged.rows, out)
    typer.echo(json.dumps(judged.summary()))


@app.command()
def export(
    model: Folder,
    out: Folder,
    vae: Path | None = None,
    samples: Path | None = None,
    noise_scale: float = NOISE_SCALE,
    licence: Annotated[str | None, typer.Option(help="SPDX name of its licence")] = None,
    origin: Annotated[str, typer.Option(help="where it comes from, for its bill")] = ORIGIN,
) -> None:
    """Write MODEL in float16 for shipping: with the autoencoder VAE if one is given, and no other
    words in its vocabulary than the captions of SAMPLES hold.

    With a LICENCE its bill of materials is written too. A bill of what lay in OUT before is
    removed in any case.
    """
    pipeline = RefAdGenPipeline.from_pretrained(model, dtype=torch.float16, noise_scale=noise_scale)
    if samples is not None:
        captions = (c for s in sample_shards.read_shards(samples) for c in s.captions)
        words = {word for caption in captions for word in caption.replace(",", " ").split()}
        pipeline.tokenizer = keep_words(pipeline.tokenizer, words)
    if vae is not None:
        pipeline.vae = MiniAutoencoder.from_pretrained(vae, dtype=torch.float16)
    (out / BILL_FILE).unlink(missing_ok=True)
    pipeline.save_pretrained(out)
    _forget_folders(out)
    if licence is not None:
        write_bill(out, [Part(components(out), origin, licence)])


def _forget_folders(out: Path) -> None:
    """diffusers notes where each part was loaded from: a folder of the machine that exports."""
    for path in out.rglob("*.json"):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    app()
