"""The AFM against an independent transcription of eq. 1, and what it must leave alone."""

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from numpy.typing import NDArray

from models.refadgen.attention import (
    Fusion,
    FusionProcessor,
    attend,
    other_attentions,
    self_attentions,
)
from models.refadgen.frames import fourier, generation_positions, reference_positions
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import UNET, randomise, small_unet

Array = NDArray[np.float64]


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def heads_of(x: Array, weight: Array, heads: int) -> Array:
    y = x @ weight.T
    return y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def phi_logits(u: Array, u_ref: Array, frequencies: int) -> Array:
    """sum_j cos(w_j du_x) + cos(w_j du_y), written out."""
    du = u[:, :, None, :] - u_ref[None, None]
    w = 2 * np.pi * np.array([2.0 ** (j - 2) for j in range(frequencies)])
    return np.cos(du[..., None] * w).sum((-1, -2))


def test_training_in_bfloat16_is_as_near_as_torchs_own_attention() -> None:
    """With logits as large as those of positions get; against float64."""
    generator = torch.Generator().manual_seed(1)
    q, k = (3 * torch.randn(2, 2, 64, 20, generator=generator).bfloat16() for _ in range(2))
    v = torch.randn(2, 2, 64, 16, generator=generator).bfloat16()
    exact = (q.double() @ k.double().mT * 0.3).softmax(-1) @ v.double()
    assert (q.double() @ k.double().mT * 0.3).abs().max() > 30
    trained = attend(q, k, v, scale=0.3)
    with torch.no_grad():
        rendered = attend(q, k, v, scale=0.3)
    off, own = (float((x.double() - exact).norm() / exact.norm()) for x in (trained, rendered))
    assert off < 0.03
    assert own < 0.03


@pytest.mark.parametrize("frequencies", [0, 5])
@pytest.mark.parametrize("scale", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("trained", [False, True])
def test_equals_equation_1_in_float64(frequencies: int, scale: float, trained: bool) -> None:
    unet = small_unet(frequencies)
    name, attn = next(iter(self_attentions(unet)))
    processor = unet.fusion_processors[name]
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 12, 16, generator=generator)
    reference = torch.randn(2, 16, 16, generator=generator)
    frames = torch.tensor([[10.0, 14.0, 30.0], [20.0, 8.0, 25.0]])
    u, u_ref = generation_positions(frames, 3, 4, 8.0), reference_positions(4)
    key, value = processor.project(reference, fourier(u_ref, frequencies) if frequencies else None)
    fusion = Fusion({name: key}, {name: value}, {12: fourier(u, frequencies)}, scale)
    with torch.set_grad_enabled(trained):
        made = attn(hidden, fusion=fusion).detach().numpy()

    w = {k: v.double().numpy() for k, v in attn.state_dict().items()}
    x, r, heads = hidden.double().numpy(), reference.double().numpy(), attn.heads
    q, k, v = (heads_of(x, w[f"to_{n}.weight"], heads) for n in "qkv")
    k_ref = heads_of(r, w["processor.to_k_ref.weight"], heads)
    v_ref = heads_of(r, w["processor.to_v_ref.weight"], heads)
    root = np.sqrt(q.shape[-1])
    logits = q @ k_ref.transpose(0, 1, 3, 2) / root
    if frequencies:
        near = phi_logits(u.double().numpy(), u_ref.double().numpy(), frequencies)
        logits += np.exp(w["processor.log_sharpness"])[None, :, None, None] * near[:, None]
    out = softmax(q @ k.transpose(0, 1, 3, 2) / root) @ v + scale * softmax(logits) @ v_ref
    out = out.transpose(0, 2, 1, 3).reshape(x.shape)
    expected = out @ w["to_out.0.weight"].T + w["to_out.0.bias"]

    assert np.abs(made - expected).max() <= 1e-5 * np.abs(expected).max()


def test_every_self_attention_has_an_afm_and_no_text_attention_has() -> None:
    unet = small_unet()
    layers = [name for name, _ in self_attentions(unet)]
    assert len(layers) == 7  # 1 down, 2 up per level, 1 in the middle
    assert all(isinstance(a.processor, FusionProcessor) for _, a in self_attentions(unet))
    assert not any(isinstance(a.processor, FusionProcessor) for _, a in other_attentions(unet))
    keys = [k for k in unet.state_dict() if k.endswith("attn1.processor.to_k_ref.weight")]
    assert [k.removesuffix(".processor.to_k_ref.weight") for k in keys] == layers


def test_reference_projections_start_from_the_layers_own() -> None:
    for _, attn in self_attentions(small_unet()):
        assert torch.equal(attn.processor.to_k_ref.weight, attn.to_k.weight)
        assert torch.equal(attn.processor.to_v_ref.weight, attn.to_v.weight)


