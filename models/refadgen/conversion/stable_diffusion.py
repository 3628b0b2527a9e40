"""The untrained RefAdGen from the paper's starting points.

Both U-Nets start as the base's. The Generation U-Net gets a fifth input channel of zeros and its
AFMs copies of each layer's own projections; the Reference U-Net is left as it is; the Resampler is
IP-Adapter-Plus'. So the model renders at first what the base renders, and attends to the reference
as it would to more of its own picture.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from transformers import (
    AutoTokenizer,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from adloom.errors import ModelError
from models.refadgen.conversion.checkpoints import in_dtype
from models.refadgen.conversion.ip_adapter import HEAD_DIM, read_resampler
from models.refadgen.conversion.sources import Source, find_file, load_part
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceUNet
from models.refadgen.unet import GenerationUNet

IP_ADAPTER = "h94/IP-Adapter"  # the paper's adapter and image encoder
IP_ADAPTER_FILE = "models/ip-adapter-plus_sd15.bin"
IMAGE_ENCODER_FOLDER = "models/image_encoder"


def build(
    base: Source,
    vae: Source | None = None,
    ip_adapter: Source = IP_ADAPTER,
    image_encoder: Source = IP_ADAPTER,
    *,
    ip_adapter_file: str = IP_ADAPTER_FILE,
    head_dim: int = HEAD_DIM,
    reference_frame: str = "aligned",
    reference_size: int = 512,
    dtype: torch.dtype = torch.float32,
    local_files_only: bool = False,
) -> RefAdGenPipeline:
    """base, vae, ip_adapter, image_encoder: folders or hub ids (ip_adapter also a file); without
    `vae` the base's. head_dim: of the Resampler's attention. The frame is the paper's unless
    `canonical` is asked for, with pictures of `reference_size` px.

    Raises ModelError for what cannot be loaded or does not go together, CheckpointError for an
    adapter that is not an IP-Adapter-Plus.
    """
    options = {"local_files_only": local_files_only}
    plain = load_part(UNet2DConditionModel.from_pretrained, base, "unet", dtype=dtype, **options)
    adapter = find_file(ip_adapter, ip_adapter_file, **options)
    return RefAdGenPipeline(
        vae=vae_of(base, vae, dtype, **options),
        image_encoder=image_encoder_of(image_encoder, dtype, **options),
        resampler=in_dtype(read_resampler(adapter, head_dim), dtype),
        unet=generation_unet(plain),
        reference_unet=reference_unet(plain),
        scheduler=sampler_of(base, **options),
        reference_size=reference_size,
        reference_frame=reference_frame,
        force_zeros_for_empty_prompt=zeros_for_no_prompt(base, **options),
        **texts_of(base, base, plain.config, dtype, **options),
    )


def generation_unet(plain: UNet2DConditionModel) -> GenerationUNet:
    """The base's U-Net with a mask channel of zeros and AFMs that start from its projections."""
    config = unet_config(plain.config)
    with torch.device("meta"):
        unet = GenerationUNet(**{**config, "in_channels": config["in_channels"] + 1})
    state = dict(plain.state_dict())
    widened = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([widened, torch.zeros_like(widened[:, :1])], dim=1)
    for layer in unet.fusion_processors:
        for name in ("to_k", "to_v"):
            own = state[f"{layer}.{name}.weight"]
            state[f"{layer}.processor.{name}_ref.weight"] = own.clone()
    unet.load_state_dict(state, assign=True)
    return unet.eval()


def reference_unet(plain: UNet2DConditionModel) -> ReferenceUNet:
    """A second copy of the base's U-Net."""
    with torch.device("meta"):
        unet = ReferenceUNet(**unet_config(plain.config))
    copied: dict[str, Tensor] = {n: t.clone() for n, t in plain.state_dict().items()}
    unet.load_state_dict(copied, assign=True)
    return unet.eval()


def unet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A U-Net's configuration without diffusers' own notes."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def vae_of(base: Source, vae: Source | None, dtype: torch.dtype, **options: Any) -> AutoencoderKL:
    if vae is None:
        return load_part(AutoencoderKL.from_pretrained, base, "vae", dtype=dtype, **options)
    inner = "vae" if (Path(vae) / "vae").is_dir() else ""
    return load_part(AutoencoderKL.from_pretrained, vae, inner, dtype=dtype, **options)


def image_encoder_of(
    source: Source, dtype: torch.dtype, **options: Any
) -> CLIPVisionModelWithProjection:
    within = str(source) == IP_ADAPTER or (Path(source) / IMAGE_ENCODER_FOLDER).is_dir()
    return load_part(
        CLIPVisionModelWithProjection.from_pretrained,
        source,
        IMAGE_ENCODER_FOLDER if within else "",
        dtype=dtype,
        **options,
    )


def sampler_of(base: Source, **options: Any) -> DDIMScheduler:
    """DDIM with the base's betas, prediction type and spacing: the base's training."""
    made = load_part(DDIMScheduler.from_pretrained, base, "scheduler", **options)
    # Other schedulers' files say nothing of it, and DDIM's default is for pixels.
    scheduler = DDIMScheduler.from_config(made.config, clip_sample=False)
    assert isinstance(scheduler, DDIMScheduler)
    return scheduler


def zeros_for_no_prompt(base: Source, **options: Any) -> bool:
    """How an SDXL base reads no negative prompt; True, as diffusers has it, where it does not say
    (other bases never do)."""
    try:
        index = json.loads(find_file(base, "model_index.json", **options).read_text("utf-8"))
    except (ModelError, OSError, ValueError):
        return True
    return bool(index.get("force_zeros_for_empty_prompt", True))


def texts_of(
    tokenizer: Source,
    encoder: Source,
    config: Mapping[str, Any],
    dtype: torch.dtype,
    **options: Any,
) -> dict[str, Any]:
    """Tokenizer and text encoder, two of each for an SDXL-shaped U-Net of this configuration."""
    first = load_part(
        CLIPTextModel.from_pretrained, encoder, "text_encoder", dtype=dtype, **options
    )
    parts = {
        "text_encoder": first,
        "tokenizer": _fitting(
            load_part(AutoTokenizer.from_pretrained, tokenizer, "tokenizer", **options), first
        ),
    }
    if config["addition_embed_type"] == "text_time":
        second = load_part(
            CLIPTextModelWithProjection.from_pretrained,
            encoder,
            "text_encoder_2",
            dtype=dtype,
            **options,
        )
        its = load_part(AutoTokenizer.from_pretrained, tokenizer, "tokenizer_2", **options)
        parts |= {"text_encoder_2": second, "tokenizer_2": _fitting(its, second)}
    return parts


def _fitting(tokenizer: PreTrainedTokenizerBase, encoder: Any) -> PreTrainedTokenizerBase:
    """Some tokenizers come without a length; none may exceed the encoder's."""
    limit = encoder.config.max_position_embeddings
    tokenizer.model_max_length = min(tokenizer.model_max_length, limit)
    return tokenizer
