"""Decoding in parts, and in tiles beyond a native size, by one of diffusers' autoencoders."""

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from models.refadgen.components import TILE_BEYOND_PX
from models.refadgen.decoding import PartwiseDecoder
from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline


@pytest.fixture(scope="module")
def decoding() -> RefAdGenPipeline:
    parts = small_pipeline(position_frequencies=0).components
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=2,
        sample_size=512,
    )
    return RefAdGenPipeline(**{**parts, "vae": vae.eval()})


def latents(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_pictures_decoded_in_parts_are_those_decoded_together(decoding: RefAdGenPipeline) -> None:
    z = latents(5, 12, 8)
    together = decoding.decode_picture(z)
    parts = torch.cat([decoding.decode_picture(part) for part in z.split(2)])
    assert float((together - parts).abs().max()) <= 1e-5

    tried: list[tuple[int, int]] = []

    def beyond_two(x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return decoding.decode_picture(x)

    decoder = PartwiseDecoder(beyond_two, lambda size, then: tried.append((size, then)))
    made = decoder.pictures(z)
    assert tried == [(5, 2)]
    for picture, expected in zip(made, together, strict=True):
        assert picture is not None
        shown = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        assert float((shown - expected).abs().max()) <= 0.5 / 255 + 1e-5


@pytest.mark.parametrize(("height", "width", "tiles"), [(80, 64, 1), (264, 128, 6 * 3)])
@torch.no_grad()
def test_the_native_size_alone_decides_whether_tiles_are_decoded(
    decoding: RefAdGenPipeline, height: int, width: int, tiles: int
) -> None:
    assert (height * width * decoding.latent_px**2 > TILE_BEYOND_PX) == (tiles > 1)
    sizes: list[tuple[int, ...]] = []

    def look(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        sizes.append(tuple(args[0].shape[-2:]))

    handle = decoding.vae.decoder.register_forward_pre_hook(look)
    try:
        picture = decoding.decode_picture(latents(1, height, width))
    finally:
        handle.remove()
    assert picture.shape == (1, 3, 8 * height, 8 * width)
    assert len(sizes) == tiles
    assert not decoding.vae.use_tiling
