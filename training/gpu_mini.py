"""`python -m training gpu-mini`: `mini` at 128 and at 256 px in one stretch on a lent GPU, or the
latter alone, from weights of its size.

Samples are drawn at 256 px by the machine's cores while the GPU does something else, or waits. The
128 px model learns from their halves, goes on from weights of that size and is written; the 256 px
model goes on from there. Each ends with a decoder that knows its U-Net's latents.
"""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import keep_words
from training.latents import Bucket, encode_shard, joined
from training.recipe import Training, read_recipe
from training.shards import (
    SHARES,
    Shard,
    by_native,
    draw_and_write,
    drawing_pool,
    halved,
    read_shards,
    words_of,
)
from training.train import Trainer, check_unused
from training.train_decoder import DecoderTraining, teach_decoder
from training.vocabulary import all_words

SCALE = 2
SMALL_PX, LARGE_PX = 128, 256
DECODER_SAMPLES = 1024
QUEUED = 4000
"""Blocks that wait to be drawn."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes of each part, and batches. traced_repeats: how often the traced samples count;
    draw_minutes: until training starts (drawing goes on until the large model's turn); block:
    samples drawn at a time."""

    draw_minutes: float
    small_minutes: float
    large_minutes: float
    decoder_minutes: float
    small_batch: int = 384
    large_batch: int = 192
    small_lr: float = 2e-3
    large_lr: float = 1.5e-3
    traced_repeats: int = 4
    workers: int = 13
    block: int = 16
    seed: int = 900


