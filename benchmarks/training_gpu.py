"""How fast a GPU trains: ways of taking a step, in turns, on one batch's shape.

    python -m benchmarks.training_gpu                        # mini-256's shapes, batches of 256
    python -m benchmarks.training_gpu --size 128 --batch 512

launched: every kernel by the CPU, norms as autocast has them (float32); recorded: loss and
gradients as a CUDA graph (`training.recorded`); lean: recorded, norms that keep bfloat16
(`training.lean_norms`). Off: how far one batch's gradient is from launched's, as a share of it.
"""

import json
import tempfile
import time
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from benchmarks.training_speed import gradient, parser_of, trainer_of
from training.recipe import read_recipe
from training.train import Trainer

WAYS = {"launched": (False, False), "recorded": (True, False), "lean": (True, True)}
"""cuda_graphs and lean_norms."""


def seconds_of(trainer: Trainer, steps: int) -> float:
    """A step's, of so many."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(steps):
        trainer.take_step(0.5)
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def main() -> None:
    parser = parser_of(__doc__, size=256, batch=256, rounds=4)
    parser.add_argument("--steps", type=int, default=5, help="of each way in each round")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(2, "no GPU: `python -m benchmarks.training_speed` measures a CPU\n")
    diffusers_logging.set_verbosity_error()
    trainers: dict[str, Trainer] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, (recorded, lean) in WAYS.items():
            changes = {"batch": options.batch, "cuda_graphs": recorded, "lean_norms": lean}
            recipe = read_recipe("gpu", changes)
            trainers[way] = trainer_of(options.size, recipe, Path(folder) / way, "cuda")
        first = {way: gradient(trainer) for way, trainer in trainers.items()}
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(options.rounds + 1):
            for way, trainer in trainers.items():
                seconds = seconds_of(trainer, options.steps)
                if turn:  # the first warms up
                    taken[way].append(seconds)
    print(f"{options.size} px, batch {options.batch}, {torch.cuda.get_device_name()}")
    for way, times in taken.items():
        off = float((first[way] - first["launched"]).norm() / first["launched"].norm())
        rate, ratio = options.batch / min(times), min(times) / min(taken["launched"])
        print(f"{way:9} {min(times) * 1e3:6.1f} ms  {rate:7.0f} samples/s"
              f"  {ratio:.2f} x launched's time  off {off:.3f}")  # fmt: skip
    print(json.dumps({"benchmark": "training_gpu", "size": options.size, "seconds": taken}))


if __name__ == "__main__":
    main()
