"""A RefAdGen small enough for unit tests: 64 px references, f8 latents, random weights."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models.refadgen.autoencoder import MiniAutoencoder
from models.refadgen.mini import reference_copy
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.resampler import Resampler
from models.refadgen.schedules import own_schedule
from models.refadgen.tokens import word_tokenizer
from models.refadgen.unet import GenerationUNet

WORDS = ("a", "red", "blue", "bottle", "cup", "on", "white", "marble", "table", "t-shirt")
SIDE = 64

UNET = {
    "sample_size": SIDE // 8,
    "out_channels": 4,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": (2, 4),
    "norm_num_groups": 8,
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Arguments of `render` for four samples of two products on a 64 x 96 canvas."""

    pictures: Tensor
    prompts: list[str]
    negatives: list[str]
    masks: Tensor
    frames: Tensor
    seeds: list[int]
    products: list[int]


def small_unet(position_frequencies: int = 0, **changed: object) -> GenerationUNet:
    return GenerationUNet(
        in_channels=5, position_frequencies=position_frequencies, **{**UNET, **changed}
    )


def small_pipeline(
    seed: int = 0, position_frequencies: int = 3, reference_frame: str = "canonical"
) -> RefAdGenPipeline:
    torch.manual_seed(seed)
    tokenizer = word_tokenizer(WORDS, 12)
    unet = small_unet(position_frequencies)
    pipeline = RefAdGenPipeline(
        vae=MiniAutoencoder(4, width=16, encoder_blocks=(1, 1), decoder_blocks=(1, 1)),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=12,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        ),
        tokenizer=tokenizer,
        image_encoder=CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=32,
                patch_size=8,
                projection_dim=8,
            )
        ),
        resampler=Resampler(
            dim=32,
            depth=1,
            dim_head=16,
            heads=2,
            num_queries=2,
            embedding_dim=32,
            output_dim=32,
            ff_mult=2,
        ),
        unet=unet,
        reference_unet=reference_copy(unet),
        scheduler=own_schedule(),
        reference_size=SIDE,
        mask_resize="area",
        reference_frame=reference_frame,
    )
    for network in pipeline.components.values():
        if isinstance(network, nn.Module):
            network.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def randomise(module: nn.Module, seed: int = 1) -> None:
    """Give zero-initialised parameters a say, too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(scope="session")
def pipeline() -> RefAdGenPipeline:
    made = small_pipeline()
    randomise(made.unet)
    randomise(made.reference_unet, 2)
    return made


@pytest.fixture(scope="session")
def inputs() -> Inputs:
    generator = torch.Generator().manual_seed(3)
    masks = torch.zeros(4, 1, 96, 64)
    masks[:, :, 40:80, 16:48] = 1
    return Inputs(
        pictures=torch.rand(2, 3, SIDE, SIDE, generator=generator),
        prompts=["a red bottle", "a blue cup", "a red bottle on white marble", "a table"],
        negatives=["", "white", "", "blue"],
        masks=masks,
        frames=torch.tensor([[32.0, 60.0, 47.0]]).repeat(4, 1),
        seeds=[1, 2, 3, 4],
        products=[0, 1, 0, 1],
    )


@pytest.fixture
def render(pipeline: RefAdGenPipeline, inputs: Inputs) -> Callable[..., Tensor]:
    """`pipeline.render` of the inputs, any of its arguments replaced."""
    features = pipeline.encode_references(inputs.pictures).select(inputs.products)

    def call(**changed: object) -> Tensor:
        arguments: dict[str, object] = {
            "prompts": inputs.prompts,
            "negative_prompts": inputs.negatives,
            "references": features,
            "masks": inputs.masks,
            "frames": inputs.frames,
            "seeds": inputs.seeds,
            "steps": 3,
        }
        return pipeline.render(**{**arguments, **changed})  # pyright: ignore[reportArgumentType]

    return call