def run(
    start: Path, traced: Path | None, out: Path, plan: Stretch, scratch: Path, began: float
) -> None:
    """Draws, trains, writes `out/mini` and `out/mini-256` as pipelines, with their losses. A start
    of 256 px already has all minutes of training for itself: `out/mini-256` alone is written.
    ModelError for a start of another size or vocabulary, or where a run lies already."""
    is_large = _size_of(start) == LARGE_PX  # and whatever is wrong, before anything is drawn
    if is_large:
        longer = plan.large_minutes + plan.small_minutes
        plan = replace(plan, small_minutes=0.0, large_minutes=longer)
    for name in ("mini-256",) if is_large else ("mini", "mini-256"):
        check_unused(_run_folder(out / name))
    torch.backends.cuda.matmul.allow_tf32 = True
    shards = list(read_shards(traced)) if traced is not None else []
    with drawing_pool(plan.workers, SCALE) as pool:
        blocks = Blocks(pool, scratch / "blocks", plan)
        try:
            blocks.until(began + 60 * plan.draw_minutes)
            blocks.wait_for_one()
            if not is_large:
                small = Phase(start, SMALL_PX, plan.small_batch, plan.small_lr, plan.small_minutes)
                found = [halved(s) for s in blocks.shards()]
                _train(small, found, [halved(s) for s in shards], out / "mini", plan)
        finally:
            blocks.stop()
        begun = start if is_large else out / "mini"
        large = Phase(begun, LARGE_PX, plan.large_batch, plan.large_lr, plan.large_minutes)
        _train(large, blocks.shards(), shards, out / "mini-256", plan)
    figures = {"drawn": blocks.count, "traced": sum(len(s) for s in shards), **asdict(plan)}
    (out / "gpu-mini.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _size_of(start: Path) -> int:
    """The weights' px. ModelError for another size than those trained here, or vocabulary."""
    given = RefAdGenPipeline.from_pretrained(start)
    all_words(given, start)
    if given.reference_size not in (SMALL_PX, LARGE_PX):
        raise ModelError(
            f"weights of {given.reference_size} px",
            where=str(start),
            hint=f"start from weights of {SMALL_PX} or {LARGE_PX} px",
        )
    return given.reference_size


class Blocks:
    """Blocks of samples, drawn without end in a pool's processes, written to a folder."""

    def __init__(self, pool: ProcessPoolExecutor, folder: Path, plan: Stretch) -> None:
        self.pool, self.folder, self.plan = pool, folder, plan
        self.count = 0
        self._numbers = itertools.count()
        self._pending: set[Future[Path]] = set()
        self._done: list[Path] = []
        for _ in range(QUEUED):  # while nobody looks, training, they go on
            self._submit()

    def until(self, deadline: float) -> None:
        """Has them drawn until then (`time.monotonic`)."""
        while (left := deadline - time.monotonic()) > 0:
            self._collect(left)

    def stop(self) -> None:
        """No more are begun; what is under way is waited for."""
        for future in self._pending:
            future.cancel()
        while self._pending:
            self._collect(None, again=False)

    def wait_for_one(self) -> None:
        """Until a block at least is done."""
        if not self._done:
            self._collect(None)

    def shards(self) -> list[Shard]:
        """All that is done, a block at least, joined by native size."""
        self.wait_for_one()
        self._collect(0.0)
        found = by_native([shard for folder in self._done for shard in read_shards(folder)])
        self.count = sum(len(s) for s in found)
        print(f"{self.count} samples drawn", flush=True)
        return found

    def _collect(self, patience_s: float | None, *, again: bool = True) -> None:
        done, self._pending = wait(self._pending, patience_s, FIRST_COMPLETED)
        for future in done:
            if not future.cancelled():
                self._done.append(future.result())
                if again:
                    self._submit()

    def _submit(self) -> None:
        number = next(self._numbers)
        rng = np.random.default_rng([self.plan.seed, number])
        width, height = list(SHARES)[int(rng.choice(len(SHARES), p=list(SHARES.values())))]
        self._pending.add(
            self.pool.submit(
                draw_and_write,
                self.folder / f"{number:05d}",
                (width * SCALE, height * SCALE),
                self.plan.seed * 100_000 + number,
                self.plan.block,
            )
        )


@dataclass(frozen=True, slots=True)
class Phase:
    """One model's training: what it goes on from, its size, how."""

    start: Path
    reference_px: int
    batch: int
    lr: float
    minutes: float

    def recipe(self, seed: int) -> Training:
        return replace(
            read_recipe("gpu"),
            steps=10_000_000, batch=self.batch, lr=self.lr, warmup=20, max_minutes=self.minutes,
            stretch_minutes=None, save_minutes=0.0, mask_weight=3.0, ema_decay=0.998,
            log_every=20, seed=seed,
        )  # fmt: skip


def _train(
    phase: Phase, drawn_shards: list[Shard], traced: list[Shard], out: Path, plan: Stretch
) -> None:
    pipeline = RefAdGenPipeline.from_pretrained(
        phase.start, reference_size=phase.reference_px, unit_scale=phase.reference_px // 128
    )
    pipeline.unet.register_to_config(sample_size=phase.reference_px // 8)
    pipeline.reference_unet.register_to_config(sample_size=phase.reference_px // 8)
    pipeline.tokenizer = all_words(pipeline, phase.start)
    accelerator = Accelerator()
    pipeline.to(accelerator.device)
    buckets = joined(_encoded(pipeline, drawn_shards, traced, plan.traced_repeats))
    print(f"{phase.reference_px} px: {sum(len(b) for b in buckets)} rows encoded", flush=True)
    for network in (pipeline.unet, pipeline.reference_unet):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    trainer = Trainer(
        pipeline, buckets, phase.recipe(plan.seed), _run_folder(out),
        accelerator=accelerator,
    )  # fmt: skip
    trainer.run()
    trainer.ema.swap()
    shards = [*traced, *drawn_shards]
    _teach_decoder(pipeline, shards, plan.decoder_minutes, plan.seed)
    for network in (pipeline.unet, pipeline.reference_unet):
        network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    pipeline.to(torch.float16)
    pipeline.tokenizer = keep_words(pipeline.tokenizer, words_of(shards))
    pipeline.save_pretrained(out)


def _run_folder(out: Path) -> Path:
    return out.with_name(out.name + "-run")


def _encoded(
    pipeline: RefAdGenPipeline, drawn_shards: Sequence[Shard], traced: Sequence[Shard], repeats: int
) -> Iterator[Bucket]:
    """Every sample and its mirror image; the traced ones several times."""
    for mirror in (False, True):
        for shard in drawn_shards:
            yield encode_shard(pipeline, shard, mirror=mirror).to(pipeline.device)
        for shard in traced:
            bucket = encode_shard(pipeline, shard, mirror=mirror).to(pipeline.device)
            yield from itertools.repeat(bucket, repeats)


def _teach_decoder(
    pipeline: RefAdGenPipeline, shards: Sequence[Shard], minutes: float, seed: int
) -> None:
    """As `train_decoder` does, on the GPU, from a part of the samples."""
    cfg = DecoderTraining(Path(), Path(), Path(), Path(), batch=32, seed=seed, max_minutes=minutes)
    share = DECODER_SAMPLES / sum(len(s) for s in shards)
    some = by_native([_first(s, max(64, round(share * len(s)))) for s in shards])
    buckets = [encode_shard(pipeline, shard).to(pipeline.device) for shard in some]
    teach_decoder(pipeline, some, buckets, cfg)


def _first(shard: Shard, count: int) -> Shard:
    part = {n: getattr(shard, n)[:count] for n in ("ads", "masks", "products", "frames")}
    return Shard(shard.native, **part, captions=shard.captions[:count])
