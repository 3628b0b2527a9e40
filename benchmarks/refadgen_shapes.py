"""RefAdGen at the shapes that are measured, with random weights: speed does not depend on them."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig
from transformers import CLIPVisionModelWithProjection as ImageEncoder

from models.refadgen.mini import build_mini, reference_copy
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.resampler import Resampler
from models.refadgen.sampling import released_schedule
from models.refadgen.tokens import word_tokenizer
from models.refadgen.unet import GenerationUNet

WORDS = ("a", "red", "bottle", "on", "white", "marble", "table", "soft", "morning", "light")
PROMPT = "a red bottle on white marble table, soft morning light"
SD15_UNET: dict[str, Any] = {
    "sample_size": 64,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is rendered: native width and height in px; the side of reference pictures."""

    name: str
    width: int
    height: int
    reference: int


MINI = Shapes("mini", 128, 160, 128)
SD15 = Shapes("sd15", 512, 640, 512)
BY_NAME = {s.name: s for s in (MINI, SD15)}


def build(shapes: Shapes, device: str, dtype: torch.dtype) -> RefAdGenPipeline:
    """The pipeline with random weights on `device`."""
    torch.manual_seed(0)
    if shapes is MINI:
        pipeline = build_mini(WORDS).to(device=device, dtype=dtype)
        _frozen(*pipeline.components.values())
        return pipeline
    with torch.device(device):
        networks = sd15_networks()
    _frozen(*networks.values())
    return RefAdGenPipeline(
        **{name: network.to(dtype) for name, network in networks.items()},
        tokenizer=word_tokenizer(WORDS, 77),
        scheduler=released_schedule(),
        reference_size=shapes.reference,
    )


def sd15_networks() -> dict[str, torch.nn.Module]:
    """Stable Diffusion 1.5's networks, CLIP ViT-H/14 and IP-Adapter-Plus' Resampler, in shapes."""
    unet = GenerationUNet(in_channels=5, **SD15_UNET)
    return {
        "unet": unet,
        "reference_unet": reference_copy(unet),
        "vae": AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                num_attention_heads=12, vocab_size=49408,
            )
        ),
        "image_encoder": ImageEncoder(
            CLIPVisionConfig(
                hidden_size=1280, intermediate_size=5120, num_hidden_layers=32,
                num_attention_heads=16, image_size=224, patch_size=14, projection_dim=1024,
            )
        ),
        "resampler": Resampler(
            dim=768, depth=4, dim_head=64, heads=12, num_queries=16, embedding_dim=1280,
            output_dim=768, ff_mult=4,
        ),
    }  # fmt: skip


def plain_unet(pipeline: RefAdGenPipeline) -> UNet2DConditionModel:
    """The text-to-image U-Net of the same size: no mask, no AFMs."""
    hidden = ("position_frequencies",)
    config = {k: v for k, v in pipeline.unet.config.items() if k not in hidden and k[0] != "_"}
    with torch.device(pipeline.device):
        unet = UNet2DConditionModel(**{**config, "in_channels": config["in_channels"] - 1})
    _frozen(unet)
    return unet.to(pipeline.unet.dtype)


def _frozen(*components: object) -> None:
    for component in components:
        if isinstance(component, torch.nn.Module):
            component.eval().requires_grad_(False)
