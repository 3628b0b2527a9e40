"""The small autoencoder of `mini`: 8x smaller latents of 16 channels, for pictures of ~128 px.

A linear path (an 8x8 patch projection, set from the principal components of the training
pictures) carries most of the picture; two small convolutional nets add what a linear map cannot.
So it reconstructs from the first step and trains within minutes on a CPU. Its surface is that of
diffusers' `AutoencoderKL` as far as the pipeline uses it.
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 8  # pixels per latent


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; the second starts near zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


@dataclass(frozen=True, slots=True)
class PointPosterior:
    """A posterior without spread: its mode and every sample are the encoded latent."""

    latent: Tensor

    def mode(self) -> Tensor:
        return self.latent

    def sample(self, generator: torch.Generator | None = None) -> Tensor:  # noqa: ARG002
        return self.latent


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    latent_dist: PointPosterior


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    sample: Tensor


class MiniAutoencoder(ModelMixin, ConfigMixin):
    """(B, 3, H, W) in [-1, 1] <-> (B, C, H/8, W/8) of zero mean and unit deviation per channel."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        width: int = 64,
        encoder_blocks: tuple[int, int] = (1, 2),
        decoder_blocks: tuple[int, int] = (3, 3),
        scaling_factor: float = 1.0,  # noqa: ARG002  (read from the config)
    ) -> None:
        super().__init__()
        wide = 2 * width
        self.to_latent = nn.Conv2d(3, latent_channels, PATCH, stride=PATCH)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, width, 3, padding=1),
            *(ResidualBlock(width) for _ in range(encoder_blocks[0])),
            nn.Conv2d(width, wide, 3, stride=2, padding=1),
            *(ResidualBlock(wide) for _ in range(encoder_blocks[1])),
            nn.Conv2d(wide, latent_channels, 3, padding=1),
        )
        self.to_picture = nn.ConvTranspose2d(latent_channels, 3, PATCH, stride=PATCH)
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, wide, 3, padding=1),
            *(ResidualBlock(wide) for _ in range(decoder_blocks[0])),
            nn.Conv2d(wide, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(width) for _ in range(decoder_blocks[1])),
            nn.Conv2d(width, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )
        for net in (self.encoder, self.decoder):
            last = [m for m in net if isinstance(m, nn.Conv2d)][-1]
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)  # pyright: ignore[reportArgumentType]
        self.register_buffer("latent_mean", torch.zeros(1, latent_channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(1, latent_channels, 1, 1))

    def encode_raw(self, x: Tensor) -> Tensor:
        """The latent before it is brought to zero mean and unit deviation."""
        return self.to_latent(x) + self.encoder(x)

    def decode_raw(self, z: Tensor) -> Tensor:
        return self.to_picture(z) + self.decoder(z)

    def encode(self, x: Tensor) -> EncoderOutput:
        z = (self.encode_raw(x) - self.latent_mean) / self.latent_std
        return EncoderOutput(PointPosterior(z))

    def decode(self, z: Tensor) -> DecoderOutput:
        return DecoderOutput(self.decode_raw(z * self.latent_std + self.latent_mean))

    @torch.no_grad()
    def channel_spread(self) -> Tensor:
        """(C,) how much of a picture's deviation each unit of a latent channel carries, by the
        linear path: steep, as pictures' spectra are."""
        return self.to_picture.weight.flatten(1).norm(dim=1) * self.latent_std.flatten()

    @torch.no_grad()
    def set_linear_path(self, patches: Tensor) -> None:
        """Start the linear path from the principal components of `patches` (N, 3, 8, 8)."""
        flat = patches.flatten(1).double()
        mean = flat.mean(0)
        _, spread, axes = torch.linalg.svd(flat - mean, full_matrices=False)
        count = self.to_latent.out_channels
        deviation = (spread[:count] / len(flat) ** 0.5).clamp_min(1e-4)
        basis = axes[:count]
        self.to_latent.weight.copy_((basis / deviation[:, None]).view_as(self.to_latent.weight))
        assert self.to_latent.bias is not None
        assert self.to_picture.bias is not None
        self.to_latent.bias.copy_(-(basis / deviation[:, None]) @ mean)
        self.to_picture.weight.copy_((basis * deviation[:, None]).view_as(self.to_picture.weight))
        # A transposed convolution has one bias per colour; the mean patch is nearly flat.
        self.to_picture.bias.copy_(mean.view(3, -1).mean(1))

    @torch.no_grad()
    def set_latent_statistics(self, latents: Tensor) -> None:
        """Fix mean and deviation per channel from raw latents (N, C, h, w)."""
        dims = (0, 2, 3)
        self.latent_mean.copy_(latents.mean(dims, keepdim=True))
        self.latent_std.copy_(latents.std(dims, keepdim=True))
