"""The benchmark's contenders do the same work: what differs is how long it takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks import refadgen_contenders as contenders
from benchmarks.gpu_session import parts
from benchmarks.refadgen_contenders import Job, Lever
from benchmarks.refadgen_shapes import SD15, Shapes
from benchmarks.refadgen_speed import (
    COLD,
    LEVERS,
    PLAIN,
    RELEASED,
    chosen_levers,
    counted_flops,
    measure,
    print_rows,
    rows_of,
)
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.regions import Regions
from tests.unit.refadgen.conftest import SIDE, randomise, small_pipeline

CANONICAL = Shapes("tiny", 64, 96, "canonical", SIDE)
ALIGNED = Shapes("tiny", 64, 96, "aligned")


@pytest.fixture
def aligned() -> RefAdGenPipeline:
    made = small_pipeline(position_frequencies=0, reference_frame="aligned")
    randomise(made.unet)
    randomise(made.reference_unet, 2)
    return made


def both(pipeline: RefAdGenPipeline, shapes: Shapes) -> tuple[Tensor, Tensor]:
    """Two pictures of ours with new products, and of the released way."""
    assert pipeline.config["guidance_rescale"] == 0
    assert pipeline.regions == Regions()
    job = Job(shapes, steps=2, guidance=4.0)
    return contenders.ours_cold(pipeline, job)(2), contenders.released(pipeline, job)(2)


def test_ours_gives_what_the_released_way_gives(
    pipeline: RefAdGenPipeline, aligned: RefAdGenPipeline
) -> None:
    for model, shapes in ((pipeline, CANONICAL), (aligned, ALIGNED)):
        ours, released = both(model, shapes)
        assert ours.shape == (2, 3, 96, 64)
        assert float(ours.std()) > 0.01
        assert torch.allclose(ours, released, atol=1e-4)


def test_a_lever_is_ours_with_one_thing_changed(pipeline: RefAdGenPipeline) -> None:
    job = Job(CANONICAL, steps=2, guidance=4.0)
    exact = contenders.ours(pipeline, job)(2)
    layout = contenders.pulled(LEVERS["channels last"])(pipeline, job)(2)
    assert torch.allclose(layout, exact, atol=1e-4)
    for network in (pipeline.unet, pipeline.reference_unet):  # the other contenders' are untouched
        assert network.conv_in.weight.is_contiguous()
    for name in ("product tokens only", "deep features every 2nd step"):
        assert not torch.allclose(contenders.pulled(LEVERS[name])(pipeline, job)(2), exact)


def test_a_levers_work_is_counted_as_ours_is(pipeline: RefAdGenPipeline) -> None:
    """What is kept from render to render, the references, is no part of either."""
    job = Job(CANONICAL, steps=3, guidance=4.0)
    lever = contenders.pulled(Lever())
    assert counted_flops(lever, pipeline, job, every=True) == pytest.approx(
        counted_flops(contenders.ours, pipeline, job), rel=1e-6
    )


def test_levers_are_chosen_by_name() -> None:
    assert chosen_levers("") == {}
    assert chosen_levers("all") == LEVERS
    assert list(chosen_levers("channels last, compiled; CUDA graphs")) == [
        "channels last, compiled", "CUDA graphs",
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="no lever 'none'"):
        chosen_levers("none")


def test_a_gpu_session_ends_within_ten_minutes_and_names_levers_that_exist() -> None:
    session = parts("cuda", tiny=False)
    assert sum(part.limit_s for part in session) < 600
    named = [p.arguments[p.arguments.index("--levers") + 1] for p in session[2:]]
    assert all(chosen_levers(names) for names in named)
    assert len({part.name for part in session}) == len(session) == 4


class Draws(TorchFunctionMode):
    """Counts the calls of torch.rand."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        self.count += func is torch.rand
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [contenders.ours_cold, contenders.released])
def test_pictures_are_drawn_once_per_batch_size(
    pipeline: RefAdGenPipeline, make: Callable[[RefAdGenPipeline, Job], contenders.Render]
) -> None:
    render = make(pipeline, Job(CANONICAL, steps=1, guidance=1.5))
    with Draws() as draws:
        counts = [(render(batch), draws.count)[1] for batch in (1, 1, 2, 1)]
    assert counts == [1, 1, 2, 2]


def test_sd15_refers_to_aligned_pictures_of_the_canvas_size() -> None:
    assert SD15.reference == (640, 512)
    assert "aligned references of 512x640" in SD15.described
    masks, frames = contenders.masks_and_frames(Job(SD15, 1, 4.0), 2)
    assert (masks.shape, frames) == ((2, 1, 640, 512), None)


def test_the_table_holds_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    renders = {name: lambda batch: torch.zeros(batch) for name in (COLD, RELEASED, PLAIN)}
    timed = measure(renders, 2, 3, "cpu")
    assert capsys.readouterr().out.count("ms/image") == 3  # a round each, as soon as it is measured
    rows = rows_of(timed, 2, 1e12, dict.fromkeys(renders, 1e9))
    print_rows(rows)
    lines = capsys.readouterr().out.strip().splitlines()
    assert [row.contender for row in rows] == [COLD, RELEASED, PLAIN]
    assert (len(lines), "first s" in lines[0]) == (4, False)
