"""`python -m training COMMAND`: draw samples, train, look, export. See docs/training.md."""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from adloom.errors import AdloomError
from adloom.render_spec import Sampler
from models.device import KEPT_IN_TRAINING, keep_freed_memory
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.renderer import RefAdGenRenderer
from models.refadgen.tokens import unknown_words
from training import evaluation
from training.adprod_mini.commands import adprod_mini, show_samples
from training.export import export
from training.judging.commands import ablate, evaluate, joins, showcase
from training.latents import encode_shard, joined, load_buckets, save_buckets
from training.own_renders import write_own_renders
from training.parallel import run_together
from training.recipe import read_recipe
from training.sample_commands import Folder, adprod, pack_samples, shards, unpack_samples
from training.shards import read_shards, words_of
from training.sheets import write_rows, write_sheet
from training.telling_apart import check_renders
from training.toy import train_toy
from training.train import check_unused, train_worker
from training.train_autoencoder import AutoencoderTraining, train
from training.train_decoder import DecoderTraining, train_decoder
from training.vocabulary import reopen

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
BUCKETS = "buckets.pt"

app.command()(shards)
app.command()(adprod)
app.command("adprod-mini")(adprod_mini)
app.command("pack")(pack_samples)
app.command("unpack")(unpack_samples)
app.command("show")(show_samples)
app.command()(evaluate)
app.command()(ablate)
app.command()(joins)
app.command()(showcase)
app.command()(export)


