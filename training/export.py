"""`python -m training export`: a trained model in the form that it is shipped in."""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from adloom.errors import ModelError
from adloom.weights_bill import BILL_FILE, Part
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import keep_words
from models.refadgen.weights import components, write_bill
from training import shards as sample_shards

OWN = typer.Option(help="the model's own, if none is given (docs/model.md)")
ORIGIN = "trained by this project on synthetic data (training/scenes_synth)"
Folder = Annotated[Path, typer.Argument(file_okay=False)]


def export(
    model: Folder,
    out: Folder,
    vae: Path | None = None,
    samples: Path | None = None,
    noise_scale: Annotated[float | None, OWN] = None,
    product_noise_scale: Annotated[float | None, OWN] = None,
    product_guidance: Annotated[float | None, OWN] = None,
    scene_eta: Annotated[float | None, OWN] = None,
    detail_guidance: Annotated[float | None, OWN] = None,
    detail_below: Annotated[float | None, OWN] = None,
    start: Annotated[Path | None, typer.Option(help="weights that MODEL went on from")] = None,
    share: Annotated[
        float | None, typer.Option(help="with --start: of MODEL, from 0 to 1 (0.5)")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX name of its licence")] = None,
    origin: Annotated[str, typer.Option(help="where it comes from, for its bill")] = ORIGIN,
) -> None:
    """Write MODEL in float16 for shipping: with the autoencoder VAE if one is given, and no other
    words in its vocabulary than the captions of SAMPLES hold.

    With the weights that its training went on from (START), what is written lies between them and
    MODEL (WiSE-FT, arXiv 2109.01903): much of what it learned, less of what it forgot.

    With a LICENCE its bill of materials is written too. A bill of what lay in OUT before is
    removed in any case.
    """
    if share is not None and start is None:
        raise ModelError(
            f"a share of {share:g} of what lies between MODEL and nothing",
            where="--share",
            hint="name the weights that its training went on from with --start",
        )
    asked = {
        "noise_scale": noise_scale,
        "product_noise_scale": product_noise_scale,
        "product_guidance": product_guidance,
        "scene_eta": scene_eta,
        "detail_guidance": detail_guidance,
        "detail_below": detail_below,
    }
    changed = {name: value for name, value in asked.items() if value is not None}
    pipeline = RefAdGenPipeline.from_pretrained(model, **changed)
    if start is not None:
        draw_back(pipeline, start, 0.5 if share is None else share)
    pipeline.to(torch.float16)
    if samples is not None:
        words = sample_shards.words_of(sample_shards.read_shards(samples))
        pipeline.tokenizer = keep_words(pipeline.tokenizer, words)
    if vae is not None:
        pipeline.vae = MiniAutoencoder.from_pretrained(vae, dtype=torch.float16)
    (out / BILL_FILE).unlink(missing_ok=True)
    pipeline.save_pretrained(out)
    _forget_folders(out)
    if licence is not None:
        write_bill(out, [Part(components(out), origin, licence)])


@torch.no_grad()
def draw_back(pipeline: RefAdGenPipeline, start: Path, share: float) -> None:
    """Each weight w of the pipeline becomes start + share (w - start). ModelError where the weights
    in the folder `start` are not of its shape."""
    if not 0 <= share <= 1:
        raise ModelError(f"a share of {share:g}", where="share", hint="a number from 0 to 1")
    begun = RefAdGenPipeline.from_pretrained(start).networks
    for name, network in pipeline.networks.items():
        learned, before = network.state_dict(), begun[name].state_dict()
        if {n: t.shape for n, t in learned.items()} != {n: t.shape for n, t in before.items()}:
            raise ModelError(
                f"{name} has other weights than the model",
                where=str(start),
                hint="name the weights that its training went on from",
            )
        for key, weight in learned.items():
            if weight.is_floating_point():
                weight.copy_(torch.lerp(before[key], weight, share))


def _forget_folders(out: Path) -> None:
    """diffusers notes where each part was loaded from: a folder of the machine that exports."""
    for path in out.rglob("*.json"):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2) + "\n")
