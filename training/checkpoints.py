"""A run's state in one safetensors file: no kill can part step and weights.

Nothing else is random but what the seed and the step give (`Trainer.take_step`), and the learning
rate follows from the step: neither a scheduler nor a generator has a state of its own to keep.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from adloom.errors import ModelError
from training.ema import MovingAverage
from training.recipe import Training

WEIGHTS: Final = "state.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Steps taken, seconds spent, losses not yet logged, and the tensors by name."""

    step: int
    seconds: float
    losses: list[float]
    tensors: dict[str, Tensor]


def write_checkpoint(
    folder: Path,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
    cfg: Training,
    progress: tuple[int, float, list[float]],
) -> None:
    """progress: step, seconds, losses not yet logged."""
    tensors = {f"weight.{i}": p.detach() for i, p in enumerate(parameters)} | average.state()
    for i, parameter in enumerate(parameters):
        for name, value in optimizer.state[parameter].items():
            tensors[f"adam.{i}.{name}"] = torch.as_tensor(value)
    step, seconds, losses = progress
    state = {"step": step, "seconds": seconds, "losses": losses, "config": asdict(cfg)}
    metadata = {name: json.dumps(value) for name, value in state.items()}
    temporary = folder / f"{WEIGHTS}.tmp"
    save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)
    temporary.replace(folder / WEIGHTS)


def read_checkpoint(folder: Path) -> Checkpoint:
    """ModelError where there is none or it is damaged."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            state = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(
            int(json.loads(state["step"])),
            float(json.loads(state["seconds"])),
            [float(x) for x in json.loads(state.get("losses", "[]"))],
            tensors,
        )
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


@torch.no_grad()
def restore(
    checkpoint: Checkpoint,
    folder: Path,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
) -> None:
    """Puts everything back. ModelError where the checkpoint is of other parameters."""
    tensors = checkpoint.tensors
    shapes = [tensors[k].shape for k in (f"weight.{i}" for i in range(len(parameters)))
              if k in tensors]  # fmt: skip
    count = sum(k.startswith("weight.") for k in tensors)
    if count != len(parameters) or shapes != [p.shape for p in parameters]:
        raise ModelError(
            "the checkpoint is of another configuration",
            where=str(folder / WEIGHTS),
            hint="resume with the configuration it was trained with",
        )
    for i, parameter in enumerate(parameters):
        parameter.copy_(tensors[f"weight.{i}"])
        prefix = f"adam.{i}."
        found = {
            k.removeprefix(prefix): v.to(parameter.device)
            for k, v in tensors.items()
            if k.startswith(prefix)
        }
        optimizer.state[parameter].update(found)
    average.load(tensors, checkpoint.step)
