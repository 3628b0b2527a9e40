"""The paper's ablations (table 4) on small models: the same start, samples and steps for all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.refadgen.pipeline import RefAdGenPipeline
from training.adprod_mini.dataset import read_rows
from training.checkpoints import WEIGHTS, read_checkpoint
from training.judging.heldout import Sampling, Truth, read_truths, render_all
from training.judging.measuring import KID, Judges, per_sample, whole_features
from training.judging.report import write_report
from training.judging.run import judges_of, load_pipeline
from training.judging.statistics import (
    Interval,
    kernel_difference,
    kernel_interval,
    mean_interval,
    paired_differences,
)
from training.latents import encode_shard, load_buckets, save_buckets
from training.parallel import run_together
from training.recipe import Training, read_recipe
from training.shards import read_shards
from training.train import train_worker

Picture = NDArray[np.uint8]
FULL, NO_MASK, NO_AUGMENTATION = "full", "no mask", "no dual augmentation"
KINDS: Final = (FULL, NO_MASK, NO_AUGMENTATION)
BUCKETS: Final = "buckets.pt"


@dataclass(frozen=True, slots=True)
class Ablation:
    """samples and heldout: of AdProd-mini, with at least two views; start: an untrained model;
    steps: of every run."""

    samples: Path
    heldout: Path
    out: Path
    start: Path
    steps: int
    recipe: str = "mini"
    seeds: int = 3
    count: int = 64
    workers: int = 2


def run_ablation(asked: Ablation) -> str:
    """Trains what is missing, judges all on other views than trained on; the table."""
    _encode(asked)
    for kind in KINDS:
        for seed in range(asked.seeds):
            _train(asked, kind, seed)
    judges = judges_of(asked.samples)
    truths = read_truths(asked.heldout, asked.count, view=1)
    values = {kind: _values(asked, judges, truths, kind) for kind in KINDS}
    columns: dict[str, dict[str, Interval]] = {
        kind: {name: mean_interval(v) for name, v in found.items()}
        for kind, (found, _) in values.items()
    }
    whole = {kind: whole_features(judges, pictures) for kind, (_, pictures) in values.items()}
    (true,) = whole_features(judges, [[t.ad for t in truths]])
    for kind in KINDS:
        columns[kind][KID] = kernel_interval(whole[kind], true)
    for kind in (NO_MASK, NO_AUGMENTATION):
        against = paired_differences(values[FULL][0], values[kind][0])
        against[KID] = kernel_difference(whole[FULL], whole[kind], true)
        columns[f"full - {kind}"] = against
    facts = {"samples": len(truths), "runs": asked.seeds, "steps": asked.steps}
    return write_report(asked.out, columns, facts)


def _encode(asked: Ablation) -> None:
    """Latents of all rows, and of the rows that show the product as it stands in the ad."""
    every, plain = (asked.out / name / BUCKETS for name in ("encoded", "encoded-plain"))
    if plain.is_file():
        return
    pipeline = RefAdGenPipeline.from_pretrained(asked.start)
    buckets, unturned = [], []
    for shard in read_shards(asked.samples):
        bucket = encode_shard(pipeline, shard)
        rows = read_rows(asked.samples, shard.native)
        buckets.append(bucket)
        unturned.append(bucket.select(torch.tensor([r["view"] == 0 for r in rows])))
    for path, found in ((every, buckets), (plain, unturned)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        save_buckets(temporary, found)
        temporary.replace(path)


def _train(asked: Ablation, kind: str, seed: int) -> None:
    """One run to its end, from where it stopped."""
    out = _folder(asked, kind, seed)
    resume = (out / WEIGHTS).is_file()
    if resume and read_checkpoint(out).step >= asked.steps:
        return
    recipe = read_recipe(asked.recipe, {"steps": asked.steps, "seed": seed})
    cfg: Training = replace(recipe, max_minutes=None, epochs=None, mask_input=kind != NO_MASK)
    encoded = "encoded-plain" if kind == NO_AUGMENTATION else "encoded"
    # Mapped buckets are read here once so that a broken file fails before the workers start.
    load_buckets(asked.out / encoded / BUCKETS)
    work: Callable[..., None] = partial(
        train_worker, asked.start, asked.out / encoded / BUCKETS, out, cfg, resume, None, False
    )
    run_together(asked.workers, work)


def _folder(asked: Ablation, kind: str, seed: int) -> Path:
    return asked.out / f"{kind.replace(' ', '-')}-{seed}"


def _values(
    asked: Ablation, judges: Judges, truths: list[Truth], kind: str
) -> tuple[dict[str, list[list[float]]], list[list[Picture]]]:
    """Every measure's values (runs, samples), and the renders."""
    how = Sampling(with_mask=kind != NO_MASK)
    found: dict[str, list[list[float]]] = {}
    pictures: list[list[Picture]] = []
    for seed in range(asked.seeds):
        made = render_all(load_pipeline(_folder(asked, kind, seed) / "ema"), truths, seed, how)
        pictures.append(made)
        for name, values in per_sample(judges, truths, made).items():
            found.setdefault(name, []).append(values)
    return found, pictures
