"""A LoRA of Stable Diffusion's U-Net, such as one for few steps (LCM, TCD, Hyper-SD), fused in.

W <- W + s * (alpha / r) * up @ down, for every layer that the file names, in either of the two
layouts in use: kohya's (`lora_unet_down_blocks_0_…_to_q.lora_down.weight`, `.alpha`) and peft's
(`unet.down_blocks.0.….to_q.lora_A.weight`). Fused, it costs nothing per step, and the AFMs, which
no such file knows, stay as they are.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from adloom.errors import ModelError
from models.refadgen.unet import GenerationUNet

_ENDS = {
    ".lora_down.weight": "down", ".lora_up.weight": "up", ".alpha": "alpha",
    ".lora_A.weight": "down", ".lora_B.weight": "up",
    ".lora.down.weight": "down", ".lora.up.weight": "up",
}  # fmt: skip
_BEGINNINGS = ("lora_unet_", "unet.", "base_model.model.")
NAMED = 5  # of the keys that do not fit, in an error


@dataclass(frozen=True, slots=True)
class Lora:
    """A file of one, and how strongly it is fused in."""

    path: Path
    strength: float = 1.0

    def identity(self, weights: str) -> str:
        """The hash of `weights` (hex) with this LoRA in them: part of every fingerprint.

        ModelError for a file that cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise _unusable(self.path, f"cannot be read: {error.strerror or error}") from error
        file = hashlib.sha256(content).hexdigest()
        return hashlib.sha256(f"{weights} lora {file} {self.strength!r}".encode()).hexdigest()


@torch.no_grad()
def fuse(unet: GenerationUNet, lora: Lora) -> int:
    """Adds the LoRA to the U-Net's weights; the number of layers that it changed.

    ModelError for a file that cannot be read, that names layers the U-Net does not have or of other
    shapes, or that holds NaN: then nothing has been changed.
    """
    if not math.isfinite(lora.strength):
        raise _unusable(lora.path, f"strength {lora.strength}")
    layers = {n.replace(".", "_"): m for n, m in unet.named_modules() if _has_weight(m)}
    parts = _parts(lora.path)
    unknown = sorted(name for name in parts if name not in layers)
    if unknown:
        raise _unusable(lora.path, f"names layers this U-Net has not: {_some(unknown)}")
    deltas = {n: _delta(lora.path, n, p, layers[n]) for n, p in parts.items()}
    for name, delta in deltas.items():
        weight = layers[name].weight
        assert isinstance(weight, Tensor)
        weight.copy_((weight.float() + lora.strength * delta.to(weight.device)).to(weight.dtype))
    return len(deltas)


def _parts(path: Path) -> dict[str, dict[str, Tensor]]:
    """down, up and alpha by the layer's name, its dots as underscores."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"is no safetensors file: {error}") from error
    parts: dict[str, dict[str, Tensor]] = {}
    strange: list[str] = []
    for key, tensor in tensors.items():
        end = next((e for e in _ENDS if key.endswith(e)), None)
        if end is None or key.startswith(("lora_te", "text_encoder")):
            strange.append(key)
            continue
        name = key.removesuffix(end)
        for beginning in _BEGINNINGS:
            name = name.removeprefix(beginning)
        parts.setdefault(name.replace(".", "_"), {})[_ENDS[end]] = tensor.float()
    if strange or not parts:
        raise _unusable(path, f"is no LoRA of a U-Net alone: {_some(sorted(strange)) or 'empty'}")
    return parts


def _delta(path: Path, name: str, parts: dict[str, Tensor], layer: nn.Module) -> Tensor:
    """(alpha / r) up @ down in the shape of the layer's weight, float32."""
    if not {"down", "up"} <= parts.keys():
        raise _unusable(path, f"{name} lacks its lora_{'up' if 'down' in parts else 'down'}")
    down, up = parts["down"], parts["up"]
    rank = down.shape[0]
    scale = float(parts["alpha"]) / rank if "alpha" in parts else 1.0
    weight = layer.weight
    assert isinstance(weight, Tensor)
    fits = up.shape[1] == rank and up.shape[0] == weight.shape[0]
    if not fits:
        raise _unusable(path, f"{name}: {tuple(up.shape)} x {tuple(down.shape)} do not fit")
    delta = scale * (up.flatten(1) @ down.flatten(1)).reshape(len(up), *down.shape[1:])
    if delta.ndim != weight.ndim:
        delta = delta.reshape(*delta.shape[:2], *([1] * (weight.ndim - 2)))
    missing = weight.shape[1] - delta.shape[1]
    if name == "conv_in" and missing == 1:  # it does not know the mask's channel
        delta = F.pad(delta, (0, 0, 0, 0, 0, 1))
    if delta.shape != weight.shape:
        raise _unusable(path, f"{name} is {tuple(delta.shape)}, here {tuple(weight.shape)}")
    if not bool(torch.isfinite(delta).all()):
        raise _unusable(path, f"{name} holds NaN or infinite values")
    return delta


def _has_weight(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _unusable(path: Path, message: str) -> ModelError:
    return ModelError(
        message,
        where=str(path),
        hint="give a LoRA for the U-Net of the weights' own base, such as LCM-, TCD- or "
        "Hyper-SD-LoRA for Stable Diffusion 1.5",
    )
