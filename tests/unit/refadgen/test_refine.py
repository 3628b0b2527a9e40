"""The second pass: SDEdit over one tile, MultiDiffusion over many, the product as it was."""

import threading
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakSet

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from torch import Tensor

from adloom.errors import DeviceError, OutOfMemoryError, RenderArgumentError
from models.refadgen import refine as refine_module
from models.refadgen import refining
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.refine import SecondPass, Seen, refine, tiling_of
from models.refadgen.refining import RefineRequest
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from models.refadgen.sampling import Conditions, Guidance, guided_prediction, latent_mask
from tests.unit.refadgen.conftest import SIDE, randomise, small_pipeline

RNG = np.random.default_rng(5)
TILE = (96, 64)  # height, width
LARGE = (192, 128)
HOW = SecondPass(seed=9, steps=8, strength=0.4, guidance_scale=3.0, reference_scale=1.0)
FRAME = (64.0, 120.0, 94.0)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.rand(1, 3, *LARGE, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def seen(pipeline: RefAdGenPipeline) -> Seen:
    """Of a large picture, its product in the middle."""
    with torch.no_grad():
        text, none = (pipeline.text_encoders.encode([p]) for p in ("a red cup", ""))
    mask = torch.zeros(1, 1, *LARGE)
    mask[:, :, 80:160, 32:96] = 1
    reference = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    features = pipeline.encode_references(reference)
    tiles = len(tiling_of(pipeline, LARGE, TILE))
    return Seen(text, none, mask, torch.tensor(FRAME), features.select([0] * tiles))


@torch.no_grad()
def test_over_one_tile_it_is_sdedit(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen
) -> None:
    """Against SDEdit written down: noise up to t, then DDIM's steps from there, by hand."""
    tile = picture[:, :, : TILE[0], : TILE[1]]
    frame, mask = torch.tensor([[32.0, 60.0, 47.0]]), torch.zeros(1, 1, *TILE)
    alone = replace(seen, mask=mask, frame=frame[0], references=seen.references.select([0]))
    made = refine(pipeline, tile, alone, tiling_of(pipeline, TILE, TILE), HOW)

    clean = pipeline.encode_picture(tile)
    seed = refine_module._second_seed(HOW.seed)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    size = TILE[0] // 8, TILE[1] // 8
    conditions = Conditions(
        seen.text.hidden, seen.negative_text.hidden, latent_mask(mask, size, "area"),
        alone.references, pipeline.unet.frame_positions(frame, size, 8), HOW.reference_scale,
    )  # fmt: skip
    predict = guided_prediction(pipeline.unet, conditions, Guidance(3.0))
    alphas = pipeline.scheduler.alphas_cumprod
    steps = [999 - 125 * i for i in range(8)][-3:]  # round(0.4 * 8) of trailing's eight
    z = alphas[steps[0]].sqrt() * clean + (1 - alphas[steps[0]]).sqrt() * noise
    for t, after in zip(steps, [*steps[1:], None], strict=True):
        a, a_after = alphas[t], torch.tensor(1.0) if after is None else alphas[after]
        v = predict(z, torch.tensor(t))
        x, e = a.sqrt() * z - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * z
        z = a_after.sqrt() * x + (1 - a_after).sqrt() * e
    assert torch.allclose(made, pipeline.decode_picture(z), atol=1e-4)
    assert (made - pipeline.decode_picture(clean)).abs().mean() > 0.01


def test_as_many_tiles_at_once_as_one_likes(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen
) -> None:
    tiling = tiling_of(pipeline, LARGE, TILE)
    by_one, by_four = (
        refine(pipeline, picture, seen, tiling, replace(HOW, tiles_at_once=n)) for n in (1, 4)
    )
    assert len(tiling) == 9
    assert by_one.shape == picture.shape
    assert torch.allclose(by_one, by_four, atol=1e-4)


def test_memory_grows_with_the_tiles_at_once_alone(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: WeakSet[object] = WeakSet()
    most: list[int] = []
    real = refine_module.guided_prediction

    def watched(*args: object) -> object:
        made = real(*args)  # pyright: ignore[reportArgumentType]
        alive.add(made)
        most.append(len(alive))
        return made

    monkeypatch.setattr(refine_module, "guided_prediction", watched)
    one = seen.references.select([0])
    whole = replace(seen, references=one.expanded(9))
    made = refine(pipeline, picture, whole, tiling_of(pipeline, LARGE, TILE), HOW)
    assert max(most) == 1
    part = whole.references.part(slice(4, 8))
    assert len(part) == 4
    for name, keys in one.keys.items():
        assert part.keys[name].untyped_storage().data_ptr() == keys.untyped_storage().data_ptr()
    monkeypatch.undo()
    assert torch.equal(made, refine(pipeline, picture, seen, tiling_of(pipeline, LARGE, TILE), HOW))


def test_a_place_has_the_same_position_in_every_tile_that_shows_it(
    pipeline: RefAdGenPipeline, seen: Seen
) -> None:
    tiling = tiling_of(pipeline, LARGE, TILE)
    positions = refine_module._conditions(pipeline, seen, tiling, HOW).positions
    finest = positions[max(positions)].unflatten(1, tiling.tile)  # (T, h, w, P)
    shown: dict[tuple[int, int], Tensor] = {}
    for features, (top, left) in zip(finest, tiling.places, strict=True):
        for y in range(tiling.tile[0]):
            for x in range(tiling.tile[1]):
                place = (top + y, left + x)
                first = shown.setdefault(place, features[y, x])
                assert torch.allclose(first, features[y, x], atol=1e-4)
    whole = pipeline.unet.frame_positions(torch.tensor([FRAME]), tiling.size, 8)
    expected = whole[tiling.size[0] * tiling.size[1]][0].unflatten(0, tiling.size)
    assert torch.allclose(shown[9, 5], expected[9, 5], atol=1e-4)


@torch.no_grad()
def test_the_product_is_kept_and_the_background_drawn_again(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen
) -> None:
    tiling = tiling_of(pipeline, LARGE, TILE)
    made = refine(pipeline, picture, seen, tiling, HOW)
    pixels = tiling.times(8)
    latents = tiling.blend(pipeline.encode_picture(pixels.cut(picture)))
    as_it_was = pixels.blend(pipeline.decode_picture(tiling.cut(latents)))
    change = (made - as_it_was).abs().mean(1)[0]
    assert float(change[112:128, 56:72].max()) < 1e-4  # beyond the decoder's reach from the edge
    assert float(change[:48].mean()) > 0.01
    all_product = replace(seen, mask=torch.ones_like(seen.mask))
    assert torch.allclose(refine(pipeline, picture, all_product, tiling, HOW), as_it_was, atol=1e-5)


@pytest.mark.parametrize(
    "share", [{"product_guidance": 0.0}, {"detail_guidance": 0.0, "detail_below": 1.0}]
)
def test_a_models_share_of_the_guidance_on_the_product_and_on_details_is_minded(
    share: dict[str, float], pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen
) -> None:
    fixed = {"reference_size": SIDE, "mask_resize": "area"}
    calm = RefAdGenPipeline(**pipeline.components, **fixed, **share)
    tiling, half = tiling_of(pipeline, LARGE, TILE), replace(seen, mask=seen.mask / 2)
    made, otherwise = (refine(p, picture, half, tiling, HOW) for p in (calm, pipeline))
    inside = np.s_[..., 96:144, 48:80]
    assert (made - otherwise)[inside].abs().mean() > 1e-4
    alone = replace(HOW, guidance_scale=1.0)  # of which there is nothing to share
    assert torch.equal(*(refine(p, picture, half, tiling, alone) for p in (calm, pipeline)))


def test_more_strength_changes_more(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen
) -> None:
    tiling = tiling_of(pipeline, LARGE, TILE)
    none, little, much = (
        refine(pipeline, picture, seen, tiling, replace(HOW, strength=s)) for s in (0.01, 0.3, 0.9)
    )
    assert HOW.steps_taken == 3
    assert replace(HOW, strength=0.01).steps_taken == 1
    assert (little - none).abs().mean() < (much - none).abs().mean()


@pytest.mark.parametrize("scheduler", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_other_schedulers_come_to_nearly_the_same(
    picture: Tensor, seen: Seen, scheduler: type, pipeline: RefAdGenPipeline
) -> None:
    tiling = tiling_of(pipeline, LARGE, TILE)
    how = replace(HOW, steps=40, strength=0.3)
    by_ddim = refine(pipeline, picture, seen, tiling, how)
    own = pipeline.scheduler
    pipeline.scheduler = scheduler.from_config(own.config)
    try:
        made = refine(pipeline, picture, seen, tiling, how)
    finally:
        pipeline.scheduler = own
    assert (made - by_ddim).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"strength": 0.0}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"tiles_at_once": 0}, "tiles_at_once"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seeds"),
    ],
)
def test_what_cannot_be_is_named(
    pipeline: RefAdGenPipeline, picture: Tensor, seen: Seen, changed: dict, named: str
) -> None:
    with pytest.raises(RenderArgumentError) as caught:
        refine(pipeline, picture, seen, tiling_of(pipeline, LARGE, TILE), replace(HOW, **changed))
    assert caught.value.where == named


