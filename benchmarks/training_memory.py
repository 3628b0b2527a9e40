"""What handing freed memory back to the kernel costs training on a CPU.

    python -m benchmarks.training_memory                       # mini at 128 px
    python -m benchmarks.training_memory --size 256 --batch 16 # mini-256's shapes

Two processes take turns at steps (forward, backward, optimizer) on samples drawn alike. returned:
as the C library does by itself; kept: as `python -m training` does (`models.device`). Faults: minor
page faults a step, each a page that the kernel clears.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from diffusers.utils import logging as diffusers_logging

from benchmarks.training_speed import seconds_of, trainer_of
from models.device import KEPT_IN_TRAINING, keep_freed_memory
from training.recipe import read_recipe

WAYS = ("returned", "kept")
STOP = "stop"


def serve(asked: Connection, way: str, size: int, batch: int) -> None:
    """Answers each message with a step's (seconds, page faults), until STOP."""
    diffusers_logging.set_verbosity_error()
    torch.set_num_threads(1)
    if way == "kept" and not keep_freed_memory(KEPT_IN_TRAINING):
        raise SystemExit("this C library has no setting for it")
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(size, read_recipe("mini", {"batch": batch}), Path(folder))
        while asked.recv() != STOP:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            seconds = seconds_of(lambda: trainer.take_step(0.5))
            asked.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, choices=(128, 256), default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    asking: dict[str, Connection] = {}
    for way in WAYS:
        asking[way], answering = context.Pipe()
        given = (answering, way, options.size, options.batch)
        context.Process(target=serve, args=given).start()
        answering.close()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    faults: dict[str, list[int]] = {way: [] for way in WAYS}
    for turn in range(options.rounds + 2):
        for way, asked in asking.items():
            asked.send("step")
            taken, faulted = asked.recv()
            if turn > 1:  # the first ones fill what is kept
                seconds[way].append(taken)
                faults[way].append(faulted)
    for asked in asking.values():
        asked.send(STOP)
    print(f"{options.size} px, batch {options.batch}, 1 thread")
    for way in WAYS:
        best = min(seconds[way])
        print(f"{way:8} {options.batch / best:6.1f} samples/s"
              f" (median {options.batch / median(seconds[way]):.1f})"
              f"  {best / min(seconds['returned']):.2f} x the time when returned,"
              f" {median(faults[way]):.0f} faults a step")  # fmt: skip
    report = {"benchmark": "training_memory", "size": options.size, "seconds": seconds}
    print(json.dumps(report | {"faults": faults}))


if __name__ == "__main__":
    main()