@pytest.mark.parametrize("frequencies", [0, 5])
def test_without_lambda_and_mask_it_is_the_plain_unet(frequencies: int) -> None:
    torch.manual_seed(0)
    ours = small_unet(frequencies)
    plain = UNet2DConditionModel(in_channels=4, **UNET)
    state = {k: v for k, v in ours.state_dict().items() if ".processor." not in k}
    state["conv_in.weight"] = state["conv_in.weight"][:, :-1]
    plain.load_state_dict(state)
    z, text = torch.randn(2, 4, 8, 12), torch.randn(2, 5, 32)
    reference = {n: torch.randn(2, 16, a.to_k.in_features) for n, a in self_attentions(ours)}
    positions = ours.frame_positions(torch.tensor([[40.0, 30.0, 50.0]] * 2), (8, 12), 8)
    fusion = Fusion(*ours.project_references(reference), positions, scale=0.0)
    t = torch.tensor([3, 700])
    with torch.no_grad():
        made = ours.predict(z, torch.zeros(2, 1, 8, 12), t, text, fusion)
        assert torch.equal(made, plain(z, t, text).sample)
        with_reference = Fusion(fusion.keys, fusion.values, positions, scale=1.0)
        assert not torch.allclose(
            made, ours.predict(z, torch.zeros(2, 1, 8, 12), t, text, with_reference)
        )


def test_the_mask_says_nothing_at_first() -> None:
    unet = small_unet()
    z, text = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32)
    with torch.no_grad():
        without = unet.predict(z, torch.zeros(1, 1, 8, 8), 9, text, None)
        assert torch.equal(without, unet.predict(z, torch.ones(1, 1, 8, 8), 9, text, None))
        randomise(unet)
        without = unet.predict(z, torch.zeros(1, 1, 8, 8), 9, text, None)
        assert not torch.equal(without, unet.predict(z, torch.ones(1, 1, 8, 8), 9, text, None))


def test_no_layer_drops_the_argument_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    unet = small_unet()
    unet.predict(torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8), 9, torch.randn(1, 5, 32), None)
    assert not [r for r in caplog.records if "not expected" in r.message]


def test_position_logits_peak_where_reference_and_canvas_correspond() -> None:
    frame = torch.tensor([[70.0, 90.0, 64.0]])
    u = generation_positions(frame, 22, 16, 8.0)
    u_ref = reference_positions(16)
    logits = fourier(u, 5)[0] @ fourier(u_ref, 5).T
    inside = (u[0].abs() < 0.45).all(-1)
    distance = torch.cdist(u[0], u_ref)
    assert inside.sum() >= 25
    assert torch.equal(logits.argmax(-1)[inside], distance.argmin(-1)[inside]) or bool(
        (distance.gather(1, logits.argmax(-1, keepdim=True))[inside] <= 0.06).all()
    )


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    torch.manual_seed(0)
    unet, z, text = small_unet(), torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32)
    reference = {n: torch.randn(1, 16, a.to_k.in_features) for n, a in self_attentions(unet)}
    gradients: list[torch.Tensor] = []
    for checkpointed in (False, True):
        if checkpointed:
            unet.enable_gradient_checkpointing()
        fusion = Fusion(*unet.project_references(reference), {}, 1.0)
        unet.predict(z, torch.ones(1, 1, 8, 8), 500, text, fusion).square().sum().backward()
        assert unet.conv_in.weight.grad is not None
        gradients.append(unet.conv_in.weight.grad.clone())
        unet.zero_grad()
    assert torch.allclose(*gradients, atol=1e-4)


def test_configuration_survives_saving(tmp_path: object) -> None:
    unet = small_unet(4)
    randomise(unet)
    unet.save_pretrained(str(tmp_path))
    again = GenerationUNet.from_pretrained(str(tmp_path))
    assert again.config["position_frequencies"] == 4
    for (name, ours), theirs in zip(
        unet.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("layers", [1, 2])
def test_halves_are_one_only_until_they_have_read_their_text(layers: int) -> None:
    unet = small_unet(transformer_layers_per_block=layers).eval()
    randomise(unet)
    generator = torch.Generator().manual_seed(4)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    hidden = {
        n: drawn(4, 64 // 4 ** unet.level(n), p.to_k_ref.in_features)
        for n, p in unet.fusion_processors.items()
    }
    z, mask, text = drawn(2, 4, 8, 8), drawn(2, 1, 8, 8), drawn(4, 5, 32)
    with torch.no_grad():
        fusion = Fusion(*unet.project_references(hidden), {}, 1.0)
        together = unet.predict(z, mask, 500, text, fusion)
        apart = unet.predict(torch.cat([z, z]), torch.cat([mask, mask]), 500, text, fusion)
    assert float((together - apart).abs().max()) <= 1e-5
