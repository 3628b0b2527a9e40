"""What the Generation U-Net reads of a batch of samples beside the noisy latent."""

from torch import Tensor

from models.refadgen.attention import Fusion
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.unet import GenerationUNet
from training.latents import Batch


def fusion_of(pipeline: RefAdGenPipeline, batch: Batch, pixels: Tensor) -> Fusion:
    """The AFMs' argument; pixels: what the image encoder takes, zeros where it is dropped."""
    hidden = pipeline.reference_unet.capture(batch.products, pipeline.image_tokens(pixels))
    return fusion_by(pipeline.unet, batch, hidden, pipeline.latent_px)


def fusion_by(
    unet: GenerationUNet, batch: Batch, hidden: dict[str, Tensor], latent_px: int
) -> Fusion:
    """The same by a U-Net's own projections of what the Reference U-Net's layers hold."""
    keys, values = unet.project_references(hidden)
    size = int(batch.ads.shape[-2]), int(batch.ads.shape[-1])
    positions = unet.frame_positions(batch.frames, size, latent_px)
    return Fusion(keys, values, positions, scale=1.0)