@app.command("gpu-mini")
def gpu_mini_command(
    start: Annotated[Path, typer.Argument(help="weights to go on from; of 256 px: these alone")],
    out: Folder,
    traced: Annotated[Path | None, typer.Option(help="samples of adprod-mini at 256 px")] = None,
    draw_minutes: float = 3.0,
    small_minutes: float = 1.5,
    large_minutes: float = 3.5,
    decoder_minutes: float = 0.4,
    small_batch: int = 384,
    large_batch: int = 192,
    large_lr: float = 1.5e-3,
    traced_share: Annotated[float, typer.Option(help="of the rows that are trained on")] = 0.5,
    workers: int = 13,
    seed: Annotated[int, typer.Option(help="going on, another than before: new samples")] = 900,
    scratch: Annotated[Path, typer.Option(help="room for 0.5 MB a sample")] = Path("build/gpu"),
) -> None:
    """Train mini at 128 and 256 px in one stretch on a GPU, drawing samples beside."""
    from training import gpu_mini

    plan = gpu_mini.Stretch(
        draw_minutes, small_minutes, large_minutes, decoder_minutes, small_batch, large_batch,
        large_lr=large_lr, traced_share=traced_share, workers=workers, seed=seed,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    gpu_mini.run(start, traced, out, plan, scratch, time.monotonic())


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
def initialise(
    vae: Folder,
    out: Folder,
    seed: int = 0,
    size: Annotated[int, typer.Option(help="px of references: of the samples' own")] = 128,
    widths: Annotated[str, typer.Option(help="channels of the U-Nets' levels")] = "64,128",
) -> None:
    """Write an untrained mini around a trained autoencoder into OUT."""
    from training.scenes_synth import CAPTION_WORDS

    pipeline = build_mini(
        CAPTION_WORDS,
        seed,
        MiniAutoencoder.from_pretrained(vae),
        reference_size=size,
        widths=tuple(int(w) for w in widths.split(",")),
    )
    pipeline.save_pretrained(out)


@app.command()
def start(
    base: Annotated[str, typer.Argument(help="Stable Diffusion 1.5, 2.1 or XL: folder or hub id")],
    out: Folder,
    vae: str | None = None,
    ip_adapter: str = "h94/IP-Adapter",
    image_encoder: str = "h94/IP-Adapter",
    frame: Annotated[str, typer.Option(help="aligned, as the paper; or canonical")] = "aligned",
) -> None:
    """Write the paper's untrained RefAdGen around BASE into OUT: see the recipe `paper`."""
    RefAdGenPipeline.from_stable_diffusion(
        base, vae, ip_adapter, image_encoder, reference_frame=frame
    ).save_pretrained(out)


@app.command("reopen")
def reopen_weights(weights: Folder, out: Folder) -> None:
    """Write shipped WEIGHTS to OUT as a model to go on from: it takes in all words again."""
    reopen(weights, out)


@app.command()
def encode(
    model: Folder,
    samples: Folder,
    out: Folder,
    also: Annotated[list[Path] | None, typer.Option(help="a further folder of samples")] = None,
    mirror: Annotated[bool, typer.Option(help="every sample's mirror image, too")] = False,
) -> None:
    """Encode drawn SAMPLES with MODEL's autoencoder and tokenizer into OUT."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    if torch.cuda.is_available():
        pipeline.to("cuda")
    out.mkdir(parents=True, exist_ok=True)
    shards = [shard for folder in (samples, *(also or [])) for shard in read_shards(folder)]
    if unknown := unknown_words(pipeline.tokenizer, " ".join(sorted(words_of(shards)))):
        said = "left out, as not known to these weights"
        typer.echo(f"{said}: {', '.join(unknown)} (`reopen` takes in all words)", err=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        buckets = joined(
            encode_shard(pipeline, shard, mirror=mirrored)
            for shard in shards
            for mirrored in ((False, True) if mirror else (False,))
        )
    save_buckets(out / BUCKETS, buckets)


@app.command("own-renders")
def own_renders(
    model: Folder,
    encoded: Folder,
    out: Folder,
    count: Annotated[
        int, typer.Option(min=1, help="about so many samples, drawn at random")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    steps: Annotated[int, typer.Option(help="of sampling", min=2)] = 20,
    workers: Annotated[int, typer.Option(min=1, help="processes of one thread")] = 2,
) -> None:
    """Write some of the ENCODED samples to OUT, each with what MODEL renders of its conditions: for
    recipes with `ddo_beta`, such as told-apart."""
    write_own_renders(model, encoded / BUCKETS, out / BUCKETS, count, seed, steps, workers)


@app.command("train")
def train_model(
    model: Folder,
    encoded: Folder,
    out: Folder,
    recipe: Annotated[str, typer.Option(help="one of training/recipes, or a .yaml file")] = "mini",
    minutes: Annotated[float | None, typer.Option(help="0: steps alone, exact to resume")] = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    mask_weight: float | None = None,
    channel_weighting: float | None = None,
    save_steps: int | None = None,
    validation: Annotated[
        Path | None, typer.Option(help="drawn samples: a sheet of them at every checkpoint")
    ] = None,
    tensorboard: Annotated[bool, typer.Option(help="events beside the loss in OUT")] = False,
    workers: Annotated[int, typer.Option(help="processes, each with its own batch")] = 1,
    resume: bool = False,
) -> None:
    """Train MODEL on ENCODED samples by a RECIPE; checkpoints, losses and averaged weights go to
    OUT. On several GPUs: `accelerate launch -m training train …`.

    What is given here replaces what the recipe says.
    """
    changes = {
        "steps": steps,
        "batch": batch,
        "lr": lr,
        "seed": seed,
        "mask_weight": mask_weight,
        "channel_weighting": channel_weighting,
        "save_steps": save_steps,
        "max_minutes": minutes or None,
    }
    cfg = read_recipe(recipe, changes)
    if minutes == 0:
        cfg = replace(cfg, max_minutes=None)
    if not resume:
        check_unused(out)
    if cfg.ddo_beta > 0:
        check_renders(load_buckets(encoded / BUCKETS), encoded / BUCKETS)
    run_together(
        workers,
        partial(train_worker, model, encoded / BUCKETS, out, cfg, resume, validation, tensorboard),
    )


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
    write_sheet(RefAdGenPipeline.from_pretrained(model), read_shards(samples), out, rows, seed)


@app.command()
def toy(
    samples: Folder,
    out: Folder,
    minutes: Annotated[float, typer.Option(help="of training, of all stages together")] = 2.0,
    workers: int = 2,
    seed: int = 0,
) -> None:
    """Train a toy on SAMPLES from nothing: autoencoder, latents, RefAdGen, in one go."""
    typer.echo(train_toy(samples, out, minutes, workers, seed))


@app.command("judge-photos")
def judge_photos(
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


if __name__ == "__main__":
    keep_freed_memory(KEPT_IN_TRAINING)
    try:
        app()
    except AdloomError as error:
        sys.exit(str(error))
