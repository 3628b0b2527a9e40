"""The `mini` configuration: 128 px, ~4 M parameters per U-Net, at home on a laptop's CPU."""

from collections.abc import Iterable
from typing import Any

import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
)

from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceUNet
from models.refadgen.resampler import Resampler
from models.refadgen.schedules import own_schedule
from models.refadgen.tokens import END, PAD, START, word_tokenizer
from models.refadgen.unet import GenerationUNet

CONTEXT = 128
LATENT_CHANNELS = 16
REFERENCE_SIZE = 128
MAX_WORDS = 40
HEAD_WIDTH = 32
POSITION_FREQUENCIES = 5
NOISE_SCALE = 0.85

UNET: dict[str, Any] = {
    "sample_size": REFERENCE_SIZE // 8,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": (64, 128),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": CONTEXT,
    "attention_head_dim": (2, 4),  # diffusers' name for the number of heads
    "norm_num_groups": 16,
}


def text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    vocabulary = tokenizer.get_vocab()
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=CONTEXT,
            intermediate_size=2 * CONTEXT,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_WORDS,
            pad_token_id=vocabulary[PAD],
            bos_token_id=vocabulary[START],
            eos_token_id=vocabulary[END],
        )
    )


def image_encoder() -> CLIPVisionModelWithProjection:
    """Small enough to train along; its last layer and projection are not read."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=CONTEXT,
            intermediate_size=2 * CONTEXT,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=64,
            patch_size=8,
            projection_dim=16,
        )
    )


def build_mini(
    words: Iterable[str],
    seed: int = 0,
    vae: MiniAutoencoder | None = None,
    *,
    reference_size: int = REFERENCE_SIZE,
    widths: tuple[int, ...] = UNET["block_out_channels"],
) -> RefAdGenPipeline:
    """A `mini` with random weights (but for a trained `vae`) whose text encoder knows `words`.

    widths: channels of the U-Nets' two levels, multiples of 32.
    """
    torch.manual_seed(seed)
    tokenizer = word_tokenizer(words, MAX_WORDS)
    config = {
        **UNET,
        "sample_size": reference_size // 8,
        "block_out_channels": widths,
        "attention_head_dim": tuple(width // HEAD_WIDTH for width in widths),
    }
    unet = GenerationUNet(
        in_channels=LATENT_CHANNELS + 1, position_frequencies=POSITION_FREQUENCIES, **config
    )
    return RefAdGenPipeline(
        vae=vae or MiniAutoencoder(latent_channels=LATENT_CHANNELS),
        text_encoder=text_encoder(tokenizer),
        tokenizer=tokenizer,
        image_encoder=image_encoder(),
        resampler=Resampler(
            dim=CONTEXT,
            depth=1,
            dim_head=32,
            heads=4,
            num_queries=4,
            embedding_dim=CONTEXT,
            output_dim=CONTEXT,
            ff_mult=2,
        ),
        unet=unet,
        reference_unet=reference_copy(unet),
        scheduler=own_schedule(),
        reference_size=reference_size,
        mask_resize="area",
        guidance_rescale=0.5,
        noise_scale=NOISE_SCALE,
        unit_scale=max(1, reference_size // REFERENCE_SIZE),
    )


def reference_copy(unet: GenerationUNet) -> ReferenceUNet:
    """A Reference U-Net that starts as the Generation U-Net without its mask channel and AFMs."""
    config = {k: v for k, v in unet.config.items() if k != "position_frequencies" and k[0] != "_"}
    copy = ReferenceUNet(**{**config, "in_channels": config["in_channels"] - 1})
    state = {k: v for k, v in unet.state_dict().items() if ".processor." not in k}
    state["conv_in.weight"] = state["conv_in.weight"][:, :-1]
    copy.load_state_dict(state)
    return copy
