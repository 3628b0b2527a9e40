"""What each finishing upscaler costs, and what it does to the image.

    python -m benchmarks.upscalers [--quick] [--sheet FILE.jpg] [--strength S]

Demo photos, the shipped `mini`, 128 px renders to a canvas of 1080; nothing is stored. By upscaler,
means over the renders:

- s: finishing one image, and its ratio to rendering it;
- identity, sharpness: `final.*`;
- detail (at twice the render's size): brightness steps between neighbours outside the product, over
  those of `lanczos`;
- kept: PSNR (dB) of the finished image brought back to the render's size against the render,
  outside the product: how far the upscaler keeps to the picture;
- seam (at twice the render's size, where tiles of `refine` end): brightness steps across those
  lines over the steps across the other lines of the autoencoder's grid, outside the product. What
  there is without tiles is what `lanczos` has.

A network is measured where one is installed (see docs/finishing.md).
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
from PIL import Image

from adloom.errors import ModelError
from adloom.finishing_spec import LANCZOS, FinishingSpec, Upscaler, Upscaling
from adloom.geometry import FORMATS, Anchor, Placement, Size, cover, place_native
from adloom.imaging.arrays import Mask, Rgb
from adloom.imaging.background import upscaled
from adloom.imaging.finishing import finish
from adloom.imaging.views import own_mask
from adloom.imaging.warp import placed_mask
from adloom.render_spec import RenderSpec, Sampler
from models.scoring.scorer import Scorer
from models.segmentation import MaskExtractor
from tasks import resident
from tasks.environment import Rendering
from tasks.pictures import ProductPicture, mask_box
from tasks.rendering import SpecItems
from tasks.upscaling import REFINED, Upscalers

ROOT = Path(__file__).parents[1]
RENDERING = Rendering(ROOT / "weights", threads=1)
FORMAT = FORMATS["1:1"]
PLACEMENT = Placement(Anchor.BOTTOM, 0.5, 0.82, 0.58, 0.78)
PROMPTS = (
    "a bottle on a white marble table, soft morning light, green leaves",
    "a bottle on a pink podium, soft daylight, pastel balls, pink studio wall",
    "a bottle on a wooden table, soft daylight, green leaves",
)
GRID_PX = 8  # of mini's autoencoder


class Pictures:
    """The demo's photos by the name of their file, as `tasks.pictures` gives a catalogue's."""

    def __init__(self, extractor: MaskExtractor) -> None:
        folder = ROOT / "demo" / "products" / "images"
        self._extractor, self._kept = extractor, dict[str, ProductPicture]()
        self.names = [f.stem for f in sorted(folder.glob("*.jpg"))]
        self._folder = folder

    def get(self, photo: str, _: str) -> ProductPicture:
        if photo not in self._kept:
            rgb = np.asarray(Image.open(self._folder / f"{photo}.jpg").convert("RGB"))
            mask = self._extractor.extract(rgb).mask
            self._kept[photo] = ProductPicture(rgb, mask, mask_box(mask))
        return self._kept[photo]


@dataclass(frozen=True)
class Case:
    """One render, what it shows, and what rendering it took."""

    spec: RenderSpec
    raw: Rgb
    shown: Mask
    product: ProductPicture
    seconds: float


@dataclass(frozen=True)
class Row:
    upscaler: str
    seconds: float
    identity: float
    sharpness: float
    detail: float
    kept_db: float
    seam: float


def cases(count: int) -> list[Case]:
    """Demo products in turn over the prompts, each rendered alone."""
    renderer = resident.renderer("mini", RENDERING)
    extractor = resident.extractor(RENDERING)
    pictures, found = Pictures(extractor), []
    for i, name in enumerate(pictures.names[:: max(1, len(pictures.names) // count)][:count]):
        product = pictures.get(name, "")
        size = Size(round(product.bbox.width), round(product.bbox.height))
        box = place_native(PLACEMENT, size, FORMAT, renderer.native_unit)
        spec = RenderSpec(
            name, "", PROMPTS[i % len(PROMPTS)], "", box, FORMAT.native(renderer.native_unit),
            Sampler(), 7 + i, renderer.weights_hash, renderer.dtype,
        )  # fmt: skip
        items = SpecItems(renderer, pictures)  # pyright: ignore[reportArgumentType]
        item = items.item(name, spec)
        started = time.perf_counter()
        (raw,) = renderer.engine.at_once([item], items.reference)
        seconds = time.perf_counter() - started
        shown = own_mask(raw, box, lambda r: extractor.extract(r).mask)
        found.append(Case(spec, raw, shown, product, seconds))
    return found


def background(case: Case, size: Size) -> np.ndarray:
    """(H, W) bool at a size: what is no product, with some room around it."""
    mask = placed_mask(
        case.product.mask, case.product.bbox, case.spec.product_box, case.spec.native
    )
    near = cv2.dilate(mask, np.ones((9, 9), np.uint8))
    return cv2.resize(near, (size.width, size.height), interpolation=cv2.INTER_NEAREST) < 128


def kept_db(case: Case, image: Rgb) -> float:
    native = case.spec.native
    back = cv2.resize(image, (native.width, native.height), interpolation=cv2.INTER_AREA)
    apart = (back.astype(float) - case.raw)[background(case, native)]
    return float(10 * np.log10(255**2 / np.mean(apart**2)))


def twice(large: Rgb, native: Size) -> Rgb:
    """At twice the render's size, whatever size it was enlarged to."""
    size = Size(REFINED * native.width, REFINED * native.height)
    made = Size(large.shape[1], large.shape[0])
    return upscaled(large, cover(made, size), size)


