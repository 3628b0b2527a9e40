"""The batch engine on a small model of random weights: order, what is computed once, memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adloom.errors import (
    DeviceError,
    LeaseLostError,
    OutOfMemoryError,
    RenderArgumentError,
    RenderError,
    StorageUnavailableError,
)
from models.refadgen.engine import BatchEngine
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.render_items import NotRendered, Outcome, Picture, Rendered, RenderItem

RNG = np.random.default_rng(0)
PICTURES = {name: RNG.integers(0, 256, (64, 64, 3), np.uint8) for name in ("cup", "box", "vase")}
AMPLE = 2**30


@pytest.fixture
def engine(pipeline: RefAdGenPipeline) -> BatchEngine:
    return BatchEngine(pipeline, AMPLE)


def item(name: str, reference: str = "cup", size: tuple[int, int] = (64, 96)) -> RenderItem:
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 : height - 16, 16 : width - 16] = 255
    frame = (width / 2, height / 2, 47.0)
    seed = len(name) + ord(name[-1])
    return RenderItem(reference, "a red cup", "white", mask, frame, seed, steps=2, name=name)


def render(engine: BatchEngine, items: list[RenderItem], at_most: int = 4) -> dict[str, Outcome]:
    return {o.item.name: o for o in engine.render(iter(items), PICTURES.__getitem__, at_most)}


def pictures(outcomes: dict[str, Outcome]) -> dict[str, Picture]:
    assert all(isinstance(o, Rendered) for o in outcomes.values()), outcomes
    return {name: o.picture for name, o in outcomes.items() if isinstance(o, Rendered)}


def psnr_db(a: Picture, b: Picture) -> float:
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


@contextmanager
def watched(network: nn.Module, look: Callable[[int], None]) -> Iterator[None]:
    """`look` is told the batch size of each forward of a network."""

    def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        look(len(args[0]))

    handle = network.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def holding_at_most(network: nn.Module, batch: int) -> Iterator[list[int]]:
    """A device on which a network's forward of more than `batch` samples does not fit. Gives the
    sizes that were tried."""
    tried: list[int] = []

    def look(size: int) -> None:
        tried.append(size)
        if size > batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with watched(network, look):
        yield tried


def test_micro_batches_of_mixed_products_and_sizes_come_as_they_fill(engine: BatchEngine) -> None:
    items = [
        item("tall-1"),
        item("wide-1", size=(96, 64)),
        item("tall-2", "box"),
        item("few-steps"),
        item("wide-2", "vase", (96, 64)),
    ]
    items[3] = replace(items[3], steps=1)
    made = render(engine, items, at_most=2)
    assert list(made) == ["tall-1", "tall-2", "wide-1", "wide-2", "few-steps"]
    assert {n: p.shape for n, p in pictures(made).items()} == {
        "tall-1": (96, 64, 3),
        "tall-2": (96, 64, 3),
        "wide-1": (64, 96, 3),
        "wide-2": (64, 96, 3),
        "few-steps": (96, 64, 3),
    }


def test_items_are_taken_as_they_are_needed(engine: BatchEngine) -> None:
    taken: list[str] = []

    def items() -> Iterator[RenderItem]:
        for i in range(100):
            taken.append(f"item-{i}")
            yield item(taken[-1])

    outcomes = engine.render(items(), PICTURES.__getitem__, 2)
    assert next(outcomes).item.name == "item-0"
    assert taken == ["item-0", "item-1"]
    outcomes.close()


def test_a_picture_is_the_same_alone_and_in_a_batch(engine: BatchEngine) -> None:
    items = [item("a"), item("b", "box"), item("c", "vase"), item("d")]
    together = pictures(render(engine, items, at_most=4))
    alone = pictures(render(engine, items, at_most=1))
    assert min(psnr_db(together[n], alone[n]) for n in together) >= 50
    assert psnr_db(together["a"], together["d"]) < 40, "the seeds have no say"


def test_references_and_texts_are_encoded_once(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    references: list[int] = []
    texts: list[int] = []
    asked: list[str] = []

    def picture(key: str) -> Picture:
        asked.append(key)
        return PICTURES[key]

    def run(names: str) -> None:
        products, colours = ("cup", "box", "cup", "box"), ("red", "blue", "red", "red")
        items = [
            replace(item(name, product), prompt=f"a {colour} cup")
            for name, product, colour in zip(names, products, colours, strict=True)
        ]
        assert len(list(engine.render(items, picture, 2))) == 4

    with (
        watched(pipeline.reference_unet.conv_in, references.append),
        watched(pipeline.text_encoder.embeddings.token_embedding, texts.append),
    ):
        run("abcd")
        run("efgh")
    assert references == [1] * 4, "two products in two contexts each"
    assert texts == [1] * 3, "two prompts and one negative prompt"
    assert asked == ["cup", "box"]


def test_the_reference_cache_is_bounded_and_says_what_it_holds(pipeline: RefAdGenPipeline) -> None:
    one = pipeline.encode_references(torch.rand(1, 3, 64, 64)).nbytes
    engine = BatchEngine(pipeline, 2 * one)
    encoded: list[int] = []
    with watched(pipeline.reference_unet.conv_in, encoded.append):
        made = pictures(render(engine, [item(n, n) for n in PICTURES], at_most=3))
        kept = engine.features.references
        assert (len(kept), kept.held_bytes, kept.limit_bytes) == (2, 2 * one, 2 * one)
        render(engine, [item("box", "box"), item("vase", "vase")])
        assert len(encoded) == 2 * 3, "the two used last are still there"
        render(engine, [item("cup", "cup")])
        assert len(encoded) == 2 * 4
    assert kept.evicted == 2
    narrow = BatchEngine(pipeline, one - 1)
    again = pictures(render(narrow, [item(n, n) for n in PICTURES], at_most=3))
    assert len(narrow.features.references) == 0
    assert all(np.array_equal(made[n], again[n]) for n in made)


def test_out_of_memory_halves_the_micro_batch_and_the_size_is_remembered(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    items = [item(n) for n in "abcdefg"]
    expected = pictures(render(engine, items, at_most=7))
    with holding_at_most(pipeline.unet.conv_out, 2 * 3) as tried:  # both guidance halves of three
        made = pictures(render(engine, items, at_most=7))
    assert list(made) == list("abcdefg")
    assert min(psnr_db(made[n], expected[n]) for n in made) >= 50
    assert tried == [14, 6, 6, 6, 6, 2, 2], "7 at once, then 3, 3 and 1, two steps each"
    with holding_at_most(pipeline.unet.conv_out, 2 * 3) as tried:
        render(engine, items, at_most=7)
        assert max(tried) == 6, "what did not fit was tried again"
        render(engine, [item(n, size=(96, 64)) for n in "abcd"])
        assert max(tried) == 8, "another native size has its own"


def test_a_picture_that_does_not_fit_alone_is_named_and_the_others_are_made(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    wide = [item("w1", size=(96, 64)), item("w2", size=(96, 64))]
    render(engine, [item("t0")])
    assert len(engine.features.references) == 1

    def look(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        if args[0].shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = pipeline.unet.conv_in.register_forward_pre_hook(look)
    try:
        made = render(engine, [*wide, item("t1")])
    finally:
        handle.remove()
    for name in ("w1", "w2"):
        outcome = made[name]
        assert isinstance(outcome, NotRendered)
        assert isinstance(outcome.error, OutOfMemoryError)
        assert "a picture of 96x64 px does not fit even alone" in str(outcome.error)
        assert outcome.error.__traceback__ is None
    assert isinstance(made["t1"], Rendered)


def test_decoding_that_does_not_fit_goes_by_halves_and_renders_nothing_again(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    items = [item(n) for n in "abcde"]
    expected = pictures(render(engine, items, at_most=5))
    steps: list[int] = []
    with (
        watched(pipeline.unet.conv_out, steps.append),
        holding_at_most(pipeline.vae.to_picture, 2) as tried,
    ):
        made = pictures(render(engine, items, at_most=5))
        assert steps == [10, 10]
        assert tried == [5, 2, 2, 1]
        render(engine, items, at_most=5)
        assert tried[4:] == [2, 2, 1]
    assert max(np.abs(made[n].astype(int) - expected[n]).max() for n in made) <= 1


def test_one_that_cannot_be_decoded_alone_has_an_error(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    steps: list[int] = []
    with (
        watched(pipeline.unet.conv_out, steps.append),
        holding_at_most(pipeline.vae.to_picture, 0),
    ):
        made = render(engine, [item("a"), item("b")])
        with pytest.raises(OutOfMemoryError, match="64x96 px does not fit even alone"):
            engine.at_once([item("a")], PICTURES.__getitem__)
    assert all(isinstance(o, NotRendered) for o in made.values())
    assert steps == [4, 4, 2, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mask": np.zeros((96, 64), np.uint8)}, "masks: mask 0 is empty"),
        ({"mask": np.ones((96, 64))}, r"items\[\].mask: float64"),
        ({"mask": np.full((96, 60), 255, np.uint8)}, "60x96.*multiples of 16 px, such as 64x96"),
        ({"reference_scale": -1.0}, "reference_scale: lambda is -1"),
        ({"prompt": "a " * 20}, r"prompts\[0\]: 22 tokens, of which the text encoder reads 12"),
        ({"negative_prompt": "a " * 20}, r"negative_prompts\[0\]: 22 tokens"),
        ({"seed": -1}, "seeds: seed -1"),
        ({"frame": (1.0, 1.0, -1.0)}, "frames"),
        ({"reference": "flat"}, r"references\['flat'\]: uint8 of shape \(64, 64\)"),
    ],
)
def test_an_item_that_cannot_be_rendered_is_named_and_the_others_are_made(
    engine: BatchEngine, changed: dict[str, object], message: str
) -> None:
    known = {**PICTURES, "flat": np.zeros((64, 64), np.uint8)}
    items = [item("a"), replace(item("bad"), **changed), item("c")]
    made = {o.item.name: o for o in engine.render(items, known.__getitem__, 4)}
    assert isinstance(made["a"], Rendered)
    assert isinstance(made["c"], Rendered)
    bad = made["bad"]
    assert isinstance(bad, NotRendered)
    assert isinstance(bad.error, RenderArgumentError)
    with pytest.raises(RenderArgumentError, match=message):
        raise bad.error


def test_long_prompts_may_be_cut_by_consent(pipeline: RefAdGenPipeline) -> None:
    engine = BatchEngine(pipeline, AMPLE, truncate_prompts=True)
    long = render(engine, [replace(item("a"), prompt="red cup " * 20)])
    short = render(engine, [replace(item("a"), prompt="red cup " * 5)])
    assert np.array_equal(pictures(long)["a"], pictures(short)["a"])


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("network", ["unet.conv_out", "vae.to_picture"])
def test_a_picture_that_became_nan_is_no_black_picture(
    engine: BatchEngine, pipeline: RefAdGenPipeline, network: str, value: str
) -> None:
    def spoil(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return torch.full_like(output, float(value))

    handle = attrgetter(network)(pipeline).register_forward_hook(spoil)
    try:
        made = render(engine, [item("a"), item("b")])
    finally:
        handle.remove()
    for outcome in made.values():
        assert isinstance(outcome, NotRendered)
        assert isinstance(outcome.error, RenderError)
        assert "became NaN" in str(outcome.error)


def test_what_is_no_longer_wanted_is_not_made(engine: BatchEngine) -> None:
    asked: list[list[str]] = []

    def still_wanted(items: list[RenderItem]) -> list[RenderItem]:
        asked.append([i.name for i in items])
        return [i for i in items if i.name != "b"] if len(asked) < 2 else []

    items = [item(n) for n in "abcd"]
    made = [o.item.name for o in engine.render(items, PICTURES.__getitem__, 2, still_wanted)]
    assert made == ["a"]
    assert asked == [["a", "b"], ["c", "d"]]

    def lost(_: list[RenderItem]) -> list[RenderItem]:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        list(engine.render(items, PICTURES.__getitem__, 2, lost))


def test_outages_and_a_broken_device_end_the_work(
    engine: BatchEngine, pipeline: RefAdGenPipeline
) -> None:
    def away(_: str) -> Picture:
        raise StorageUnavailableError("the store does not answer")

    with pytest.raises(StorageUnavailableError):
        list(engine.render([item("a")], away, 2))

    def broken(_: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)

    with (
        watched(pipeline.unet.conv_in, broken),
        pytest.raises(DeviceError, match=r"illegal memory access.*start this process again"),
    ):
        list(engine.render([item("a"), item("b")], PICTURES.__getitem__, 2))
