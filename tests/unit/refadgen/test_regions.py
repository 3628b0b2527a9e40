"""Sampling that tells the product from its scene."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from adloom.errors import ModelError
from adloom.render_spec import EXACT, Shortcuts
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.regions import Regions
from models.refadgen.sampling import Guidance, denoise, generators_of, standard_normal
from models.refadgen.schedules import own_schedule, sampler_named
from tests.unit.refadgen.conftest import SIDE, Inputs, small_pipeline

SHAPE = (4, 8, 8)
ALL: dict[str, float] = {"product_noise_scale": 0.8, "product_guidance": 0.2, "scene_eta": 1.0}
DETAILS: dict[str, float] = {"detail_guidance": 0.25, "detail_below": 0.5}


def left_half() -> Tensor:
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    return mask


def pointwise(z: Tensor, t: Tensor) -> Tensor:
    """A prediction at each place from that place alone."""
    return torch.tanh(z) + 1e-3 * t


def made_with(regions: Regions, mask: Tensor, seeds: list[int], steps: int = 6) -> Tensor:
    scheduler, generators = own_schedule(), generators_of(seeds)
    start = regions.start(standard_normal(generators, SHAPE), mask)
    step = regions.steps_of(scheduler, mask, generators)
    return denoise(pointwise, start, scheduler, steps, generators, step=step)


def rendered(pipeline: RefAdGenPipeline, inputs: Inputs, shortcuts: Shortcuts = EXACT) -> Tensor:
    return pipeline.render(
        inputs.prompts,
        inputs.negatives,
        pipeline.encode_references(inputs.pictures).select(inputs.products),
        inputs.masks,
        inputs.frames,
        inputs.seeds,
        steps=3,
        shortcuts=shortcuts,
    )


def third_alone(inputs: Inputs) -> Inputs:
    return Inputs(
        inputs.pictures, inputs.prompts[2:3], inputs.negatives[2:3], inputs.masks[2:3],
        inputs.frames[2:3], inputs.seeds[2:3], inputs.products[2:3],
    )  # fmt: skip


def test_noise_has_the_deviation_of_its_region() -> None:
    noise = standard_normal(generators_of([1, 2]), SHAPE)
    scaled = Regions(noise=0.9, product_noise=0.7).start(noise, left_half())
    assert torch.allclose(scaled[..., :4], 0.7 * noise[..., :4])
    assert torch.allclose(scaled[..., 4:], 0.9 * noise[..., 4:])
    assert torch.equal(Regions().start(noise, left_half()), noise)


def test_the_product_has_its_share_of_the_guidance() -> None:
    a, b = (
        standard_normal(generators_of([1, 2]), SHAPE),
        standard_normal(generators_of([3, 4]), SHAPE),
    )
    made = Guidance(5.0, product_share=0.25).combine(a, b, left_half())
    assert torch.allclose(made[..., :4], Guidance(2.0).combine(a, b)[..., :4], atol=1e-6)
    assert torch.allclose(made[..., 4:], Guidance(5.0).combine(a, b)[..., 4:], atol=1e-6)
    all_over = torch.ones(2, 1, 8, 8)
    assert torch.allclose(Guidance(5.0, product_share=0.0).combine(a, b, all_over), b, atol=1e-6)


def test_details_have_their_share_of_the_guidance_below_their_part_of_the_schedule() -> None:
    guidance = Guidance(5.0, rescale=0.5, product_share=0.5, detail_share=0.25, detail_below=500.0)
    assert guidance.at(torch.tensor(500)) == guidance.at(torch.tensor(999)) == guidance
    late = guidance.at(torch.tensor(499))
    assert late.scale == 2.0
    assert late.at(torch.tensor(499)) == late
    a, b = (standard_normal(generators_of([s, s + 1]), SHAPE) for s in (1, 3))
    nowhere, all_over = torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    scene, product = Guidance(2.0, rescale=0.5), Guidance(1.5, rescale=0.5)
    assert torch.allclose(late.combine(a, b, nowhere), scene.combine(a, b), atol=1e-6)
    assert torch.allclose(late.combine(a, b, all_over), product.combine(a, b), atol=1e-6)
    none = Guidance(5.0, detail_share=0.0, detail_below=500.0).at(torch.tensor(0))
    assert not none.acts_at(torch.tensor(0))


def test_without_guidance_for_details_one_half_alone_is_rendered_there(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    """As the shortcut does."""
    plain = remade(pipeline)
    made = rendered(remade(pipeline, detail_guidance=0.0, detail_below=0.5), inputs)
    assert torch.equal(made, rendered(plain, inputs, Shortcuts(guided_above=0.5)))
    assert not torch.allclose(made, rendered(plain, inputs), atol=1e-3)


def test_the_product_takes_no_fresh_noise() -> None:
    calm = made_with(Regions(), left_half(), [1, 2])
    lively = made_with(Regions(scene_eta=1.0), left_half(), [1, 2])
    assert torch.allclose(lively[..., :4], calm[..., :4], atol=1e-5)
    assert float((lively - calm)[..., 4:].abs().mean()) > 0.05


def test_a_scene_alone_is_sampled_as_diffusers_does() -> None:
    nowhere = torch.zeros(2, 1, 8, 8)
    ours = made_with(Regions(scene_eta=0.6), nowhere, [1, 2])
    scheduler, generators = own_schedule(), generators_of([1, 2])
    z = standard_normal(generators, SHAPE)
    scheduler.set_timesteps(6)
    for t in scheduler.timesteps:
        made = scheduler.step(pointwise(z, t), int(t), z, eta=0.6, generator=list(generators))  # pyright: ignore[reportArgumentType]
        z = made.prev_sample  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.allclose(ours, z, atol=1e-5)


def test_fresh_noise_depends_on_its_own_seed_alone() -> None:
    together = made_with(Regions(scene_eta=1.0), left_half(), [1, 2])
    alone = made_with(Regions(scene_eta=1.0), left_half()[:1], [2])
    assert torch.allclose(together[1:], alone, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_everywhere_as_much_noise_is_left_as_the_network_expects(share: float) -> None:
    """Of a network that knows the clean latent, whatever part of a token the product covers."""
    clean, scheduler = torch.randn(2, 4, 64, 64, generator=generators_of([9])[0]), own_schedule()
    mask, generators = torch.full((2, 1, 64, 64), share), generators_of([5, 6])
    step = Regions(scene_eta=1.0).steps_of(scheduler, mask, generators)
    deviations: list[float] = []

    def perfect(z: Tensor, t: Tensor) -> Tensor:
        alpha = scheduler.alphas_cumprod[t]
        eps = (z - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        deviations.append(float(eps.std()))
        return alpha.sqrt() * eps - (1 - alpha).sqrt() * clean

    start = standard_normal(generators, (4, 64, 64))
    made = denoise(perfect, start, scheduler, 20, step=step)
    assert len(deviations) == 20
    assert deviations == pytest.approx([1.0] * 20, abs=0.02)
    assert torch.allclose(made, clean, atol=1e-3)


def test_other_samplers_take_their_own_steps() -> None:
    mask, generators = left_half(), generators_of([1, 2])
    assert Regions(scene_eta=1.0).steps_of(own_schedule(), mask, generators) is not None
    assert Regions().steps_of(own_schedule(), mask, generators) is None
    other = sampler_named("dpm++", DDIMScheduler.from_config(own_schedule().config))
    assert Regions(scene_eta=1.0).steps_of(other, mask, generators) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_scale", 0.0),
        ("noise_scale", 1.5),
        ("product_noise_scale", 0.0),
        ("product_guidance", -0.1),
        ("product_guidance", 1.1),
        ("scene_eta", float("nan")),
        ("scene_eta", None),
        ("detail_guidance", 1.5),
        ("detail_below", -0.5),
        ("noise_scale", "much"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=name):
        RefAdGenPipeline(**small_pipeline().components, **{name: value})


def test_the_product_s_noise_is_the_scene_s_where_none_is_given() -> None:
    made = RefAdGenPipeline(**small_pipeline().components, noise_scale=0.8)
    assert made.regions == Regions(noise=0.8, product_noise=0.8)


def test_regions_are_saved_with_the_weights(tmp_path: Path, pipeline: RefAdGenPipeline) -> None:
    remade(pipeline, **ALL, **DETAILS).save_pretrained(tmp_path / "model")
    assert RefAdGenPipeline.from_pretrained(tmp_path / "model").regions == Regions(
        1.0, 0.8, 0.2, 1.0, 0.25, 0.5
    )


@pytest.mark.parametrize(
    "asked",
    [{"product_noise_scale": 0.8}, {"product_guidance": 0.2}, {"scene_eta": 1.0}, DETAILS],
)
def test_each_changes_the_picture_and_none_depends_on_the_batch(
    asked: dict[str, float], pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    other = remade(pipeline, **asked)
    made = rendered(other, inputs)
    assert torch.equal(made, rendered(other, inputs))
    assert not torch.allclose(made, rendered(pipeline, inputs), atol=1e-3)
    assert torch.allclose(rendered(other, third_alone(inputs)), made[2:3], atol=1e-4)


@pytest.mark.parametrize("shortcuts", [Shortcuts(reuse_every=2), Shortcuts(guided_below=0.7)])
def test_regions_go_with_shortcuts(
    shortcuts: Shortcuts, pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    asked = {**ALL, **DETAILS}
    other = remade(pipeline, **asked)
    made = rendered(other, inputs, shortcuts)
    assert not torch.allclose(made, rendered(other, inputs), atol=1e-3)
    for left_out in asked:
        fewer = {name: value for name, value in asked.items() if name != left_out}
        assert not torch.allclose(made, rendered(remade(pipeline, **fewer), inputs, shortcuts))
    assert torch.allclose(rendered(other, third_alone(inputs), shortcuts), made[2:3], atol=1e-4)


def test_features_kept_for_two_halves_are_not_taken_for_one(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    other = remade(pipeline, detail_guidance=0.0, detail_below=0.7)
    made = rendered(other, inputs, Shortcuts(reuse_every=2))
    alone = rendered(other, third_alone(inputs), Shortcuts(reuse_every=2))
    assert torch.allclose(alone, made[2:3], atol=1e-4)


def test_regions_in_bfloat16_draw_the_same_noise(inputs: Inputs) -> None:
    exact = rendered(remade(small_pipeline(), **ALL), inputs)
    made = rendered(remade(small_pipeline(), **ALL).to(torch.bfloat16), inputs)
    plain = rendered(remade(small_pipeline()), inputs)
    error = float((made.float() - exact).abs().mean())
    assert error < 0.2 * float((plain - exact).abs().mean())


def remade(pipeline: RefAdGenPipeline, **asked: float) -> RefAdGenPipeline:
    fixed = {"reference_size": SIDE, "mask_resize": "area"}
    made = RefAdGenPipeline(**pipeline.components, **fixed, **asked)
    made.set_progress_bar_config(disable=True)
    return made


def test_a_share_of_the_guidance_is_rescaled_by_itself() -> None:
    a, b = (
        standard_normal(generators_of([1, 2]), SHAPE),
        standard_normal(generators_of([3, 4]), SHAPE),
    )
    made = Guidance(5.0, rescale=0.5, product_share=0.25).combine(a, b, left_half())
    assert torch.allclose(made[..., :4], Guidance(2.0, 0.5).combine(a, b)[..., :4], atol=1e-6)
    assert torch.allclose(made[..., 4:], Guidance(5.0, 0.5).combine(a, b)[..., 4:], atol=1e-6)
    with pytest.raises(ValueError, match="mask"):
        Guidance(5.0, product_share=0.25).combine(a, b)
