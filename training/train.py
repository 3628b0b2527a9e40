"""Train RefAdGen: both U-Nets, the AFMs, the Resampler and `mini`'s own encoders.

The loss is the v-prediction's square error, weighted 1 + 2 M' so that the product counts more.
Dropped conditions: the image encoder's pixels are set to zero, the text is empty.
"""

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from adloom.errors import ModelError
from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import token_ids
from training.conditions import fusion_of
from training.ema import MovingAverage
from training.latents import Batch, Bucket, draw_batch, load_buckets
from training.parallel import ALONE, Workers
from training.schedule import warmup_cosine
from training.threads import ThreadChooser

TRAINED = ("unet", "reference_unet", "text_encoder", "image_encoder", "resampler")
WEIGHTS, LOSSES = "state.safetensors", "loss.csv"


@dataclass(frozen=True, slots=True)
class Training:
    """How to train. batch: of each worker. Rates of dropped conditions: image alone, text alone,
    both. A run ends after `steps` or `max_minutes`, whichever comes first; the learning rate
    falls with the nearer end.
    channel_weighting: power of the latent channels' spread in the loss, 0 weighs them alike, 2
    as their pixels do."""

    steps: int = 20000
    batch: int = 16
    lr: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    drop_image: float = 0.10
    drop_text: float = 0.10
    drop_both: float = 0.05
    mask_weight: float = 2.0
    channel_weighting: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    max_minutes: float = 60.0
    save_minutes: float = 5.0
    log_every: int = 20
    bf16: bool = True
    threads: tuple[int, ...] = (2, 1)


