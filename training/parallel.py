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
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available
from torch import Tensor, nn

from adloom.errors import ModelError
from models.device import KEPT_IN_TRAINING, keep_freed_memory


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
            if p.grad is None:
                p.grad = mean.view_as(p)
            else:  # in place: a recorded loss writes there again (`training.recorded`)
                p.grad.copy_(mean.view_as(p))

    @torch.no_grad()
    def average(self, value: Tensor) -> Tensor:
        """The workers' mean of a scalar, where it is: nothing waits for a GPU."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value / self.count


ALONE = Workers()


def accelerator_of(workers: Workers, tracked: Path | None = None) -> tuple[Accelerator, Workers]:
    """The device to train on and the workers it is trained with: those of `run_together`, else of
    `accelerate launch`, else this process alone. tracked: where TensorBoard's events go.

    ModelError where TensorBoard is asked for and not installed.
    """
    options: dict[str, Any] = {}
    if tracked is not None:
        if not is_tensorboard_available():
            raise ModelError(
                "TensorBoard is not installed", hint="pip install 'adloom[tensorboard]'"
            )
        options = {"log_with": "tensorboard", "project_dir": str(tracked)}
    # Those of `run_together` are of this machine's cores.
    accelerator = Accelerator(cpu=workers.count > 1, **options)
    if tracked is not None:
        accelerator.init_trackers("tensorboard")
    return accelerator, Workers(accelerator.process_index, accelerator.num_processes)


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
    keep_freed_memory(KEPT_IN_TRAINING)
    dist.init_process_group("gloo", init_method=meeting.as_uri(), rank=rank, world_size=count)
    # accelerate looks here before it asks the process group.
    local = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in local.items()} | {"OMP_NUM_THREADS": "1"}
    try:
        work(Workers(rank, count))
    finally:
        if dist.is_initialized():  # accelerate's end_training() leaves none
            dist.destroy_process_group()
