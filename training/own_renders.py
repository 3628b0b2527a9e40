"""What a model itself makes of its training samples' conditions: what `telling_apart` sets against
the samples."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import reference_features
from models.refadgen.text import TextFeatures
from training.latents import Batch, Bucket, load_buckets, save_buckets, take_rows
from training.parallel import Workers, run_together

BATCH: Final = 8


def write_own_renders(
    model: Path, encoded: Path, out: Path, count: int, seed: int, steps: int, workers: int
) -> None:
    """Buckets of `count` random samples of `encoded`, with `model`'s renders of them, in `out`.

    About `count`: each bucket gives its share, at least one. A sample keeps its render's seed
    whichever worker makes it. Samples whose product is too small to render are left out. They are
    for training `model` on: its likelihood is what they are told by. ModelError where more are
    asked for than there are, where `out` exists, and for renders that are not finite.
    """
    if out.exists():
        raise ModelError("samples lie there already", where=str(out), hint="name another OUT")
    buckets = load_buckets(encoded)
    known = sum(len(b) for b in buckets)
    if not 0 < count <= known:
        raise ModelError(f"{count} of {known} samples", where=str(encoded), hint="ask for fewer")
    drawn = [_chosen(b, count / known, seed) for b in buckets]
    chosen = [bucket for bucket in drawn if len(bucket)]
    if not chosen:
        raise ModelError(
            "every product is too small to render",
            where=str(encoded),
            hint="encode samples whose products fill half of a latent cell at least",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        parts = Path(folder)
        run_together(workers, partial(_render_share, model, chosen, parts, seed, steps))
        made = [torch.load(_part(parts, rank), weights_only=True) for rank in range(workers)]
        whole = [_with_renders(b, [m[i] for m in made]) for i, b in enumerate(chosen)]
        _check_finite(whole, model)
        save_buckets(parts / out.name, whole)
        (parts / out.name).replace(out)


def _chosen(bucket: Bucket, share: float, seed: int) -> Bucket:
    rng = np.random.default_rng([seed, *bucket.native])
    large = np.flatnonzero(bucket.masks.flatten(1).amax(1).numpy() >= 0.5)
    rows = np.sort(rng.permutation(large)[: max(1, round(share * len(bucket)))])
    return bucket.select(torch.from_numpy(rows))


def _check_finite(buckets: list[Bucket], model: Path) -> None:
    for bucket in buckets:
        if bucket.renders is not None and not bucket.renders.isfinite().all():
            raise ModelError(
                f"renders of {bucket.native} are not finite",
                where=str(model),
                hint="take another model",
            )


def _part(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.part"


def _with_renders(bucket: Bucket, made: list[dict[int, Tensor]]) -> Bucket:
    by_row = {row: latent for part in made for row, latent in part.items()}
    return replace(bucket, renders=torch.stack([by_row[row] for row in range(len(bucket))]))


def _seed_of(seed: int, bucket: int, row: int) -> int:
    """In [0, 2^63), whatever the seed."""
    drawn = np.random.SeedSequence([seed, bucket, row]).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


def _render_share(
    model: Path, chosen: list[Bucket], parts: Path, seed: int, steps: int, workers: Workers
) -> None:
    """This worker's share of every bucket's rows, as {row: latent} of each, to its part."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    if torch.cuda.is_available():
        pipeline.to("cuda")
    made: list[dict[int, Tensor]] = []
    asked, began = sum(len(range(workers.rank, len(b), workers.count)) for b in chosen), monotonic()
    for i, bucket in enumerate(chosen):
        own = list(range(workers.rank, len(bucket), workers.count))
        latents: dict[int, Tensor] = {}
        for start in range(0, len(own), BATCH):
            rows = own[start : start + BATCH]
            seeds = [_seed_of(seed, i, row) for row in rows]
            batch = take_rows(bucket, torch.tensor(rows)).to(pipeline.device)
            rendered = unguided(pipeline, batch, seeds, steps).half().cpu()
            latents |= zip(rows, rendered, strict=True)
            done = sum(map(len, made)) + len(latents)
            if workers.leads:
                rate = workers.count * done / (monotonic() - began)
                print(f"{done}/{asked} renders of worker 0, {rate:.2f}/s by all", flush=True)
        made.append(latents)
    torch.save(made, _part(parts, workers.rank))


@torch.no_grad()
def unguided(pipeline: RefAdGenPipeline, batch: Batch, seeds: list[int], steps: int = 20) -> Tensor:
    """Scaled latents (B, C, h, w): samples of what the model has learned, so without guidance and
    with all of the noise on the product, too; else by the pipeline's own sampler. Raises as
    `render_latents` does: every mask has a product."""
    pixels = pipeline.encoder_pixels(batch.pixels)
    tokens = pipeline.image_tokens(torch.zeros_like(pixels)), pipeline.image_tokens(pixels)
    text = TextFeatures(pipeline.text_encoder(batch.ids).last_hidden_state, None)
    masks = F.interpolate(batch.masks, scale_factor=pipeline.latent_px, mode="nearest")
    aligned = pipeline.reference_frame == "aligned"
    references = reference_features(
        pipeline.reference_unet,
        pipeline.unet,
        batch.products,
        tokens,
        native=(masks.shape[-2], masks.shape[-1]) if aligned else None,
    )
    kept = {name: pipeline.config[name] for name in ("noise_scale", "product_noise_scale")}
    pipeline.register_to_config(noise_scale=1.0, product_noise_scale=1.0)
    try:
        return pipeline.render_latents(
            text, text, references, masks, batch.frames, seeds, steps, guidance_scale=1.0
        )
    finally:
        pipeline.register_to_config(**kept)
