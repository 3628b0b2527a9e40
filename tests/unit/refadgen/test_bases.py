"""Any of diffusers' text-to-image U-Nets: what is found in it, what is frozen, what is refused."""

from typing import Any

import pytest
import torch

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.added import TextTime, pooled_size
from models.refadgen.reference import ReferenceUNet, last_to_run
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.bases import BASES, SIZE, layer_names, text_time, unets
from tests.unit.refadgen.conftest import UNET

each_base = pytest.mark.parametrize("base", BASES)


@each_base
def test_what_gets_no_gradient_is_frozen_and_nothing_else(base: str) -> None:
    _, reference = unets(base)
    reference.requires_grad_(True).freeze_unread()
    tokens = torch.randn(1, 3, BASES[base]["cross_attention_dim"])
    hidden = reference.capture(torch.randn(1, 4, 16, 16), tokens, text_time(base, 1))
    torch.stack([h.square().sum() for h in hidden.values()]).sum().backward()
    for name, parameter in reference.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    frozen = {n for n, p in reference.named_parameters() if not p.requires_grad}
    assert {"conv_out.weight", "conv_norm_out.weight"} <= frozen
    assert f"{layer_names(reference)[0]}.to_q.weight" not in frozen


@pytest.mark.parametrize(
    ("layers", "last"),
    [
        (["down_blocks.0.a", "up_blocks.0.a", "up_blocks.1.b", "mid_block.a"], "up_blocks.1.b"),
        (["down_blocks.0.a", "mid_block.a", "mid_block.b"], "mid_block.b"),
        (["down_blocks.0.a", "down_blocks.1.a"], "down_blocks.1.a"),
    ],
)
def test_the_last_layer_to_run_is_found_by_the_order_of_the_blocks(
    layers: list[str], last: str
) -> None:
    assert last_to_run(layers) == last


def test_a_unet_that_attends_only_in_its_middle_is_read_there() -> None:
    config = {
        **UNET,
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
    }
    reference = ReferenceUNet(in_channels=4, **config)
    hidden = reference.capture(torch.randn(1, 4, 8, 8), torch.randn(1, 3, 32))
    assert list(hidden) == ["mid_block.attentions.0.transformer_blocks.0.attn1"]


def test_layers_that_look_at_the_text_alone_are_no_self_attention() -> None:
    config = {**UNET, "only_cross_attention": (True, False)}
    unet = GenerationUNet(in_channels=5, **config)
    assert not any(n.startswith("down_blocks.0") for n in layer_names(unet))
    assert any(n.startswith("down_blocks.1") for n in layer_names(unet))
    z, mask = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    assert unet.predict(z, mask, 3, torch.randn(1, 5, 32), None).shape == (1, 4, 8, 8)


@pytest.mark.parametrize("network", [GenerationUNet, ReferenceUNet])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {
                "down_block_types": ("DownBlock2D", "DownBlock2D"),
                "up_block_types": ("UpBlock2D", "UpBlock2D"),
                "mid_block_type": None,
            },
            "no self-attention layer",
        ),
        ({"num_class_embeds": 10}, "num_class_embeds is 10"),
        (
            {
                "addition_embed_type": "image",
                "encoder_hid_dim": 8,
                "cross_attention_dim": 32,
            },
            "addition_embed_type 'image'",
        ),
    ],
)
def test_configurations_that_cannot_work_are_refused(
    network: type, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        network(in_channels=5, **{**UNET, **changed})


def test_the_pooled_size_is_read_from_the_configuration() -> None:
    generation, reference = unets("sdxl")
    assert (pooled_size(generation.config), pooled_size(reference.config)) == (10, 10)
    assert pooled_size(unets("sd15")[0].config) == 0


@pytest.mark.parametrize(
    ("base", "added", "message"),
    [
        ("sdxl", None, r"added: .*needs pooled text embeddings .*\(1, 10\).*\(1, 6\)"),
        ("sdxl", TextTime(torch.zeros(1, 9), torch.zeros(1, 6)), r"added: pooled \(1, 9\)"),
        ("sdxl", TextTime(torch.zeros(2, 10), torch.zeros(2, 6)), r"added: pooled \(2, 10\)"),
        ("sd15", TextTime(torch.zeros(1, 10), torch.zeros(1, 6)), "added: .*leave it out"),
    ],
)
def test_added_conditioning_is_asked_for_where_it_is_needed(
    base: str, added: TextTime | None, message: str
) -> None:
    generation, reference = unets(base)
    text = torch.randn(1, 3, BASES[base]["cross_attention_dim"])
    z = torch.randn(1, 4, *SIZE)
    with pytest.raises(RenderArgumentError, match=message):
        generation.predict(z, torch.zeros(1, 1, *SIZE), 3, text, None, added)
    with pytest.raises(RenderArgumentError, match=message):
        reference.capture(z, text, added)


def test_the_sizes_have_a_say() -> None:
    generation, _ = unets("sdxl")
    text, z, mask = torch.randn(1, 3, 32), torch.randn(1, 4, *SIZE), torch.zeros(1, 1, *SIZE)
    pooled = torch.randn(1, 10)
    with torch.no_grad():
        made = [
            generation.predict(z, mask, 3, text, None, TextTime.uncropped(pooled, height, 64))
            for height in (128, 64)
        ]
    assert not torch.allclose(made[0], made[1])
