"""The splatting renderer against its equations."""

import pytest
import torch
from torch.nn.functional import normalize

from training.augment.camera import Camera, Turn
from training.augment.gaussians import Gaussians
from training.augment.splatting import LOW_PASS_PX2, project, splat

CAMERA = Camera(48, 40, 100.0, 24.0, 20.0)


def gaussians(
    means: list[list[float]], covariance: torch.Tensor, opacity: float = 0.8
) -> Gaussians:
    count = len(means)
    return Gaussians(
        torch.tensor(means),
        covariance.expand(count, 3, 3),
        torch.tensor([[0.0, 0.0, -1.0]]).expand(count, 3),
        torch.eye(3)[:count],
        torch.full((count,), opacity),
        pixels=count,
    )


def test_one_gaussian_leaves_its_analytic_footprint() -> None:
    covariance = torch.tensor([[9.0, 3.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 1e-6]])
    one = gaussians([[1.3, -2.2, 0.0]], covariance)
    coverage = splat(project(one, torch.eye(3), CAMERA), CAMERA).coverage()
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    apart = torch.stack([x - 25.3, y - 17.8], -1)
    # On the middle plane one unit is one px; the point stands askew, which tilts nothing flat.
    inverse = torch.linalg.inv(covariance[:2, :2] + LOW_PASS_PX2 * torch.eye(2))
    expected = 0.8 * torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", apart, inverse, apart))
    seen = expected >= 1 / 255
    assert torch.allclose(coverage[seen], expected[seen], atol=2e-4)
    assert (coverage[~seen] == 0).all()


def test_perspective_shrinks_what_is_farther() -> None:
    flat = torch.diag(torch.tensor([16.0, 16.0, 1e-6]))
    far = project(gaussians([[0.0, 0.0, 100.0]], flat), torch.eye(3), CAMERA)
    assert far.covariance[0, 0] == pytest.approx(4 + LOW_PASS_PX2, rel=1e-5)


def test_the_nearer_one_covers_the_farther_whatever_their_order() -> None:
    flat = torch.diag(torch.tensor([25.0, 25.0, 1e-6]))
    for means in ([[0.0, 0.0, -5.0], [0.0, 0.0, 5.0]], [[0.0, 0.0, 5.0], [0.0, 0.0, -5.0]]):
        two = gaussians(means, flat)
        splats = splat(project(two, torch.eye(3), CAMERA), CAMERA)
        weight = splats.colours(two.colours)[20, 24] * splats.coverage()[20, 24]
        nearer = 0 if means[0][2] < 0 else 1
        assert weight[nearer] > 3.5 * weight[1 - nearer]
        alphas = 0.8, 0.8
        assert splats.coverage()[20, 24] < 1 - (1 - alphas[0]) * (1 - alphas[1]) + 1e-3


def test_compositing_is_that_of_a_loop_over_sorted_gaussians() -> None:
    generator = torch.Generator().manual_seed(3)
    means = torch.randn(60, 3, generator=generator) * torch.tensor([8.0, 8.0, 10.0])
    roots = torch.randn(60, 3, 3, generator=generator)
    many = Gaussians(
        means,
        roots @ roots.mT,
        normalize(torch.tensor([[0.0, 0.0, -1.0]])).expand(60, 3),
        torch.rand(60, 3, generator=generator),
        torch.rand(60, generator=generator),
        pixels=60,
    )
    prints = project(many, Turn(10, 5).matrix(), CAMERA)
    splats = splat(prints, CAMERA)
    got = (splats.colours(many.colours) * splats.coverage()[..., None])[22, 20]
    light, expected = 1.0, torch.zeros(3)
    for i in torch.argsort(prints.depth):
        apart = torch.tensor([20.5, 22.5]) - prints.centre[i]
        xx, xy, yy = prints.covariance[i]
        inverse = torch.linalg.inv(torch.stack([xx, xy, xy, yy]).view(2, 2))
        alpha = float(prints.opacity[i] * torch.exp(-0.5 * apart @ inverse @ apart))
        if alpha >= 1 / 255:
            expected += light * alpha * many.colours[prints.gaussian[i]]
            light *= 1 - alpha
    assert torch.allclose(got, expected, atol=1e-4)


def test_what_faces_away_is_not_drawn() -> None:
    flat = torch.diag(torch.tensor([25.0, 25.0, 1e-6]))
    one = gaussians([[0.0, 0.0, 0.0]], flat)
    assert len(project(one, Turn(yaw_deg=180).matrix(), CAMERA).gaussian) == 0


def test_nothing_to_draw_is_an_empty_picture() -> None:
    flat = torch.diag(torch.tensor([1.0, 1.0, 1e-6]))
    away = gaussians([[500.0, 0.0, 0.0]], flat)
    splats = splat(project(away, torch.eye(3), CAMERA), CAMERA)
    assert splats.coverage().sum() == 0


def test_a_turn_is_a_rotation_that_brings_the_front_right_and_down() -> None:
    matrix = Turn(yaw_deg=20, pitch_deg=10).matrix()
    assert torch.allclose(matrix @ matrix.T, torch.eye(3), atol=1e-6)
    assert torch.linalg.det(matrix) == pytest.approx(1, abs=1e-6)
    front = matrix @ torch.tensor([0.0, 0.0, -1.0])
    assert front[0] > 0
    assert front[1] > 0
