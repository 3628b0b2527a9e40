"""Which parameters a run trains."""

from typing import Literal

from torch import nn

from models.refadgen.pipeline import RefAdGenPipeline

WHOLE = ("unet", "reference_unet", "text_encoder", "image_encoder", "resampler")
OF_THE_UNET = ("conv_in.", ".processor.")
"""What the paper trains of the Generation U-Net: its widened input, and the AFMs' projections."""


def choose_trainable(
    pipeline: RefAdGenPipeline, which: Literal["whole", "paper"]
) -> dict[str, nn.Parameter]:
    """The parameters to train by name (`network.parameter`); all others are frozen.

    `paper`: conv_in and the AFMs of the Generation U-Net, the whole Reference U-Net and the
    Resampler. `whole`: every network but the autoencoder. What follows the Reference U-Net's last
    self-attention is read by nothing and never trained.
    """
    for network in pipeline.networks.values():
        network.requires_grad_(False)
    trained = WHOLE if which == "whole" else ("unet", "reference_unet", "resampler")
    for name in trained:
        for parameter_name, parameter in getattr(pipeline, name).named_parameters():
            everything = which == "whole" or name != "unet"
            chosen = everything or any(part in parameter_name for part in OF_THE_UNET)
            parameter.requires_grad_(chosen)
    pipeline.reference_unet.freeze_unread()
    return {
        f"{name}.{parameter_name}": parameter
        for name in trained
        for parameter_name, parameter in getattr(pipeline, name).named_parameters()
        if parameter.requires_grad
    }
