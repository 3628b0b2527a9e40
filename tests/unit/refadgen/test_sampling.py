"""Schedules, guidance and the noise of a seed."""

import pytest
import torch
from diffusers import DDIMScheduler

from adloom.errors import ModelError, RenderArgumentError
from models.refadgen.attention import Fusion
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.sampling import (
    Conditions,
    Guidance,
    denoise,
    generators_of,
    guided_prediction,
    latent_mask,
    standard_normal,
)
from models.refadgen.schedules import check_schedule, own_schedule, released_schedule
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import small_unet


def test_own_and_released_schedules_are_consistent() -> None:
    check_schedule(own_schedule())
    check_schedule(released_schedule())
    assert float(own_schedule().alphas_cumprod[-1]) < 1e-6
    assert float(released_schedule().alphas_cumprod[-1]) > 1e-3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prediction_type": "epsilon"}, "singular"),
        ({"timestep_spacing": "leading"}, "last timestep"),
        ({"prediction_type": "sample"}, "not supported"),
    ],
)
def test_inconsistent_schedules_are_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_schedule(DDIMScheduler.from_config({**own_schedule().config, **changed}))


@pytest.mark.parametrize("schedule", [own_schedule, released_schedule])
def test_a_perfect_network_recovers_the_latent(schedule: object) -> None:
    scheduler = schedule()  # pyright: ignore[reportCallIssue]
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = standard_normal(generators_of([5, 6]), (4, 8, 8))

    def perfect(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        alpha = scheduler.alphas_cumprod[t]
        eps = (z - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        if scheduler.config.prediction_type == "epsilon":
            return eps
        return alpha.sqrt() * eps - (1 - alpha).sqrt() * clean

    made = denoise(perfect, noise, scheduler, steps=20)
    # The released schedule ends one step short of alpha = 1, as its authors' does.
    assert torch.allclose(made, clean, atol=1e-3 if schedule is own_schedule else 0.15)


def test_steps_that_begin_beyond_the_last_trained_timestep_are_refused() -> None:
    with pytest.raises(RenderArgumentError, match=r"steps: .*timestep 1000"):
        denoise(lambda z, t: z, torch.zeros(1, 4, 8, 8), released_schedule(), 1000)  # noqa: ARG005


def test_noise_depends_on_its_own_seed_alone() -> None:
    together = standard_normal(generators_of([1, 2, 3]), (4, 8, 8))
    assert torch.equal(together[1:2], standard_normal(generators_of([2]), (4, 8, 8)))
    assert not torch.equal(together[0], together[1])


def test_guidance_extrapolates_and_rescale_keeps_the_deviation() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    assert torch.allclose(Guidance(3.0).combine(a, b), a + 3 * (b - a))
    rescaled = Guidance(6.0, rescale=1.0).combine(a, b)
    assert torch.allclose(rescaled.std((1, 2, 3)), b.std((1, 2, 3)))


def test_each_guidance_half_attends_to_its_own_reference_and_text() -> None:
    """The guided prediction equals two forwards made apart, each with its own context."""
    torch.manual_seed(0)
    unet: GenerationUNet = small_unet(3).eval()
    names = list(unet.fusion_processors)
    hidden = [
        {n: torch.randn(2, 16, p.to_k_ref.in_features) for n, p in unet.fusion_processors.items()}
        for _ in range(2)
    ]
    with torch.no_grad():
        halves = [unet.project_references(h) for h in hidden]
        references = ReferenceFeatures(
            {n: torch.stack([keys[n] for keys, _ in halves], 1) for n in names},
            {n: torch.stack([values[n] for _, values in halves], 1) for n in names},
        )
        positions = unet.frame_positions(torch.tensor([[30.0, 40.0, 47.0]] * 2), (8, 8), 8)
        text, negative = torch.randn(2, 5, 32), torch.randn(2, 5, 32)
        mask, z, t = torch.rand(2, 1, 8, 8), torch.randn(2, 4, 8, 8), torch.tensor(500)
        conditions = Conditions(text, negative, mask, references, positions, 0.8)
        made = guided_prediction(unet, conditions, Guidance(4.0))(z, t)
        apart = [
            unet.predict(z, mask, t, words, Fusion(keys, values, positions, 0.8))
            for words, (keys, values) in ((negative, halves[0]), (text, halves[1]))
        ]
    assert torch.allclose(made, Guidance(4.0).combine(*apart), atol=1e-4)


def test_area_masks_keep_the_covered_share_and_nearest_is_binary() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :4] = 1
    assert torch.equal(latent_mask(mask, (2, 2), "area")[0, 0], torch.tensor([[0.5, 0.0]] * 2))
    assert set(latent_mask(mask, (2, 2), "nearest").unique().tolist()) <= {0.0, 1.0}