def detail(case: Case, large: Rgb) -> float:
    """Mean step (of 255) to the neighbour on the right, outside the product."""
    free = background(case, Size(large.shape[1], large.shape[0]))
    return float(np.abs(np.diff(large.mean(axis=2), axis=1))[free[:, 1:]].mean())


def seam(case: Case, large: Rgb) -> float:
    """Over both directions; tiles of the render's size, evenly spread, end at quarters."""
    size = Size(large.shape[1], large.shape[0])
    light, free = large.mean(axis=2), background(case, size)
    at_tiles, elsewhere = [], []
    for picture, where in ((light, free), (light.T, free.T)):
        steps = np.abs(np.diff(picture, axis=1))
        for x in range(GRID_PX, picture.shape[1], GRID_PX):
            column = steps[:, x - 1][where[:, x]]
            ends = x % (picture.shape[1] // 4) == 0
            (at_tiles if ends else elsewhere).extend(column.tolist())
    return mean(at_tiles) / mean(elsewhere)


def measured(name: str, upscaling: Upscaling, found: list[Case], scorer: Scorer) -> tuple:
    """The row of an upscaler, and its finished images."""
    spec = replace(FinishingSpec(FORMAT.canvas.width, FORMAT.canvas.height), upscaling=upscaling)
    upscalers, images, rows = Upscalers(RENDERING, "mini"), [], []
    for case in found:
        enlarge = upscalers.of(upscaling, case.spec, case.product)
        product, box = case.product, case.spec.product_box
        cutout = (product.rgb, product.mask, product.bbox)
        started = time.perf_counter()
        done = finish(case.raw, case.shown, *cutout, box, spec, enlarge)
        seconds = time.perf_counter() - started
        on_canvas = cover(case.spec.native, FORMAT.canvas).to_canvas(box)
        final = scorer.score_final(done.image, *cutout, on_canvas).flat()
        plain, drawn = (twice(e, case.spec.native) for e in (case.raw, enlarge(case.raw)))
        more = detail(case, drawn) / detail(case, plain)
        kept = kept_db(case, done.image)
        identity, sharpness = final["final.identity"], final["final.sharpness"]
        rows.append((seconds, identity, sharpness, more, kept, seam(case, drawn)))
        images.append(done.image)
    columns = list(zip(*rows, strict=True))
    return Row(name, *(mean(c) for c in columns)), images


def choices(strength: float) -> dict[str, Upscaling]:
    named = {"lanczos": LANCZOS, "refine": Upscaling(Upscaler.REFINE, strength)}
    try:
        network = resident.upscaler(RENDERING)
    except ModelError as error:
        print(f"network: not run: {error}")
        return named
    return {**named, "network": Upscaling(Upscaler.NETWORK, weights=network.weights_hash)}


def sheet(file: Path, images: dict[str, list[Rgb]], shown: int = 2) -> None:
    """The upscalers side by side, one row per render."""
    rows = [np.hstack([images[n][i][200:] for n in images]) for i in range(shown)]
    picture = Image.fromarray(np.vstack(rows))
    picture.resize((picture.width * 3 // 7, picture.height * 3 // 7), Image.LANCZOS).save(
        file, quality=82
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two renders")
    parser.add_argument("--sheet", type=Path, help="also write the images side by side")
    parser.add_argument("--strength", type=float, default=0.25)
    options = parser.parse_args()
    found, scorer = cases(2 if options.quick else 6), resident.scorer(RENDERING)
    render_s = mean(c.seconds for c in found)
    rows, images = [], {}
    print(f"rendering: {render_s:.2f} s")
    print("upscaler     s   × render  identity  sharpness  detail  kept dB  seam")
    for name, upscaling in choices(options.strength).items():
        row, images[name] = measured(name, upscaling, found, scorer)
        rows.append(row)
        print(
            f"{name:9}{row.seconds:6.2f}{row.seconds / render_s:9.2f}{row.identity:10.3f}"
            f"{row.sharpness:11.3f}{row.detail:8.2f}{row.kept_db:9.1f}{row.seam:6.2f}"
        )
    if options.sheet:
        sheet(options.sheet, images)
    print(json.dumps({
        "benchmark": "upscalers", "renders": len(found), "render_s": round(render_s, 3),
        "rows": [r.__dict__ for r in rows],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
