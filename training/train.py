"""Train RefAdGen: as the paper does from Stable Diffusion, or `mini` from nothing.

The same loop on a laptop's cores and on GPUs: accelerate says on which device, among how many
processes, and keeps the trackers; `Workers` averages the gradients.
"""

import time
from collections.abc import Sequence
from math import inf
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from training.checkpoints import WEIGHTS, read_checkpoint, restore, write_checkpoint
from training.ema import MovingAverage
from training.latents import Batch, Bucket, draw_batch, load_buckets
from training.lean_norms import make_lean
from training.parallel import ALONE, Workers, accelerator_of
from training.precision import is_emulated
from training.recipe import Training
from training.recorded import RecordedLoss
from training.run_log import RunLog
from training.schedule import rate_factor
from training.shards import Shard, read_shards
from training.sheets import write_sheet
from training.telling_apart import objective_of
from training.threads import ThreadChooser
from training.trainable import choose_trainable

SHEET_ROWS = 3


class Trainer:
    """One run over encoded buckets: steps, checkpoints, the loss log in `folder`, and with
    `validation` shards a sheet of renders beside every checkpoint."""

    def __init__(
        self,
        pipeline: RefAdGenPipeline,
        buckets: list[Bucket],
        cfg: Training,
        folder: Path,
        workers: Workers = ALONE,
        accelerator: Accelerator | None = None,
        validation: Sequence[Shard] = (),
    ) -> None:
        torch.manual_seed(cfg.seed)
        self.pipeline, self.buckets, self.cfg, self.folder = pipeline, buckets, cfg, folder
        self.workers, self.validation = workers, validation
        folder.mkdir(parents=True, exist_ok=True)
        if accelerator is not None:
            pipeline.to(accelerator.device)
            self.buckets = [placed(bucket, accelerator.device) for bucket in buckets]
        self.trained = choose_trainable(pipeline, cfg.trainable)
        self.parameters = list(self.trained.values())
        for network in pipeline.networks.values():
            network.train(any(p.requires_grad for p in network.parameters()))
        if cfg.gradient_checkpointing:
            pipeline.unet.enable_gradient_checkpointing()
            pipeline.reference_unet.enable_gradient_checkpointing()
        self.ema = MovingAverage(self.parameters, cfg.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.parameters, cfg.lr, cfg.betas, weight_decay=cfg.weight_decay, fused=True
        )
        if cfg.lean_norms:
            for network in pipeline.networks.values():
                make_lean(network)
        self.objective = objective_of(pipeline, cfg)
        recorded = cfg.cuda_graphs and self.objective.device.type == "cuda"
        self.recorded = RecordedLoss(self.objective.error, self.parameters) if recorded else None
        self.log = RunLog(folder, accelerator)
        self.steps = cfg.steps_over(sum(len(b) for b in buckets), workers.count)
        self.step, self.seconds = 0, 0.0
        self._losses: list[Tensor | float] = []
        self._began = 0, 0.0

    def run(self) -> None:
        """Train to the end, saving on the way."""
        self._began = self.step, self.seconds
        clock, saved = time.monotonic() - self.seconds, time.monotonic()
        threads = ThreadChooser(self._threads())
        while (progress := self.workers.agree(self._progress())) < 1:
            threads.before_step()
            self._losses.append(self.take_step(progress))
            self.seconds = time.monotonic() - clock
            if self.step % self.cfg.log_every == 0:
                self._report(threads.current)
            if self._is_due(time.monotonic() - saved):
                self.save()
                saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Rank 0 writes a checkpoint to resume from, the averaged weights as a pipeline in `ema/`,
        and the validation's sheet."""
        if not self.workers.leads:
            return
        progress = self.step, self.seconds, [float(loss) for loss in self._losses]
        write_checkpoint(self.folder, self.parameters, self.optimizer, self.ema, self.cfg, progress)
        self.ema.swap()
        try:
            self.pipeline.save_pretrained(self.folder / "ema")
            if self.validation:
                sheet = self.folder / "sheets" / f"{self.step:07d}.png"
                write_sheet(self.pipeline, self.validation, sheet, SHEET_ROWS, seed=0)
        finally:
            self.ema.swap()

    def resume(self) -> None:
        """Continue from `folder`'s checkpoint; ModelError where it is damaged or does not fit."""
        found = read_checkpoint(self.folder)
        restore(found, self.folder, self.parameters, self.optimizer, self.ema)
        self.step, self.seconds = found.step, found.seconds
        self._losses = [*found.losses]
        if self.workers.leads:
            self.log.forget_after(self.step)

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """The objective of a batch, on the device that is trained on."""
        return self.objective(batch.to(self.objective.device), rng)

    def loss_and_gradients(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """A batch's loss; the parameters hold its gradients, and no others."""
        with self.objective.attention():
            if self.recorded is not None:
                return self.recorded(self.objective.prepared(batch.to(self.objective.device), rng))
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(batch, rng)
            loss.backward()
            return loss.detach()

    def take_step(self, progress: float) -> Tensor:
        """One batch, at the rate of this progress in [0, 1]; its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(progress)
        # Resuming draws the same batches; every worker draws its own.
        rng = np.random.default_rng([self.cfg.seed, self.step, *self._rank_seed()])
        loss = self.loss_and_gradients(draw_batch(self.buckets, self.cfg.batch, rng), rng)
        self.workers.average_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, self.cfg.clip)
        self.optimizer.step()
        self.ema.update()
        self.step += 1
        return self.workers.average(loss)

    def _rate(self, progress: float) -> float:
        cfg = self.cfg
        return cfg.lr * rate_factor(cfg.schedule, self.step, cfg.warmup, progress)

    def _rank_seed(self) -> tuple[int, ...]:
        return () if self.workers.leads else (self.workers.rank,)

    def _threads(self) -> tuple[int, ...]:
        """Another number of threads adds up in another order: an exact run keeps to one number."""
        if self.workers.count > 1:
            return (1,)
        return self.cfg.threads[:1] if self.cfg.is_exact else self.cfg.threads

    def _progress(self) -> float:
        """In [0, 1); from 1 on the run ends, or this stretch of it."""
        stretch = self.cfg.stretch_minutes
        if stretch is not None and self.seconds - self._began[1] > 60 * stretch:
            return inf
        limit = self.cfg.max_minutes
        by_clock = 0.0 if limit is None else self.seconds / (60 * limit)
        return max(self.step / self.steps, by_clock)

    def _is_due(self, since_saved_s: float) -> bool:
        """Whether to save now. Every process must come to the same answer only where it matters:
        rank 0 alone writes."""
        cfg = self.cfg
        by_steps = cfg.save_steps > 0 and self.step % cfg.save_steps == 0
        return by_steps or (cfg.save_minutes > 0 and since_saved_s > 60 * cfg.save_minutes)

    def _report(self, threads: int) -> None:
        losses, self._losses = [float(loss) for loss in self._losses], []
        if not self.workers.leads:
            return
        rate = (self.step - self._began[0]) / max(1e-9, self.seconds - self._began[1])
        samples = rate * self.cfg.batch * self.workers.count
        speed = f"{samples:.1f} samples/s, {self.workers.count} workers of {threads} threads"
        learning = self.optimizer.param_groups[0]["lr"]
        self.log.write(self.step, self.seconds, float(np.mean(losses)), learning, speed)


def placed(bucket: Bucket, device: torch.device) -> Bucket:
    """The bucket on the device, if that is a GPU with room for it twice; else as it is."""
    if device.type != "cuda":
        return bucket
    fits = 2 * bucket.nbytes < torch.cuda.mem_get_info(device)[0]
    return bucket.to(device) if fits else bucket


def check_unused(out: Path) -> None:
    """ModelError where a run lies already: it would be overwritten."""
    if (out / WEIGHTS).exists():
        raise ModelError(
            "a run lies there already", where=str(out), hint="go on with --resume, or another OUT"
        )


def train_worker(
    model: Path,
    encoded: Path,
    out: Path,
    cfg: Training,
    resume: bool,
    validation: Path | None,
    tensorboard: bool,
    workers: Workers,
) -> None:
    """One worker's run: the pipeline in `model`, the buckets in `encoded`, results to `out`."""
    accelerator, workers = accelerator_of(workers, out if tensorboard else None)
    pipeline = RefAdGenPipeline.from_pretrained(model)
    shards = read_shards(validation) if validation is not None else []
    if cfg.bf16 and workers.leads and is_emulated(accelerator.device):
        print("this processor has no bfloat16: computed in float32", flush=True)
    trainer = Trainer(pipeline, load_buckets(encoded), cfg, out, workers, accelerator, shards)
    if resume:
        trainer.resume()
    trainer.run()
    accelerator.end_training()
