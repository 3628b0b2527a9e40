"""How fast a CPU trains: attention's ways and precisions, taking turns at one shape's batches.

    python -m benchmarks.training_speed                       # mini at 128 px
    python -m benchmarks.training_speed --size 256 --batch 16 # mini-256's shapes

plain: matrix products (`models.refadgen.attention.attend`); math: torch's own plain way, which
computes in float32 and looks for rows without any key; fused: torch's fused kernel, for widths of
one size (values are filled up with zeros). All three compute in bfloat16 where the processor has it
(`training.precision`); float32 and bfloat16: plain, with the precision set. Samples are drawn; a
step is forward, backward and the optimizer, with mini's recipe. Off: how far the first step's
gradient is from float32's, as a share of it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.refadgen import attention
from models.refadgen.pipeline import RefAdGenPipeline
from training import precision
from training.latents import draw_batch, encode_shard
from training.objective import Objective
from training.recipe import Training, read_recipe
from training.shards import draw_and_write, drawing_pool, read_shards
from training.train import Trainer

WEIGHTS = Path(__file__).parents[1] / "weights"
PRECISIONS = ("float32", "bfloat16")
WAYS = ("plain", "math", "fused", *PRECISIONS)


@contextmanager
def computed(way: str) -> Iterator[None]:
    """The AFMs' attention one way, in the forward and in the backward pass, or all in a
    precision."""
    with ExitStack() as stack:
        if way == "math":
            stack.enter_context(patch.object(attention, "attend", _by_torch))
        if way == "fused":
            allowed = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
            stack.enter_context(patch.object(attention, "_is_trained_on_cpu", lambda _: False))
            stack.enter_context(
                patch.object(Objective, "attention", lambda _: sdpa_kernel(allowed))
            )
        if way in PRECISIONS:
            stack.enter_context(patch.object(precision, "has_bfloat16", lambda: way == "bfloat16"))
        yield


def _by_torch(
    q: Tensor, k: Tensor, v: Tensor, added: Tensor | None = None, scale: float | None = None
) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=scale)


def gradient(trainer: Trainer) -> Tensor:
    """Of one batch, always the same, all parameters' in one."""
    rng = np.random.default_rng(0)
    trainer.loss_and_gradients(draw_batch(trainer.buckets, trainer.cfg.batch, rng), rng)
    return torch.cat([p.grad.flatten() for p in trainer.parameters if p.grad is not None])


def trainer_of(size: int, recipe: Training, folder: Path, device: str = "cpu") -> Trainer:
    """On drawn samples of one native size, encoded on the device."""
    pipeline = RefAdGenPipeline.from_pretrained(
        WEIGHTS / "mini", reference_size=size, unit_scale=size // 128
    ).to(device)
    with drawing_pool(1, size // 128) as pool:
        pool.submit(draw_and_write, folder / "drawn", (size, size), 0, 32).result()
    shards = read_shards(folder / "drawn")
    buckets = [encode_shard(pipeline, shard).to(pipeline.device) for shard in shards]
    return Trainer(pipeline, buckets, recipe, folder / "run")


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def parser_of(
    doc: str | None, size: int = 128, batch: int = 32, rounds: int = 8
) -> argparse.ArgumentParser:
    """What benchmarks of training are asked for, with these defaults."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, choices=(128, 256), default=size)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def main() -> None:
    options = parser_of(__doc__).parse_args()
    diffusers_logging.set_verbosity_error()
    recipe = read_recipe("mini", {"batch": options.batch})
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    off: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(options.size, recipe, Path(folder))
        trainer.objective.cfg = replace(recipe, bf16=False)
        exact = gradient(trainer)
        trainer.objective.cfg = recipe
        for way in WAYS:
            with computed(way):
                off[way] = float((gradient(trainer) - exact).norm() / exact.norm())
        for turn in range(options.rounds + 1):
            for way in WAYS:
                with computed(way):
                    seconds = seconds_of(lambda: trainer.take_step(0.5))
                if turn:  # the first warms up
                    taken[way].append(seconds)
    print(f"{options.size} px, batch {options.batch}, {torch.get_num_threads()} threads")
    for way, times in taken.items():
        rate, ratio = options.batch / min(times), min(times) / min(taken["plain"])
        print(f"{way:8} {rate:6.1f} samples/s (median {options.batch / median(times):.1f})"
              f"  {ratio:.2f} x plain's time  off {off[way]:.3f}")  # fmt: skip
    print(json.dumps({"benchmark": "training_speed", "size": options.size, "seconds": taken}))


if __name__ == "__main__":
    main()
