"""Reference features: computed once, selected by product, the same as the naive way."""

import torch
from diffusers import UNet2DConditionModel

from models.refadgen.attention import self_attentions
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import CONDITIONAL, UNCONDITIONAL, ReferenceFeatures
from tests.unit.refadgen.conftest import UNET, Inputs


def naive_hidden_states(
    unet: UNet2DConditionModel, latent: torch.Tensor, tokens: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What enters each attn1, by forward hooks on a U-Net that runs to its end."""
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        attn.register_forward_pre_hook(lambda _m, args, n=name: seen.__setitem__(n, args[0]))
        for name, attn in self_attentions(unet)
    ]
    with torch.no_grad():
        unet(latent, 0, tokens)
    for hook in hooks:
        hook.remove()
    return seen


def test_cached_features_equal_the_naive_path_bit_for_bit(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    plain = UNet2DConditionModel(in_channels=4, **UNET).eval()
    plain.load_state_dict(pipeline.reference_unet.state_dict())
    features = pipeline.encode_references(inputs.pictures)
    with torch.no_grad():
        latent = pipeline.encode_picture(inputs.pictures)
        pixels = pipeline.encoder_pixels(inputs.pictures)
        for half, seen in ((UNCONDITIONAL, torch.zeros_like(pixels)), (CONDITIONAL, pixels)):
            hidden = naive_hidden_states(plain, latent, pipeline.image_tokens(seen))
            keys, values = pipeline.unet.project_references(hidden)
            assert set(keys) == set(features.keys) == {n for n, _ in self_attentions(plain)}
            for name in keys:
                assert torch.equal(features.keys[name][:, half], keys[name])
                assert torch.equal(features.values[name][:, half], values[name])


def test_select_and_concatenate_are_inverse(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    features = pipeline.encode_references(inputs.pictures)
    again = ReferenceFeatures.concatenate([features.select([0]), features.select([1])])
    assert len(features) == len(again) == 2
    assert all(torch.equal(features.keys[n], again.keys[n]) for n in features.keys)
    swapped = features.select([1, 0, 1])
    assert len(swapped) == 3
    assert all(torch.equal(swapped.values[n][1], features.values[n][0]) for n in features.values)


def test_a_product_has_the_same_features_alone(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    together = pipeline.encode_references(inputs.pictures)
    alone = pipeline.encode_references(inputs.pictures[1:])
    for name, keys in together.keys.items():
        assert torch.allclose(keys[1:], alone.keys[name], atol=1e-4)


def test_the_halves_see_different_pictures(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    features = pipeline.encode_references(inputs.pictures)
    last = list(features.keys)[-1]
    assert not torch.allclose(features.keys[last][:, 0], features.keys[last][:, 1])


def test_what_no_feature_depends_on_is_frozen(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    reference = pipeline.reference_unet
    reference.requires_grad_(True).freeze_unread()
    with torch.no_grad():
        latent = pipeline.encode_picture(inputs.pictures)
        tokens = pipeline.image_tokens(pipeline.encoder_pixels(inputs.pictures))
    sum(h.square().sum() for h in reference.capture(latent, tokens).values()).backward()
    with_gradient = {n for n, p in reference.named_parameters() if p.grad is not None}
    trained = {n for n, p in reference.named_parameters() if p.requires_grad}
    reference.requires_grad_(True).zero_grad()
    assert with_gradient == trained
    assert "conv_out.weight" not in trained
    assert "conv_in.weight" in trained
