"""The benchmark's contenders do the same work: what differs is how long it takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks import refadgen_contenders as contenders
from benchmarks.refadgen_contenders import Job
from benchmarks.refadgen_shapes import SD15, Shapes
from benchmarks.refadgen_speed import COLD, PLAIN, RELEASED, measure, print_rows
from models.refadgen.pipeline import RefAdGenPipeline
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
    assert (pipeline.config["guidance_rescale"], pipeline.config["noise_scale"]) == (0, 1)
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
    rows = measure(renders, 2, 3, "cpu", 1e12, dict.fromkeys(renders, 1e9))
    print_rows(rows)
    lines = capsys.readouterr().out.strip().splitlines()
    assert [row.contender for row in rows] == [COLD, RELEASED, PLAIN]
    assert (len(lines), "first s" in lines[0]) == (4, False)