def test_tiles_that_the_model_cannot_render_are_refused(pipeline: RefAdGenPipeline) -> None:
    with pytest.raises(RenderArgumentError, match="multiples of 16 px"):
        tiling_of(pipeline, LARGE, (40, 64))
    with pytest.raises(RenderArgumentError, match="multiples of 8 px"):
        tiling_of(pipeline, (190, 128), TILE)


def request(**changed: object) -> RefineRequest:
    mask = np.zeros(LARGE, np.uint8)
    mask[80:160, 32:96] = 255
    given = RefineRequest(
        picture=RNG.integers(0, 256, (*LARGE, 3), np.uint8), mask=mask, frame=FRAME, tile=TILE,
        reference_key="cup", reference=RNG.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        prompt="a red cup", negative_prompt="", seed=9, strength=0.4, steps=5, guidance=3.0,
        reference_scale=1.0,
    )  # fmt: skip
    return replace(given, **changed)  # pyright: ignore[reportArgumentType]


def test_the_renderer_gives_the_same_again(pipeline: RefAdGenPipeline) -> None:
    renderer, asked = RefAdGenRenderer(pipeline, "hash", 2), request()
    made = renderer.refine(asked)
    assert (made.shape, made.dtype) == ((*LARGE, 3), np.uint8)
    assert np.array_equal(made, renderer.refine(asked))
    assert not np.array_equal(made, renderer.refine(replace(asked, seed=10)))
    with pytest.raises(RenderArgumentError, match="mask"):
        renderer.refine(replace(asked, mask=asked.mask[1:]))


