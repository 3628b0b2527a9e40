"""`python -m training gpu-mini`: `mini` at 128 and at 256 px in one stretch on a lent GPU, or the
latter alone, from weights of its size.

Samples are drawn at 256 px by the machine's cores while the GPU trains. The
128 px model learns from their halves, goes on from weights of that size and is written; the 256 px
model goes on from there. Each ends with a decoder that knows its U-Net's latents.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import keep_words
from training.drawing_ahead import Blocks, Mixture
from training.latents import encode_shard
from training.recipe import Training, read_recipe
from training.shards import Shard, by_native, drawing_pool, halved, read_shards
from training.train import Trainer, check_unused
from training.train_decoder import DecoderTraining, teach_decoder
from training.vocabulary import all_words

SCALE = 2
SMALL_PX, LARGE_PX = 128, 256
DECODER_SAMPLES = 1024
TAKE_UP_S = 40.0
"""Between looks at what has been drawn meanwhile."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes of each part, and batches. traced_share: of the rows that are trained on, about;
    draw_minutes: until training starts (drawing goes on beside it); block: samples drawn at a
    time."""

    draw_minutes: float
    small_minutes: float
    large_minutes: float
    decoder_minutes: float
    small_batch: int = 384
    large_batch: int = 192
    small_lr: float = 2e-3
    large_lr: float = 1.5e-3
    traced_share: float = 0.5
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
    _check_share(plan.traced_share)
    torch.backends.cuda.matmul.allow_tf32 = True
    shards = list(read_shards(traced)) if traced is not None else []
    with drawing_pool(plan.workers, SCALE) as pool:
        blocks = Blocks(pool, scratch / "blocks", SCALE, plan.block, plan.seed)
        try:
            blocks.until(began + 60 * plan.draw_minutes)
            if not is_large:
                small = Phase(start, SMALL_PX, plan.small_batch, plan.small_lr, plan.small_minutes)
                _train(small, blocks, [halved(s) for s in shards], out / "mini", plan, halved)
            begun = start if is_large else out / "mini"
            large = Phase(begun, LARGE_PX, plan.large_batch, plan.large_lr, plan.large_minutes)
            drawn = _train(large, blocks, shards, out / "mini-256", plan, _as_it_is)
        finally:
            blocks.stop()
    figures = {"drawn": drawn, "traced": sum(len(s) for s in shards), **asdict(plan)}
    (out / "gpu-mini.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _check_share(share: float) -> None:
    if not 0 <= share < 1:
        raise ModelError(
            f"traced samples are {share:g} of all", where="traced_share", hint="from 0 to below 1"
        )


def _as_it_is(shard: Shard) -> Shard:
    return shard


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
            stretch_minutes=None, save_minutes=2.5, mask_weight=3.0, ema_decay=0.998,
            log_every=20, seed=seed,
        )  # fmt: skip


class _Beside(Trainer):
    """Takes up what is drawn meanwhile."""

    def __init__(self, mixture: Mixture, cfg: Training, folder: Path, device: Accelerator) -> None:
        super().__init__(mixture.pipeline, mixture.buckets(), cfg, folder, accelerator=device)
        self.mixture, self.looked = mixture, 0.0

    def take_step(self, progress: float) -> torch.Tensor:
        if self.seconds - self.looked > TAKE_UP_S:
            self.buckets, self.looked = self.mixture.buckets(), self.seconds
        return super().take_step(progress)


def _train(
    phase: Phase,
    blocks: Blocks,
    traced: list[Shard],
    out: Path,
    plan: Stretch,
    smaller: Callable[[Shard], Shard],
) -> int:
    """How many drawn samples it learned from."""
    pipeline = RefAdGenPipeline.from_pretrained(
        phase.start, reference_size=phase.reference_px, unit_scale=phase.reference_px // 128
    )
    pipeline.unet.register_to_config(sample_size=phase.reference_px // 8)
    pipeline.reference_unet.register_to_config(sample_size=phase.reference_px // 8)
    pipeline.tokenizer = all_words(pipeline, phase.start)
    accelerator = Accelerator()
    pipeline.to(accelerator.device)
    mixture = Mixture(pipeline, blocks, traced, plan.traced_share, smaller)
    trainer = _Beside(mixture, phase.recipe(plan.seed), _run_folder(out), accelerator)
    trainer.run()
    trainer.ema.swap()
    shards = [*traced, *(smaller(s) for s in blocks.shards(0, DECODER_SAMPLES // plan.block))]
    _teach_decoder(pipeline, shards, plan.decoder_minutes, plan.seed)
    pipeline.to(torch.float16)
    pipeline.tokenizer = keep_words(pipeline.tokenizer, mixture.words)
    pipeline.save_pretrained(out)
    return mixture.samples


def _run_folder(out: Path) -> Path:
    return out.with_name(out.name + "-run")


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
