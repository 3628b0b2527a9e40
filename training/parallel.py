"""Data-parallel training on one machine's cores: a process per worker, one thread each.

Two workers of one thread train faster than one of two threads: the networks' many small operations
do not wait for each other.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Workers:
    """This process among the `count` that train together; rank 0 logs and saves."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def agree(self, value: float) -> float:
        """Rank 0's `value`, for everyone."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(shared, src=0)
        return float(shared)

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Every parameter's gradient becomes the workers' mean; no gradient counts as zero."""
        if self.count == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        together = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(together)
        together /= self.count
        for p, mean in zip(
            parameters, together.split([p.numel() for p in parameters]), strict=True
        ):
            p.grad = mean.view_as(p)

    @torch.no_grad()
    def average(self, value: Tensor) -> float:
        """The workers' mean of a scalar."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
        return float(value) / self.count


ALONE = Workers()


def run_together(count: int, work: Callable[[Workers], None]) -> None:
    """`work` in `count` processes; in this one if there is but one. It must be picklable. An
    error in one of them ends all and is raised here."""
    if count == 1:
        work(ALONE)
        return
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_join, (count, Path(folder) / "meet", work), nprocs=count)  # pyright: ignore[reportPrivateImportUsage]


def _join(rank: int, count: int, meeting: Path, work: Callable[[Workers], None]) -> None:
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=count)
    try:
        work(Workers(rank, count))
    finally:
        dist.destroy_process_group()
