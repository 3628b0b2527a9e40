"""IP-Adapter-Plus' Resampler -> ours. Its release has our names; diffusers' copy has others."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adloom.errors import CheckpointError
from models.refadgen.conversion.checkpoints import load_exactly, read_tensors
from models.refadgen.resampler import Resampler

IMAGE_PROJECTION = "image_proj"
HEAD_DIM = 64  # of every released IP-Adapter-Plus; no shape tells it

DIFFUSERS_NAMES = {
    "ln0": "0.norm1",
    "ln1": "0.norm2",
    "attn.to_q": "0.to_q",
    "attn.to_k": "0.to_kv",  # the upper half
    "attn.to_v": "0.to_kv",  # the lower half
    "attn.to_out.0": "0.to_out",
    "ff.0": "1.0",
    "ff.1.net.0.proj": "1.1",
    "ff.1.net.2": "1.3",
}
"""Within a layer: the name in diffusers' IPAdapterPlusImageProjection -> ours."""

_LAYER = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")


def read_resampler(path: Path, head_dim: int = HEAD_DIM) -> Resampler:
    """The Resampler of an IP-Adapter-Plus file, `.bin` or `.safetensors`.

    CheckpointError for other adapters, ModelError for files that cannot be read.
    """
    return resampler_of(image_projection(read_tensors(path)), str(path), head_dim)


def image_projection(held: Mapping[str, Any]) -> dict[str, Tensor]:
    """An IP-Adapter file's image projection: a group of its own, or a prefix, or all there is."""
    if isinstance(held.get(IMAGE_PROJECTION), Mapping):
        return dict(held[IMAGE_PROJECTION])
    prefix = f"{IMAGE_PROJECTION}."
    prefixed = {k.removeprefix(prefix): v for k, v in held.items() if k.startswith(prefix)}
    return prefixed or dict(held)


def resampler_of(state: Mapping[str, Tensor], where: str, head_dim: int = HEAD_DIM) -> Resampler:
    """A Resampler with these weights, its sizes read from their shapes; either naming.

    CheckpointError lists what is missing, surplus or misshapen.
    """
    ours = from_diffusers_names(state)
    with torch.device("meta"):
        resampler = Resampler(**sizes_of(ours, where, head_dim))
    load_exactly(resampler, ours, where)
    return resampler


def from_diffusers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under our names; those that have them already stay as they are."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        match = _LAYER.fullmatch(name)
        inner = match and DIFFUSERS_NAMES.get(match[2])
        if not match or not inner:
            renamed[name] = tensor
        elif match[2] == "attn.to_k":
            below = state.get(name.replace("attn.to_k", "attn.to_v"))
            halves = [tensor] if below is None else [tensor, below]
            renamed[f"layers.{match[1]}.{inner}.{match[3]}"] = torch.cat(halves)
        elif match[2] != "attn.to_v":
            renamed[f"layers.{match[1]}.{inner}.{match[3]}"] = tensor
    return renamed


def sizes_of(state: Mapping[str, Tensor], where: str, head_dim: int = HEAD_DIM) -> dict[str, int]:
    """The Resampler's configuration, by the shapes of its weights (our names)."""
    telling = ("latents", "proj_in.weight", "proj_out.weight", "layers.0.0.to_q.weight")
    missing = [n for n in (*telling, "layers.0.1.1.weight") if n not in state]
    if missing:
        raise CheckpointError(
            f"no Resampler: it lacks {', '.join(missing)}",
            where=where,
            hint="give an IP-Adapter-Plus, such as models/ip-adapter-plus_sd15.bin",
        )
    _, queries, dim = state["latents"].shape
    layers = {m[1] for m in map(_LAYER.fullmatch, state) if m}
    return {
        "dim": dim,
        "depth": len(layers),
        "dim_head": head_dim,
        "heads": state["layers.0.0.to_q.weight"].shape[0] // head_dim,
        "num_queries": queries,
        "embedding_dim": state["proj_in.weight"].shape[1],
        "output_dim": state["proj_out.weight"].shape[0],
        "ff_mult": state["layers.0.1.1.weight"].shape[0] // dim,
    }
