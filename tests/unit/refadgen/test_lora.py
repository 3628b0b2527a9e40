"""A LoRA in the layouts of the published ones, fused into the Generation U-Net."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from adloom.errors import ModelError
from models.refadgen.attention import Fusion
from models.refadgen.lora import Lora, fuse
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import small_unet

RANK, ALPHA = 4, 2.0
ENDS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
        "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv",
        "time_emb_proj")  # fmt: skip


def targets(unet: GenerationUNet) -> dict[str, nn.Module]:
    """The layers that LCM-LoRA and Hyper-SD's change."""
    return {n: m for n, m in unet.named_modules() if n.endswith(ENDS)}


def drawn(unet: GenerationUNet) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) by layer, in the shapes that trainers save."""
    generator = torch.Generator().manual_seed(0)
    made: dict[str, tuple[Tensor, Tensor]] = {}
    for name, layer in targets(unet).items():
        rows, columns, *kernel = layer.weight.shape  # pyright: ignore[reportGeneralTypeIssues]
        ones = [1] * len(kernel)
        down = torch.randn(RANK, columns, *kernel, generator=generator) * 0.1
        made[name] = down, torch.randn(rows, RANK, *ones, generator=generator) * 0.1
    return made


def saved(tensors: dict[str, Tensor], folder: Path) -> Lora:
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "lora.safetensors")
    return Lora(folder / "lora.safetensors")


def kohya(parts: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    keys: dict[str, Tensor] = {}
    for name, (down, up) in parts.items():
        base = "lora_unet_" + name.replace(".", "_")
        keys[f"{base}.lora_down.weight"] = down
        keys[f"{base}.lora_up.weight"] = up
        keys[f"{base}.alpha"] = torch.tensor(ALPHA)
    return keys


def predicted(unet: GenerationUNet) -> Tensor:
    torch.manual_seed(1)
    z, text = torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32)
    hidden = {
        n: torch.randn(1, 16, p.to_k_ref.in_features) for n, p in unet.fusion_processors.items()
    }
    with torch.no_grad():
        fusion = Fusion(*unet.project_references(hidden), {}, 1.0)
        return unet.predict(z, torch.ones(1, 1, 8, 8), 500, text, fusion)


def twin() -> GenerationUNet:
    torch.manual_seed(0)
    return small_unet().eval()


def test_the_fused_network_is_the_one_with_low_rank_branches(tmp_path: Path) -> None:
    """Against hooks that add (alpha / r) up(down(x)) to each layer's output."""
    unet, branched = twin(), twin()
    parts = drawn(unet)
    assert fuse(unet, saved(kohya(parts), tmp_path)) == len(parts) >= 60
    for name, layer in targets(branched).items():
        down, up = parts[name]
        if isinstance(layer, nn.Conv2d):
            low = nn.Conv2d(layer.in_channels, RANK, layer.kernel_size, layer.stride, layer.padding,
                            bias=False)  # fmt: skip
            high: nn.Module = nn.Conv2d(RANK, layer.out_channels, 1, bias=False)
        else:
            low, high = (
                nn.Linear(*reversed(down.shape), bias=False),
                nn.Linear(*reversed(up.shape), bias=False),
            )
        low.weight.data, high.weight.data = down, up  # pyright: ignore[reportAttributeAccessIssue]
        layer.register_forward_hook(
            lambda _m, given, out, low=low, high=high: out + ALPHA / RANK * high(low(given[0]))
        )
    made, expected = predicted(unet), predicted(branched)
    assert float((made - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    assert not torch.allclose(made, predicted(twin()), atol=1e-3)


def test_both_layouts_are_the_same_and_the_afms_stay(tmp_path: Path) -> None:
    first, second, before = twin(), twin(), twin()
    parts = drawn(first)
    peft = {f"unet.{n}.lora_A.weight": ALPHA / RANK * down for n, (down, _) in parts.items()}
    peft |= {f"unet.{n}.lora_B.weight": up for n, (_, up) in parts.items()}
    fuse(first, saved(kohya(parts), tmp_path))
    fuse(second, saved(peft, tmp_path))
    for (name, a), b, old in zip(
        first.state_dict().items(),
        second.state_dict().values(),
        before.state_dict().values(),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-6), name
        if ".processor." in name:
            assert torch.equal(a, old)


def test_conv_in_leaves_the_masks_channel_alone(tmp_path: Path) -> None:
    unet, before = twin(), twin()
    down, up = torch.randn(RANK, 4, 3, 3), torch.randn(16, RANK, 1, 1)
    keys = {"lora_unet_conv_in.lora_down.weight": down, "lora_unet_conv_in.lora_up.weight": up}
    fuse(unet, saved(keys, tmp_path))
    assert torch.equal(unet.conv_in.weight[:, 4], before.conv_in.weight[:, 4])
    assert not torch.equal(unet.conv_in.weight[:, :4], before.conv_in.weight[:, :4])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lora_unet_nowhere.lora_down.weight": (4, 4), "lora_unet_nowhere.lora_up.weight": (4, 4)},
         "layers this U-Net has not: nowhere"),
        ({"lora_unet_conv_out.lora_down.weight": (4, 16, 3, 3)}, "lacks its lora_up"),
        ({"lora_unet_conv_out.lora_down.weight": (4, 9, 3, 3),
          "lora_unet_conv_out.lora_up.weight": (4, 4, 1, 1)}, "conv_out is"),
        ({"lora_te_text_model.lora_down.weight": (4, 4)}, "no LoRA of a U-Net alone"),
        ({"something.else": (2, 2)}, "no LoRA of a U-Net alone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(
    keys: dict[str, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    unet, before = twin(), twin()
    with pytest.raises(ModelError, match=message):
        fuse(unet, saved({k: torch.ones(s) for k, s in keys.items()}, tmp_path))
    for a, b in zip(unet.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "not.safetensors").write_text("no")
    for path in (tmp_path / "not.safetensors", tmp_path / "missing.safetensors"):
        with pytest.raises(ModelError):
            fuse(twin(), Lora(path))
    with pytest.raises(ModelError, match="cannot be read"):
        Lora(tmp_path / "missing.safetensors").identity("0")


def test_the_lora_is_part_of_the_weights_identity(tmp_path: Path) -> None:
    lora = saved(kohya(drawn(twin())), tmp_path)
    assert lora.identity("w") != "w"
    assert lora.identity("w") == Lora(lora.path).identity("w")
    assert lora.identity("w") != Lora(lora.path, 0.5).identity("w")
    assert lora.identity("w") != lora.identity("v")
