"""What the Generation U-Net reads of a batch of samples beside the noisy latent."""

from torch import Tensor

from models.refadgen.attention import Fusion
from models.refadgen.pipeline import RefAdGenPipeline
from training.latents import Batch


def fusion_of(pipeline: RefAdGenPipeline, batch: Batch, pixels: Tensor) -> Fusion:
    """The AFMs' argument; pixels: what the image encoder takes, zeros where it is dropped."""
    unet = pipeline.unet
    tokens = pipeline.image_tokens(pixels)
    keys, values = unet.project_references(pipeline.reference_unet.capture(batch.products, tokens))
    size = int(batch.ads.shape[-2]), int(batch.ads.shape[-1])
    positions = unet.frame_positions(batch.frames, size, pipeline.latent_px)
    return Fusion(keys, values, positions, scale=1.0)
