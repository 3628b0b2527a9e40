"""Memory layout and compilation leave the pictures as they are."""

import shutil

import pytest
import torch
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.acceleration import Acceleration, accelerate, check_acceleration
from models.refadgen.attention import Fusion
from models.refadgen.forward import forward
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import randomise, small_pipeline, small_unet

ONE_LEVEL = {
    "block_out_channels": (16,),
    "down_block_types": ("CrossAttnDownBlock2D",),
    "up_block_types": ("CrossAttnUpBlock2D",),
    "attention_head_dim": 2,
}


def predicted(unet: GenerationUNet) -> Tensor:
    torch.manual_seed(1)
    hidden = {
        n: torch.randn(2, 64, p.to_k_ref.in_features) for n, p in unet.fusion_processors.items()
    }
    z, text = torch.randn(1, 4, 8, 8), torch.randn(2, 5, 32)
    with torch.no_grad():
        fusion = Fusion(*unet.project_references(hidden), {}, 1.0)
        return unet.predict(z, torch.ones(1, 1, 8, 8), torch.tensor(500), text, fusion)


def rendered(pipeline: RefAdGenPipeline) -> Tensor:
    features = pipeline.encode_references(torch.full((1, 3, 64, 64), 0.3))
    frame = torch.tensor([[32.0, 32.0, 40.0]])
    return pipeline.render(["a"], [""], features, torch.ones(1, 1, 64, 64), frame, [1], steps=3)


def test_channels_last_gives_the_same_picture() -> None:
    made = small_pipeline()
    randomise(made.unet)
    exact = rendered(made)
    assert made.accelerate(Acceleration(channels_last=True)) is made
    weight = made.unet.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(rendered(made), exact, atol=1e-4)


def test_the_forward_is_one_graph() -> None:
    """Nothing in it sends torch.compile back to Python."""
    unet = small_unet(**ONE_LEVEL).eval().requires_grad_(False)
    exact = predicted(unet)
    traced = torch.compile(forward, dynamic=False, fullgraph=True, backend="eager")
    unet.run_by(traced)
    assert torch.allclose(predicted(unet), exact, atol=1e-6)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_code_gives_the_same_prediction() -> None:
    unet = small_unet(**ONE_LEVEL).eval().requires_grad_(False)
    exact = predicted(unet)
    accelerate(unet, (), Acceleration(compile="default"))
    made = predicted(unet)
    assert float((made - exact).abs().max()) <= 1e-5 * float(exact.abs().max())
    accelerate(unet, (), Acceleration())
    assert torch.equal(predicted(unet), exact)


@pytest.mark.parametrize(
    ("kind", "device", "message"),
    [("fast", "cpu", "no compilation 'fast'"), ("reduce-overhead", "cpu", "CUDA graphs need")],
)
def test_what_is_not_to_be_had_is_named(kind: str, device: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_acceleration(Acceleration(compile=kind), device)  # pyright: ignore[reportArgumentType]


def test_without_a_compiler_compilation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelError, match=r"C\+\+ compiler"):
        check_acceleration(Acceleration(compile="default"), "cpu")
    check_acceleration(Acceleration(channels_last=True), "cpu")