class Trainer:
    """One run over encoded buckets: steps, checkpoints, the loss log in `folder`."""

    def __init__(
        self,
        pipeline: RefAdGenPipeline,
        buckets: list[Bucket],
        cfg: Training,
        folder: Path,
        workers: Workers = ALONE,
    ) -> None:
        torch.manual_seed(cfg.seed)
        self.pipeline, self.buckets, self.cfg, self.folder = pipeline, buckets, cfg, folder
        self.workers = workers
        folder.mkdir(parents=True, exist_ok=True)
        networks = [getattr(pipeline, name) for name in TRAINED]
        for network in networks:
            network.requires_grad_(True).train()
        pipeline.vae.requires_grad_(False)
        pipeline.reference_unet.freeze_unread()
        self.parameters = [p for n in networks for p in n.parameters() if p.requires_grad]
        self.ema = MovingAverage(self.parameters, cfg.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=cfg.lr, weight_decay=cfg.weight_decay, betas=(0.9, 0.99), fused=True
        )
        self.channel_weights = channel_weights(pipeline, cfg.channel_weighting)
        self.empty_ids = token_ids(pipeline.tokenizer, [""])
        self.step, self.seconds = 0, 0.0
        self._began = 0, 0.0

    def run(self) -> None:
        """Train to the end, saving on the way."""
        self._began = self.step, self.seconds
        clock, saved = time.monotonic() - self.seconds, time.monotonic()
        losses: list[float] = []
        threads = ThreadChooser(self.cfg.threads if self.workers.count == 1 else (1,))
        while (progress := self.workers.agree(self._progress())) < 1:
            threads.before_step()
            losses.append(self._advance(progress))
            self.seconds = time.monotonic() - clock
            if self.step % self.cfg.log_every == 0:
                self._log(losses, threads.current)
                losses = []
            if time.monotonic() - saved > 60 * self.cfg.save_minutes:
                self.save()
                saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Rank 0 writes a checkpoint to resume from, and the averaged weights as a pipeline in
        `ema/`."""
        if not self.workers.leads:
            return
        tensors = dict(self._optimizer_tensors())
        tensors |= {f"weight.{i}": p.detach() for i, p in enumerate(self.parameters)}
        tensors |= self.ema.state()
        # Step and weights lie in one file: no kill can part them.
        state = {"step": self.step, "seconds": self.seconds, "config": asdict(self.cfg)}
        metadata = {name: json.dumps(value) for name, value in state.items()}
        temporary = self.folder / f"{WEIGHTS}.tmp"
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)
        temporary.replace(self.folder / WEIGHTS)
        self.ema.swap()
        self.pipeline.save_pretrained(self.folder / "ema")
        self.ema.swap()

    def resume(self) -> None:
        """Continue from `folder`'s checkpoint; ModelError where it is damaged or does not fit."""
        step, seconds, tensors = read_checkpoint(self.folder)
        if sum(k.startswith("weight.") for k in tensors) != len(self.parameters):
            raise ModelError(
                "the checkpoint is of another configuration",
                where=str(self.folder / WEIGHTS),
                hint="resume with the configuration it was trained with",
            )
        self.step, self.seconds = step, seconds
        with torch.no_grad():
            for i, p in enumerate(self.parameters):
                p.copy_(tensors[f"weight.{i}"])
        self.ema.load(tensors, self.step)
        self._load_optimizer(tensors)

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """The weighted v-prediction error of a batch at random timesteps."""
        pipeline, cfg = self.pipeline, self.cfg
        ids, pixels = self._drop(batch, rng)
        noise = torch.from_numpy(rng.standard_normal(batch.ads.shape, np.float32))
        t = stratified_timesteps(len(ids), pipeline.scheduler.config.num_train_timesteps, rng)
        noisy = pipeline.scheduler.add_noise(batch.ads, noise, t)
        target = pipeline.scheduler.get_velocity(batch.ads, noise, t)
        # On a CPU the fused attention's backward pass is slower than plain matrix products.
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=cfg.bf16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            text = pipeline.text_encoder(ids).last_hidden_state
            fusion = fusion_of(pipeline, batch, pixels)
            predicted = pipeline.unet.predict(noisy, batch.masks, t, text, fusion)
        weight = 1 + cfg.mask_weight * batch.masks
        error = self.channel_weights * (predicted.float() - target).square()
        return (weight * error).mean() / weight.mean()

    def _drop(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        cfg = self.cfg
        draw = torch.from_numpy(rng.random(len(batch.ids)))
        both = draw < cfg.drop_both
        image = both | ((draw >= cfg.drop_both) & (draw < cfg.drop_both + cfg.drop_image))
        text = both | (draw >= 1 - cfg.drop_text)
        ids = torch.where(text[:, None], self.empty_ids, batch.ids)
        pixels = self.pipeline.encoder_pixels(batch.pixels)
        return ids, pixels * ~image[:, None, None, None]

    def _advance(self, progress: float) -> float:
        rate = self.cfg.lr * warmup_cosine(self.step, self.cfg.warmup, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Resuming draws the same batches; every worker draws its own.
        rng = np.random.default_rng([self.cfg.seed, self.step, *self._rank_seed()])
        loss = self.loss(draw_batch(self.buckets, self.cfg.batch, rng), rng)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.workers.average_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, self.cfg.clip)
        self.optimizer.step()
        self.ema.update()
        self.step += 1
        return self.workers.average(loss.detach())

    def _rank_seed(self) -> tuple[int, ...]:
        return () if self.workers.leads else (self.workers.rank,)

    def _progress(self) -> float:
        return max(self.step / self.cfg.steps, self.seconds / (60 * self.cfg.max_minutes))

    def _log(self, losses: list[float], threads: int) -> None:
        if not self.workers.leads:
            return
        path = self.folder / LOSSES
        row = self.step, round(self.seconds, 1), round(float(np.mean(losses)), 5)
        with path.open("a", newline="") as f:
            writer = csv.writer(f)
            if f.tell() == 0:
                writer.writerow(("step", "seconds", "loss"))
            writer.writerow(row)
        rate = (self.step - self._began[0]) / max(1e-9, self.seconds - self._began[1])
        samples = rate * self.cfg.batch * self.workers.count
        speed = f"{samples:.1f} samples/s, {self.workers.count} workers of {threads} threads"
        print(f"step {row[0]} {row[1]:.0f}s loss {row[2]:.4f}, {speed}", flush=True)

    def _optimizer_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for i, p in enumerate(self.parameters):
            for name, value in self.optimizer.state[p].items():
                yield f"adam.{i}.{name}", torch.as_tensor(value)

    def _load_optimizer(self, tensors: dict[str, Tensor]) -> None:
        for i, p in enumerate(self.parameters):
            found = {
                k.rsplit(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"adam.{i}.")
            }
            self.optimizer.state[p].update(found)


def read_checkpoint(folder: Path) -> tuple[int, float, dict[str, Tensor]]:
    """Steps taken, seconds spent, tensors; ModelError where there is none or it is damaged."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            state = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return int(json.loads(state["step"])), float(json.loads(state["seconds"])), tensors
    except FileNotFoundError as missing:
        raise ModelError(
            "no checkpoint to resume from", where=str(folder), hint="train without --resume"
        ) from missing
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"the checkpoint is damaged: {error}",
            where=str(path),
            hint="train without --resume, or from a copy of the checkpoint",
        ) from error


def train_worker(
    model: Path, encoded: Path, out: Path, cfg: Training, resume: bool, workers: Workers
) -> None:
    """One worker's run: the pipeline in `model`, the buckets in `encoded`, results to `out`."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    trainer = Trainer(pipeline, load_buckets(encoded), cfg, out, workers)
    if resume:
        trainer.resume()
    trainer.run()


def channel_weights(pipeline: RefAdGenPipeline, power: float) -> Tensor:
    """(1, C, 1, 1) of mean 1; ones for an autoencoder whose channels are not ranked."""
    if not isinstance(pipeline.vae, MiniAutoencoder):
        return torch.ones(1, 1, 1, 1)
    weights = pipeline.vae.channel_spread().float() ** power
    return (weights / weights.mean()).view(1, -1, 1, 1)


def stratified_timesteps(count: int, steps: int, rng: np.random.Generator) -> Tensor:
    """`count` timesteps in [0, steps), evenly spread from a random start: less variance than
    independent draws, the same distribution of each."""
    spread = (rng.random() + np.arange(count) / count) % 1.0
    return torch.from_numpy((rng.permutation(spread) * steps).astype(np.int64))
