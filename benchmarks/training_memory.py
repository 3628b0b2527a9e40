"""What handing freed memory back to the kernel costs training on a CPU.

    python -m benchmarks.training_memory                       # mini at 128 px
    python -m benchmarks.training_memory --size 256 --batch 16 # mini-256's shapes

Two processes take turns at steps (forward, backward, optimizer) on samples drawn alike. returned:
as the C library does by itself; kept: as `python -m training` does (`models.device`). Faults: minor
page faults a step, each a page that the kernel clears.
"""

import json
import multiprocessing
import resource
import tempfile
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from diffusers.utils import logging as diffusers_logging

from benchmarks.training_speed import parser_of, seconds_of, trainer_of
from models.device import KEPT_IN_TRAINING, keep_freed_memory
from training.recipe import read_recipe

WAYS = ("returned", "kept")


def serve(asked: Connection, way: str, size: int, batch: int) -> None:
    """Answers each message with a step's (seconds, page faults), until nobody asks any more."""
    diffusers_logging.set_verbosity_error()
    torch.set_num_threads(1)
    if way == "kept":
        keep_freed_memory(KEPT_IN_TRAINING)
    with tempfile.TemporaryDirectory() as folder, suppress(EOFError):
        trainer = trainer_of(size, read_recipe("mini", {"batch": batch}), Path(folder))
        while asked.recv():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            seconds = seconds_of(lambda: trainer.take_step(0.5))
            asked.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))


def measured(
    size: int, batch: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """Each way's seconds and page faults of each step, after two that fill what is kept."""
    context = multiprocessing.get_context("spawn")
    asking: dict[str, Connection] = {}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    faults: dict[str, list[int]] = {way: [] for way in WAYS}
    try:
        for way in WAYS:
            asking[way], answering = context.Pipe()
            context.Process(target=serve, args=(answering, way, size, batch)).start()
            answering.close()
        for turn in range(rounds + 2):
            for way, asked in asking.items():
                asked.send(True)
                taken, faulted = asked.recv()
                if turn > 1:
                    seconds[way].append(taken)
                    faults[way].append(faulted)
    finally:
        for asked in asking.values():
            asked.close()
    return seconds, faults


def main() -> None:
    parser = parser_of(__doc__)
    options = parser.parse_args()
    if not keep_freed_memory():
        parser.exit(2, "this C library has no setting for it: glibc has\n")
    seconds, faults = measured(options.size, options.batch, max(options.rounds, 1))
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
