"""What one creative costs, stage by stage, against the cost of rendering it.

    python -m benchmarks.stages [--quick]

Photos are the demo's; the model is the shipped `mini`; nothing is stored. The ratio that counts is
(everything) / (rendering alone): what finishing, masks and scores add to the model's own time.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adloom.finishing_spec import FinishingSpec, ImageFormat
from adloom.geometry import FORMATS, Anchor, Placement, Size, cover, place_native
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.encode import encode
from adloom.imaging.finishing import finish
from adloom.imaging.views import own_mask
from adloom.imaging.warp import placed_mask
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from models.scoring.scorer import Scorer
from models.segmentation import MaskExtractor
from tasks.pictures import mask_box

ROOT = Path(__file__).parents[1]
PROMPT = "a red bottle on a white marble table, soft morning light, green leaves"


@dataclass(frozen=True)
class Stage:
    name: str
    ms: float
    calls: int


def timed(name: str, calls: int, work: Callable[[int], object]) -> Stage:
    """Median milliseconds of `calls` calls, after one to warm up."""
    work(0)
    seconds: list[float] = []
    for i in range(calls):
        started = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - started)
    return Stage(name, 1000 * statistics.median(seconds), calls)


def measure(calls: int, steps: int, batch: int) -> list[Stage]:
    files = sorted((ROOT / "demo" / "products" / "images").glob("*.jpg"))
    photos = [np.asarray(Image.open(f).convert("RGB")) for f in files]
    extractor, scorer = MaskExtractor.load(threads=2), Scorer.load(threads=2)
    renderer = RefAdGenRenderer.load(ROOT / "weights" / "mini")
    masks = [extractor.extract(p).mask for p in photos]
    boxes = [mask_box(m) for m in masks]
    fmt, placement = FORMATS["1:1"], Placement(Anchor.BOTTOM, 0.5, 0.82, 0.58, 0.78)
    native = fmt.native(renderer.native_unit)
    placed = [
        place_native(placement, Size(int(b.width), int(b.height)), fmt, renderer.native_unit)
        for b in boxes
    ]
    spec = FinishingSpec(fmt.canvas.width, fmt.canvas.height)

    def request(i: int) -> RenderRequest:
        n = i % len(photos)
        reference = canonical_picture(photos[n], masks[n], boxes[n], renderer.reference_size)
        mask = placed_mask(masks[n], boxes[n], placed[n], native)
        items = [
            RenderItem(
                str(n), PROMPT, "", mask, placed[n].product_frame, seed=k, steps=steps
            )
            for k in range(batch)
        ]  # fmt: skip
        return RenderRequest({str(n): reference}, items)

    raws = [renderer.render(request(i))[0] for i in range(min(4, len(photos)))]

    def shown(i: int) -> NDArray[np.uint8]:
        return own_mask(raws[i], placed[i], lambda r: extractor.extract(r).mask)

    own = [shown(i) for i in range(len(raws))]
    done = [
        finish(r, own[i], photos[i], masks[i], boxes[i], placed[i], spec)
        for i, r in enumerate(raws)
    ]
    canvas_boxes = [cover(native, fmt.canvas).to_canvas(b) for b in placed]

    def pick(i: int) -> int:
        return i % len(raws)

    render = timed(
        f"render ({steps} steps, batch {batch})", calls, lambda i: renderer.render(request(i))
    )
    return [
        timed("mask of a photo", calls, lambda i: extractor.extract(photos[pick(i)])),
        Stage(render.name, render.ms / batch, render.calls),
        timed("mask of the render", calls, lambda i: shown(pick(i))),
        timed("score the render", calls, lambda i: scorer.score_render(
            raws[n := pick(i)], photos[n], masks[n], boxes[n], placed[n], own[n])),
        timed("finish", calls, lambda i: finish(
            raws[n := pick(i)], own[n], photos[n], masks[n], boxes[n], placed[n], spec)),
        timed("score the finished image", calls, lambda i: scorer.score_final(
            done[n := pick(i)].image, photos[n], masks[n], boxes[n], canvas_boxes[n])),
        timed("encode WebP", calls, lambda i: encode(done[pick(i)].image, ImageFormat.WEBP, 90)),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few calls, few steps")
    options = parser.parse_args()
    calls, steps = (3, 4) if options.quick else (12, 20)
    stages = measure(calls, steps, batch=4)
    render = next(s.ms for s in stages if s.name.startswith("render"))
    each = sum(s.ms for s in stages[1:])
    width = max(len(s.name) for s in stages)
    for stage in stages:
        print(f"{stage.name:{width}}  {stage.ms:8.1f} ms  {stage.ms / render:6.3f} × render")
    print(
        f"{'one creative, without overlap':{width}}  {each:8.1f} ms  {each / render:6.3f} × render"
    )
    print(json.dumps({
        "benchmark": "stages", "steps": steps, "render_ms": round(render, 1),
        "creative_ms": round(each, 1), "creative_over_render": round(each / render, 3),
        "stages_ms": {s.name: round(s.ms, 1) for s in stages},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
