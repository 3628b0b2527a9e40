"""Reference and canvas agree on where in the product a token lies."""

import pytest
import torch

from models.refadgen.frames import fourier, generation_positions, reference_positions
from tests.unit.refadgen.conftest import small_unet


def test_a_frame_that_fills_the_canvas_gives_the_references_positions() -> None:
    frame = torch.tensor([[64.0, 64.0, 128.0]])
    assert torch.allclose(generation_positions(frame, 16, 16, 8.0)[0], reference_positions(16))


@pytest.mark.parametrize("shift", [(16.0, 0.0), (0.0, -24.0)])
def test_positions_move_with_the_frame(shift: tuple[float, float]) -> None:
    here = torch.tensor([[64.0, 80.0, 96.0]])
    moved = here + torch.tensor([[*shift, 0.0]])
    grid = generation_positions(here, 20, 16, 8.0).view(20, 16, 2)
    there = generation_positions(moved, 20, 16, 8.0).view(20, 16, 2)
    dx, dy = int(shift[0] // 8), int(shift[1] // 8)
    rolled = torch.roll(there, (-dy, -dx), dims=(0, 1))
    assert torch.allclose(rolled[4:16, 4:12], grid[4:16, 4:12], atol=1e-6)


def test_the_products_of_features_depend_on_the_distance_alone() -> None:
    a, b = torch.tensor([[0.1, -0.2]]), torch.tensor([[0.3, 0.15]])
    offset = torch.tensor([[0.07, -0.31]])
    near = (fourier(a, 5) * fourier(b, 5)).sum()
    assert torch.allclose(near, (fourier(a + offset, 5) * fourier(b + offset, 5)).sum(), atol=1e-4)
    assert (fourier(a, 5) * fourier(a, 5)).sum() == pytest.approx(10, abs=1e-4)


def test_every_level_of_an_odd_latent_has_its_positions() -> None:
    unet = small_unet(2)
    positions = unet.frame_positions(torch.tensor([[88.0, 48.0, 60.0]]), (11, 6), 8)
    assert {n: tuple(p.shape) for n, p in positions.items()} == {
        66: (1, 66, 8),
        18: (1, 18, 8),
    }
    assert small_unet(0).frame_positions(torch.ones(1, 3), (11, 6), 8) == {}
