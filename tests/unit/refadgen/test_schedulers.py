"""diffusers' schedulers in place of DDIM: which go with a model, and that they sample from it."""

import warnings
from collections.abc import Callable

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.sampling import denoise, generators_of, standard_normal
from models.refadgen.schedules import (
    NoiseSchedule,
    check_schedule,
    own_schedule,
    released_schedule,
)
from tests.unit.refadgen.conftest import Inputs

Render = Callable[..., Tensor]
ZERO_SNR = [
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    DDPMScheduler,
]
OTHERS = [PNDMScheduler, HeunDiscreteScheduler]


def made_from(kind: type, scheduler: DDIMScheduler, **changed: object) -> SchedulerMixin:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_config({**scheduler.config, **changed})


@pytest.mark.parametrize("kind", ZERO_SNR)
def test_samplers_that_know_zero_terminal_snr_go_with_our_models(kind: type) -> None:
    check_schedule(made_from(kind, own_schedule()), NoiseSchedule.of(own_schedule()))


@pytest.mark.parametrize("kind", [*ZERO_SNR, *OTHERS])
def test_all_go_with_the_released_weights(kind: type) -> None:
    trained = NoiseSchedule.of(released_schedule())
    check_schedule(made_from(kind, released_schedule()), trained)


@pytest.mark.parametrize("kind", OTHERS)
def test_samplers_that_do_not_know_it_are_refused_for_our_models(kind: type) -> None:
    with pytest.raises(ModelError, match=r"at timestep \d+ alpha is .*use one of DDIM, DDPM"):
        check_schedule(made_from(kind, own_schedule()), NoiseSchedule.of(own_schedule()))


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (made_from(DDIMScheduler, released_schedule()), "for epsilon; .* trained for v_prediction"),
        (made_from(EulerDiscreteScheduler, own_schedule(), beta_end=0.02), "at timestep"),
        (
            made_from(EulerDiscreteScheduler, own_schedule(), rescale_betas_zero_snr=False),
            "at timestep 999 alpha is 0.00466, not 0",
        ),
        (
            made_from(UniPCMultistepScheduler, own_schedule(), timestep_spacing="leading"),
            "must start sampling at the last",
        ),
        (
            DDIMScheduler(num_train_timesteps=500, prediction_type="v_prediction"),
            "knows 500 timesteps; training had 1000",
        ),
        (FlowMatchEulerDiscreteScheduler(), "no noise schedule of alphas"),
    ],
)
def test_schedulers_of_another_training_are_refused(
    scheduler: SchedulerMixin, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        check_schedule(scheduler, NoiseSchedule.of(own_schedule()))


@pytest.mark.parametrize("kind", ZERO_SNR)
def test_a_perfect_network_recovers_the_latent_by_any_of_them(kind: type) -> None:
    scheduler = made_from(kind, own_schedule())
    alphas = own_schedule().alphas_cumprod
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    generators = generators_of([5, 6])

    def perfect(z: Tensor, t: Tensor) -> Tensor:
        alpha = alphas[int(t)]
        noise = (z - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * clean

    start = standard_normal(generators, (4, 8, 8))
    made = denoise(perfect, start, scheduler, 12, generators)
    assert (made - clean).abs().max() <= (0.3 if kind is DDPMScheduler else 0.05)


@pytest.fixture
def swapped(pipeline: RefAdGenPipeline) -> Callable[[type], None]:
    """Puts another scheduler in; the fixture's end puts the first one back."""

    def swap(kind: type) -> None:
        pipeline.scheduler = made_from(kind, own_schedule())

    yield swap  # pyright: ignore[reportReturnType]
    pipeline.scheduler = own_schedule()


@pytest.mark.parametrize(
    "kind", [DPMSolverMultistepScheduler, UniPCMultistepScheduler, EulerAncestralDiscreteScheduler]
)
def test_a_sample_is_the_same_alone_and_in_a_batch_by_any_of_them(
    kind: type,
    swapped: Callable[[type], None],
    render: Render,
    pipeline: RefAdGenPipeline,
    inputs: Inputs,
) -> None:
    swapped(kind)
    together = render()
    alone = render(
        prompts=inputs.prompts[1:2],
        negative_prompts=inputs.negatives[1:2],
        references=pipeline.encode_references(inputs.pictures).select([1]),
        masks=inputs.masks[1:2],
        frames=inputs.frames[1:2],
        seeds=inputs.seeds[1:2],
    )
    assert (alone - together[1:2]).square().mean() <= 1e-5  # 50 dB


def test_the_pipeline_refuses_a_scheduler_of_another_training(
    swapped: Callable[[type], None], render: Render
) -> None:
    swapped(PNDMScheduler)
    with pytest.raises(ModelError, match="PNDMScheduler expects another share of noise"):
        render()