def test_rendering_goes_on_beside_the_second_pass(pipeline: RefAdGenPipeline) -> None:
    """Finishing runs in a thread of its own: both use one scheduler."""
    renderer, asked = RefAdGenRenderer(pipeline, "hash", 2), request()
    item = RenderItem("cup", "a cup", "", asked.mask[::2, ::2], (32.0, 60.0, 47.0), 1, steps=7)
    rendering = RenderRequest({"cup": asked.reference}, [item])
    refined, rendered = renderer.refine(asked), renderer.render(rendering)[0]
    found: list[np.ndarray] = []
    other = threading.Thread(target=lambda: found.extend(renderer.refine(asked) for _ in range(3)))
    other.start()
    beside = [renderer.render(rendering)[0] for _ in range(6)]
    other.join()
    assert all(np.array_equal(picture, rendered) for picture in beside)
    assert len(found) == 3
    assert all(np.array_equal(picture, refined) for picture in found)


def test_an_aligned_model_sees_in_each_tile_what_of_the_product_stands_there() -> None:
    aligned = small_pipeline(position_frequencies=0, reference_frame="aligned")
    randomise(aligned.unet)
    renderer = RefAdGenRenderer(aligned, "hash", 2)
    placed = RNG.integers(0, 256, (*LARGE, 3), np.uint8)
    asked = request(reference=placed)
    made = renderer.refine(asked)
    moved = renderer.refine(replace(asked, reference=np.roll(placed, 60, axis=0)))
    assert made.shape == (*LARGE, 3)
    assert not np.array_equal(made, moved)
    with pytest.raises(RenderArgumentError, match="where it stands on the enlarged render"):
        renderer.refine(request())


def test_out_of_memory_halves_the_tiles_at_once(
    pipeline: RefAdGenPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    real = refining.refine

    def fits_two(pipeline, picture, seen, tiling, how):
        tried.append(how.tiles_at_once)
        if how.tiles_at_once > limit:
            raise torch.OutOfMemoryError
        return real(pipeline, picture, seen, tiling, how)

    monkeypatch.setattr(refining, "refine", fits_two)
    renderer, limit = RefAdGenRenderer(pipeline, "hash", 2), 2
    renderer.refine(request())
    assert tried == [4, 2]
    limit = 0
    with pytest.raises(OutOfMemoryError, match="9 tiles"):
        renderer.refine(request())


def test_a_device_that_fails_is_not_the_pictures_fault(
    pipeline: RefAdGenPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = RefAdGenRenderer(pipeline, "hash", 2)

    def fails(error: Exception) -> Callable[..., None]:
        def raise_it(*_: object) -> None:
            raise error

        return raise_it

    broken = torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)
    with monkeypatch.context() as patch:
        patch.setattr(refining, "refine", fails(broken))
        with pytest.raises(DeviceError, match="start this process again"):
            renderer.refine(request())
    with monkeypatch.context() as patch:  # before there is a tile to make
        patch.setattr(renderer.engine.features, "of_prompts", fails(torch.OutOfMemoryError()))
        with pytest.raises(OutOfMemoryError, match="128x192 px does not fit"):
            renderer.refine(request())
