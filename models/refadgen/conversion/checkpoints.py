"""Files of tensors, read without running code, and names and shapes compared before anything loads.

A `.bin` or `.pt` file is a pickle, and a pickle may run any code it likes: torch reads tensors and
plain containers from it (`weights_only`) and we refuse what needs more.
"""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from adloom.errors import CheckpointError, ModelError

NAMED_AT_MOST = 20

Network = TypeVar("Network", bound=nn.Module)


def read_tensors(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds: tensors by name, perhaps in named groups.

    ModelError for files that cannot be read or that would have to run code.
    """
    if not path.is_file():
        raise ModelError("no such file", where=str(path), hint="check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        mapped = zipfile.is_zipfile(path)  # older files cannot be mapped into memory
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "a pickle that needs code to be read, which is never run here",
            where=str(path),
            hint="convert it to safetensors where you trust its origin",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(
            f"cannot be read: {error}", where=str(path), hint="get the file again"
        ) from error
    if not isinstance(held, Mapping):
        raise ModelError(
            f"holds a {type(held).__name__}, not tensors by name",
            where=str(path),
            hint="give a checkpoint (state dict)",
        )
    return dict(held)


@dataclass(frozen=True, slots=True)
class KeyProblems:
    """How tensors by name differ from what is expected: names, misshapen ones with both shapes."""

    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.misshapen)

    def __str__(self) -> str:
        named = (
            ("missing", self.missing),
            ("surplus", self.surplus),
            ("misshapen", self.misshapen),
        )
        return "; ".join(f"{len(n)} {kind}: {_some(n)}" for kind, n in named if n)


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> KeyProblems:
    """By name and shape; the tensors' values are not looked at."""
    both = sorted(found.keys() & expected.keys())
    return KeyProblems(
        tuple(sorted(expected.keys() - found.keys())),
        tuple(sorted(found.keys() - expected.keys())),
        tuple(
            f"{n} {tuple(found[n].shape)} instead of {tuple(expected[n].shape)}"
            for n in both
            if found[n].shape != expected[n].shape
        ),
    )


def check_keys(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """CheckpointError listing what is missing, surplus and misshapen, by name."""
    problems = compare(found, expected)
    if problems:
        raise CheckpointError(
            str(problems), where=where, hint="is it a checkpoint of this network and this base?"
        )


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Puts the tensors in place of the network's own, which may have shapes alone (`meta`).

    CheckpointError lists what does not fit.
    """
    check_keys(state, network.state_dict(), where)
    network.load_state_dict(dict(state), assign=True)


def in_dtype(network: Network, dtype: torch.dtype) -> Network:
    """The network with its weights in `dtype`. diffusers' own `.to(dtype)` warns of layers to be
    kept in float32 where there are none."""
    nn.Module.to(network, dtype)
    return network


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
