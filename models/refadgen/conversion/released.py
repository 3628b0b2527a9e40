"""The authors' released checkpoint -> RefAdGen in diffusers' format.

One DeepSpeed file whose `module` holds everything that was trained, by prefix: `unet.` (with the
mask channel, and the AFMs' weights under `...attn1.processor.`), `ref_unet.`, `proj.` (the
Resampler), and `adapter_modules.N.`, the AFMs' weights once more, in the order of the U-Net's
attention processors. Text encoder, autoencoder and image encoder are not in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from adloom.errors import CheckpointError, ModelError
from models.refadgen.checks import check_weights
from models.refadgen.conversion.checkpoints import check_keys, in_dtype, read_tensors
from models.refadgen.conversion.ip_adapter import HEAD_DIM, sizes_of
from models.refadgen.conversion.sources import Source, find_file, load_part
from models.refadgen.conversion.stable_diffusion import (
    image_encoder_of,
    texts_of,
    unet_config,
    vae_of,
)
from models.refadgen.dtypes import dtype_named
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceUNet
from models.refadgen.resampler import Resampler
from models.refadgen.schedules import released_schedule
from models.refadgen.unet import GenerationUNet

CHECKPOINT_FILE = "mp_rank_00_model_states.pt"
MODULE = "module"
GENERATION, REFERENCE, RESAMPLER, ADAPTERS = "unet.", "ref_unet.", "proj.", "adapter_modules."
_ADAPTER = re.compile(r"adapter_modules\.(\d+)\.(to_[kv]_ref\.weight)")


@dataclass(frozen=True, slots=True)
class Released:
    """The three networks that the checkpoint holds."""

    unet: GenerationUNet
    reference_unet: ReferenceUNet
    resampler: Resampler


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts that the checkpoint lacks come from: folders or hub ids, none guessed."""

    base: Source
    text_encoder: Source
    vae: Source
    image_encoder: Source


def import_released(
    checkpoint: Source,
    sources: Sources,
    dtype: torch.dtype = torch.float16,
    head_dim: int = HEAD_DIM,
    local_files_only: bool = False,
) -> RefAdGenPipeline:
    """The released model, with the released sampler and the paper's reference frame.

    checkpoint: file, folder or hub id. The base gives the U-Net's configuration and the tokenizer.
    Raises CheckpointError listing missing, surplus and misshapen keys by name; ModelError for
    files that cannot be read, that would run code, or whose values are not finite.
    """
    options = {"local_files_only": local_files_only}
    path = find_file(checkpoint, CHECKPOINT_FILE, **options)
    config = base_config(sources.base, **options)
    networks = networks_of(state_of(read_tensors(path), str(path)), config, str(path), head_dim)
    pipeline = RefAdGenPipeline(
        vae=vae_of(sources.base, sources.vae, dtype, **options),
        image_encoder=image_encoder_of(sources.image_encoder, dtype, **options),
        resampler=in_dtype(networks.resampler, dtype),
        unet=in_dtype(networks.unet, dtype),
        reference_unet=in_dtype(networks.reference_unet, dtype),
        scheduler=released_schedule(),
        reference_frame="aligned",
        **texts_of(sources.base, sources.text_encoder, config, dtype, **options),
    )
    check_weights(pipeline.networks)
    return pipeline


def export_released(
    checkpoint: Source, sources: Sources, out: Path, dtype: str = "float16", offline: bool = False
) -> None:
    """`import_released`, saved as the folder `out`; dtype by its name."""
    import_released(
        checkpoint, sources, dtype_named(dtype), local_files_only=offline
    ).save_pretrained(out)


def base_config(base: Source, **options: Any) -> dict[str, Any]:
    """The configuration of a base's U-Net; its weights are not read."""

    loaded = load_part(UNet2DConditionModel.load_config, base, "unet", **options)
    with torch.device("meta"):  # for the defaults of what the file leaves out
        unet = UNet2DConditionModel.from_config(loaded)
    assert isinstance(unet, UNet2DConditionModel)
    return unet_config(unet.config)


def state_of(held: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    """The state dict: the checkpoint's `module`, or all of it where it is flat."""
    module = held.get(MODULE, held)
    others = sorted(n for n, t in module.items() if not isinstance(t, Tensor))
    if others:
        raise ModelError(
            f"no tensors under {', '.join(others[:5])}",
            where=where,
            hint=f"give the released {CHECKPOINT_FILE}, whose '{MODULE}' holds the weights",
        )
    return dict(module)


def networks_of(
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    where: str,
    head_dim: int = HEAD_DIM,
) -> Released:
    """The networks with the checkpoint's tensors in them, which are not copied.

    config: of the base's plain U-Net. CheckpointError lists all that does not fit, at once.
    """
    resampler_state = _below(state, RESAMPLER)
    with torch.device("meta"):
        unet = GenerationUNet(**{**config, "in_channels": config["in_channels"] + 1})
        reference = ReferenceUNet(**config)
        resampler = Resampler(**sizes_of(resampler_state, where, head_dim))
    whole = with_adapters(state, unet, where)
    parts = {GENERATION: unet, REFERENCE: reference, RESAMPLER: resampler}
    expected = {
        f"{p}{n}": t for p, network in parts.items() for n, t in network.state_dict().items()
    }
    check_keys(whole, expected, where)
    for prefix, network in parts.items():
        network.load_state_dict(_below(whole, prefix), assign=True)
        network.eval()
    return Released(unet, reference, resampler)


def with_adapters(
    state: Mapping[str, Tensor], unet: GenerationUNet, where: str
) -> dict[str, Tensor]:
    """The state without `adapter_modules.`, whose weights are the U-Net's AFMs' over again.

    They fill in for AFM weights that are only there. CheckpointError where the two differ.
    """
    found = {m[0]: m for m in map(_ADAPTER.fullmatch, state) if m}
    layers = _numbered_layers({int(m[1]) for m in found.values()}, unet)
    whole = {n: t for n, t in state.items() if n not in found}
    for name, match in found.items():
        layer = layers.get(int(match[1]))
        if layer is None:  # no self-attention's: listed as surplus
            whole[name] = state[name]
            continue
        own = f"{GENERATION}{layer}.processor.{match[2]}"
        if own in whole and not _same(whole[own], state[name]):
            raise CheckpointError(
                f"{name} and {own} differ, and only one can be meant",
                where=where,
                hint="get the released checkpoint again",
            )
        whole.setdefault(own, state[name])
    return whole


def _numbered_layers(numbers: set[int], unet: GenerationUNet) -> dict[int, str]:
    """The self-attention layers by their numbers: counted among all attention processors, as the
    release does, or among themselves."""
    among_all = {
        i: name.removesuffix(".processor")
        for i, name in enumerate(unet.attn_processors)
        if name.removesuffix(".processor") in unet.fusion_processors
    }
    among_themselves = dict(enumerate(unet.fusion_processors))
    return among_themselves if numbers == set(among_themselves) else among_all


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and (a.is_meta or torch.equal(a, b))


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
