"""Which parameters a run trains."""

from typing import Final

from torch import nn

from models.refadgen.pipeline import RefAdGenPipeline
from training.recipe import Trainable

NETWORKS: Final[dict[Trainable, tuple[str, ...]]] = {
    "whole": ("unet", "reference_unet", "text_encoder", "image_encoder", "resampler"),
    "paper": ("unet", "reference_unet", "resampler"),
    "generation": ("unet", "text_encoder"),
    "unet": ("unet",),
}
OF_THE_UNET: Final = ("conv_in.", ".processor.")
"""What the paper trains of the Generation U-Net: its widened input, and the AFMs' projections."""


def choose_trainable(pipeline: RefAdGenPipeline, which: Trainable) -> dict[str, nn.Parameter]:
    """The parameters to train by name (`network.parameter`); all others are frozen.

    `paper`: conv_in and the AFMs of the Generation U-Net, the whole Reference U-Net and the
    Resampler. `whole`: every network but the autoencoder. `generation`: the Generation U-Net,
    with it the AFMs' projections, and the text encoder; the networks that encode the reference
    stay as they are and cost no backward pass. `unet`: the Generation U-Net alone. What follows
    the Reference U-Net's last self-attention is read by nothing and never trained.
    """
    for network in pipeline.networks.values():
        network.requires_grad_(False)
    trained = NETWORKS[which]
    for name in trained:
        for parameter_name, parameter in getattr(pipeline, name).named_parameters():
            everything = which != "paper" or name != "unet"
            chosen = everything or any(part in parameter_name for part in OF_THE_UNET)
            parameter.requires_grad_(chosen)
    pipeline.reference_unet.freeze_unread()
    return {
        f"{name}.{parameter_name}": parameter
        for name in trained
        for parameter_name, parameter in getattr(pipeline, name).named_parameters()
        if parameter.requires_grad
    }
