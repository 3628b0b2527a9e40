"""The paper's equations in float64, written apart from the code under test."""

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Hidden = dict[str, Tensor]


def relative_error(made: Tensor | Array, expected: Tensor | Array) -> float:
    """The largest difference, as a share of the largest value."""
    a, b = (np.asarray(x, np.float64) for x in (made, expected))
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


class EquationOne:
    """eq. 1 as a processor of diffusers' plain attention, every product written out."""

    def __init__(self, k_ref: Tensor, v_ref: Tensor, hidden: Tensor, scale: float) -> None:
        self.k_ref, self.v_ref, self.hidden, self.scale = k_ref, v_ref, hidden, scale

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        assert encoder_hidden_states is None
        assert attention_mask is None
        assert temb is None or temb.ndim == 2
        x, r = hidden_states, self.hidden
        q = x @ attn.to_q.weight.T
        k, v = x @ attn.to_k.weight.T, x @ attn.to_v.weight.T
        k_ref, v_ref = r @ self.k_ref.T, r @ self.v_ref.T
        size = q.shape[-1] // attn.heads
        heads = []
        for h in range(attn.heads):
            part = slice(h * size, (h + 1) * size)
            own = torch.softmax(q[..., part] @ k[..., part].mT / size**0.5, -1)
            other = torch.softmax(q[..., part] @ k_ref[..., part].mT / size**0.5, -1)
            heads.append(own @ v[..., part] + self.scale * other @ v_ref[..., part])
        return torch.cat(heads, -1) @ attn.to_out[0].weight.T + attn.to_out[0].bias


def hidden_states(unet: UNet2DConditionModel, *args: object, **kwargs: object) -> Hidden:
    """What enters each attn1 of a plain U-Net that runs to its end, by forward hooks."""
    seen: Hidden = {}
    hooks = [
        module.register_forward_pre_hook(lambda _m, a, n=name: seen.__setitem__(n, a[0]))
        for name, module in unet.named_modules()
        if name.endswith(".attn1")
    ]
    with torch.no_grad():
        unet(*args, **kwargs)
    for hook in hooks:
        hook.remove()
    return seen


def fused(
    unet: UNet2DConditionModel, state: dict[str, Tensor], hidden: Hidden, scale: float
) -> UNet2DConditionModel:
    """A plain U-Net (float64) whose attn1 layers compute eq. 1 with the AFM weights of `state`."""
    for name, module in unet.named_modules():
        if name.endswith(".attn1"):
            k_ref, v_ref = (
                state[f"{name}.processor.to_{n}_ref.weight"].double() for n in ("k", "v")
            )
            module.set_processor(EquationOne(k_ref, v_ref, hidden[name].double(), scale))
    return unet


def convolution(x: Array, weight: Array, bias: Array) -> Array:
    """(B, C, H, W), kernel 3, padding 1."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(x), len(weight), height, width))
    for dy in range(3):
        for dx in range(3):
            part = padded[:, :, dy : dy + height, dx : dx + width]
            out += np.einsum("oc,bchw->bohw", weight[:, :, dy, dx], part)
    return out + bias[None, :, None, None]


def alpha_bars(zero_terminal_snr: bool) -> Array:
    """scaled_linear 0.00085 .. 0.012; rescaled as in algorithm 1 of arXiv 2305.08891."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    bars = np.cumprod(1 - betas)
    if not zero_terminal_snr:
        return bars
    roots = np.sqrt(bars)
    first, last = roots[0], roots[-1]
    return ((roots - last) * first / (first - last)) ** 2


def trailing(steps: int) -> list[int]:
    return [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]


def leading(steps: int) -> list[int]:
    """Offset by one, as the released sampler."""
    return [(steps - 1 - i) * (1000 // steps) + 1 for i in range(steps)]


def ddim_step(z: Array, output: Array, kind: str, alpha: float, alpha_next: float) -> Array:
    """Deterministic DDIM from alpha-bar to the next (less noisy) one."""
    if kind == "epsilon":
        noise = output
        clean = (z - np.sqrt(1 - alpha) * noise) / np.sqrt(alpha)
    else:
        clean = np.sqrt(alpha) * z - np.sqrt(1 - alpha) * output
        noise = np.sqrt(alpha) * output + np.sqrt(1 - alpha) * z
    return np.sqrt(alpha_next) * clean + np.sqrt(1 - alpha_next) * noise
