"""What trades pixels for speed: each does what it says, and nothing while it is off."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from adloom.errors import ModelError, RenderArgumentError
from adloom.render_spec import SAMPLERS, Shortcuts
from models.refadgen.attention import Fusion
from models.refadgen.forward import Deep, Given, forward
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.product_tokens import product_area, product_only
from models.refadgen.sampling import Conditions, Guidance, guided_prediction
from models.refadgen.schedules import (
    NoiseSchedule,
    check_schedule,
    own_schedule,
    released_schedule,
    sampler_named,
)
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.conftest import Inputs, small_pipeline, small_unet

EVERYWHERE = torch.ones(1, 1, 8, 8)


def render(pipeline: RefAdGenPipeline, inputs: Inputs, **changed: object) -> Tensor:
    pictures = inputs.pictures.clone()
    pictures[0, :, :16] = 1  # white above the first product, and beside the second
    pictures[1, :, :, :40] = 1
    chosen = changed.pop("samples", range(len(inputs.prompts)))
    features = pipeline.encode_references(pictures)
    return pipeline.render(
        [inputs.prompts[i] for i in chosen],
        [inputs.negatives[i] for i in chosen],
        features.select([inputs.products[i] for i in chosen]),
        inputs.masks[list(chosen)],
        inputs.frames[list(chosen)],
        [inputs.seeds[i] for i in chosen],
        **{"steps": 4, **changed},  # pyright: ignore[reportArgumentType]
    )


def test_the_product_is_what_is_not_white_and_what_that_surrounds() -> None:
    picture = torch.ones(2, 3, 8, 8)
    picture[0, 1, 2:6, 2:6] = 0.5
    picture[0, :, 3:5, 3:5] = 1  # a white label
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:6, 2:6] = True
    area = product_area(picture)
    assert torch.equal(area[0], expected)
    assert bool(area[1].all())  # all white: nothing tells product from background


@pytest.mark.parametrize("few_shapes", [False, True])
@pytest.mark.parametrize("frequencies", [0, 3])
def test_product_tokens_only_equals_the_others_masked_out(
    frequencies: int, *, few_shapes: bool
) -> None:
    """Against -inf on the logits of every other token, on all layers."""
    unet = small_unet(frequencies).eval()
    torch.manual_seed(0)
    hidden = {
        n: torch.randn(2, 64 // 4 ** unet.level(n), p.to_k_ref.in_features)
        for n, p in unet.fusion_processors.items()
    }
    taken = {n: torch.rand(h.shape[:2]) < 0.5 for n, h in hidden.items()}
    for t in taken.values():
        t[:, 0] = True
    z, mask, text = torch.randn(2, 4, 8, 8), torch.rand(2, 1, 8, 8), torch.randn(2, 5, 32)
    positions = unet.frame_positions(torch.tensor([[30.0, 40.0, 47.0]] * 2), (8, 8), 8)
    with torch.no_grad():
        whole = Fusion(*unet.project_references(hidden), positions, 0.8)
        out = {
            n: torch.zeros(t.shape).masked_fill(~t, float("-inf"))[:, None, None]
            for n, t in taken.items()
        }
        expected = unet.predict(z, mask, 500, text, replace(whole, logits=out))
        only = product_only(whole, taken, few_shapes=few_shapes)
        if few_shapes:
            eighths = {only.keys[n].shape[2] / (h.shape[1] / 8) for n, h in hidden.items()}
            assert eighths <= set(range(1, 9))
        made = unet.predict(z, mask, 500, text, only)
        assert torch.allclose(made, expected, atol=1e-5)
        assert not torch.allclose(made, unet.predict(z, mask, 500, text, whole), atol=1e-3)


def test_product_tokens_only_gives_a_sample_the_same_alone_and_in_a_batch(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    only = Shortcuts(product_tokens_only=True)
    together = render(pipeline, inputs, shortcuts=only)
    alone = render(pipeline, inputs, shortcuts=only, samples=[1])
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert not torch.allclose(together, render(pipeline, inputs), atol=1e-4)


def test_references_without_their_products_area_are_refused(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    features = replace(pipeline.encode_references(inputs.pictures), product={})
    with pytest.raises(RenderArgumentError, match="references: do not say"):
        pipeline.render(
            inputs.prompts, inputs.negatives, features.select(inputs.products), inputs.masks,
            inputs.frames, inputs.seeds, shortcuts=Shortcuts(product_tokens_only=True),
        )  # fmt: skip


def test_guidance_over_the_whole_schedule_is_guidance_and_over_none_is_the_condition(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    exact, alone = render(pipeline, inputs), render(pipeline, inputs, guidance_scale=1.0)
    at_the_start = Shortcuts(guided_above=0.9999)  # 4 trailing steps: 999, 749, 499, 249
    parts = Shortcuts(guided_above=0.3, guided_below=0.6)
    assert torch.equal(exact, render(pipeline, inputs, shortcuts=Shortcuts()))
    assert torch.equal(alone, render(pipeline, inputs, shortcuts=at_the_start))
    some = render(pipeline, inputs, shortcuts=parts)
    assert not torch.allclose(some, exact, atol=1e-4)
    assert not torch.allclose(some, alone, atol=1e-4)


def test_outside_the_interval_one_half_is_run(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    batches: list[int] = []
    count = pipeline.unet.conv_out.register_forward_hook(
        lambda _m, _a, out: batches.append(len(out))
    )
    render(pipeline, inputs, shortcuts=Shortcuts(guided_above=0.3, guided_below=0.6))
    count.remove()
    assert batches == [4, 4, 8, 4]


def test_deep_features_are_computed_in_every_nth_step(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    exact = render(pipeline, inputs)
    runs: list[int] = []
    assert pipeline.unet.mid_block is not None
    count = pipeline.unet.mid_block.register_forward_hook(lambda *_: runs.append(1))
    made = render(pipeline, inputs, shortcuts=Shortcuts(reuse_every=3))
    count.remove()
    assert len(runs) == 2  # of 4 steps
    assert not torch.allclose(made, exact, atol=1e-4)


@pytest.mark.parametrize("frequencies", [0, 3])
def test_deep_features_of_the_same_step_change_nothing(frequencies: int) -> None:
    made = small_pipeline(position_frequencies=frequencies)
    unet, z, text = made.unet, torch.randn(1, 4, 8, 8), torch.randn(2, 5, 32)
    with torch.no_grad():
        whole, deep = unet.predict_with(None, z, EVERYWHERE, 500, text, None)
        again, _ = unet.predict_with(deep, z, EVERYWHERE, 500, text, None)
        assert deep is not None
        assert torch.equal(whole, again)
        other, _ = unet.predict_with(deep, z + 0.1, EVERYWHERE, 300, text, None)
        assert not torch.equal(other, unet.predict(z + 0.1, EVERYWHERE, 300, text, None))


def test_compiled_code_sees_few_numbers_of_product_tokens(inputs: Inputs) -> None:
    pipeline = small_pipeline(position_frequencies=0)
    few = Shortcuts(product_tokens_only=True)
    only, exact = render(pipeline, inputs, shortcuts=few), render(pipeline, inputs)
    shapes: set[tuple[int, ...]] = set()

    def compiled(unet: GenerationUNet, x: Tensor, given: Given, deep: Deep | None) -> object:
        assert given.fusion is not None
        for name, keys in given.fusion.keys.items():
            assert name in given.fusion.logits
            shapes.add((64 // 4 ** unet.level(name), keys.shape[-2]))
        return forward(unet, x, given, deep)

    pipeline.unet.run_by(compiled)  # pyright: ignore[reportArgumentType]
    made = [render(pipeline, inputs, samples=[i], shortcuts=few) for i in range(4)]
    assert torch.allclose(torch.cat(made), only, atol=1e-4)
    assert not torch.allclose(only, exact, atol=1e-4)
    assert all(tokens % -(-whole // 8) == 0 for whole, tokens in shapes)


def test_deep_features_outlive_the_next_forward() -> None:
    """A CUDA graph writes its next outputs over its last ones."""
    unet, text = small_unet().eval(), torch.randn(2, 5, 32)
    last: list[Tensor] = []

    def graph(unet: GenerationUNet, x: Tensor, given: Given, deep: Deep | None) -> object:
        for output in last:
            output.fill_(torch.nan)
        predicted, hidden = forward(unet, x, given, deep)
        assert hidden is not None
        last[:] = [predicted, hidden] if deep is None else [predicted]  # given ones are no outputs
        return predicted, hidden

    z = torch.randn(1, 4, 8, 8)
    unet.run_by(graph)  # pyright: ignore[reportArgumentType]
    deep = None
    with torch.no_grad():
        for _ in range(3):
            predicted, deep = unet.predict_with(deep, z, EVERYWHERE, 500, text, None)
            assert deep is not None
            assert bool(torch.isfinite(predicted).all())


def test_a_network_that_cannot_be_parted_says_so(pipeline: RefAdGenPipeline) -> None:
    unet = small_unet(up_block_types=("CrossAttnUpBlock2D", "AttnUpBlock2D"))
    made = small_pipeline()
    made.unet = unet
    features = pipeline.encode_references(torch.rand(1, 3, 64, 64))
    with pytest.raises(ModelError, match="reuse_every 1"):
        made.render(["a"], [""], features, torch.ones(1, 1, 64, 64), torch.ones(1, 3) * 32, [1],
                    shortcuts=Shortcuts(reuse_every=2))  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"guided_above": 0.5, "guided_below": 0.5}, {"guided_below": 1.5}, {"reuse_every": 0}]
)
def test_shortcuts_that_make_no_sense_are_refused(
    pipeline: RefAdGenPipeline, inputs: Inputs, wrong: dict[str, float]
) -> None:
    with pytest.raises(RenderArgumentError, match="shortcuts"):
        render(pipeline, inputs, shortcuts=Shortcuts(**wrong))  # pyright: ignore[reportArgumentType]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("given", [own_schedule, released_schedule])
def test_each_named_sampler_goes_with_the_weights_schedule(name: str, given: object) -> None:
    trained = given()  # pyright: ignore[reportCallIssue]
    check_schedule(sampler_named(name, trained), NoiseSchedule.of(trained))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_named_samplers_render(pipeline: RefAdGenPipeline, inputs: Inputs) -> None:
    exact = render(pipeline, inputs, sampler="ddim")
    assert torch.equal(exact, render(pipeline, inputs))
    for name in SAMPLERS[1:]:
        made = render(pipeline, inputs, sampler=name)
        assert bool(torch.isfinite(made).all())
        assert not torch.allclose(made, exact, atol=1e-4)


def test_an_unknown_sampler_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match=r"ddim, dpm\+\+"):
        sampler_named("plms", own_schedule())


def test_the_prediction_of_one_render_is_not_the_next_ones() -> None:
    """Deep features belong to one render: a new one starts without them."""
    made = small_pipeline(position_frequencies=0)
    features = made.encode_references(torch.rand(1, 3, 64, 64))
    text = torch.randn(1, 5, 32)
    conditions = Conditions(text, text, EVERYWHERE, features, {}, 1.0)
    z, t = torch.randn(1, 4, 8, 8), torch.tensor(500)
    with torch.no_grad():
        first = guided_prediction(made.unet, conditions, Guidance(3.0), 2)
        first(z, t)
        used = first(z + 1, t)
        fresh = guided_prediction(made.unet, conditions, Guidance(3.0), 2)(z + 1, t)
    assert not torch.equal(used, fresh)
