"""A sheet to show: product photo | raw | finished, in six scenes each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adloom.finishing_spec import FinishingSpec
from adloom.geometry import FORMATS
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.finishing import finish
from adloom.imaging.warp import placed_mask
from models.refadgen.renderer import RefAdGenRenderer, RenderItem
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.evaluation import PROMPTS, Product, placed, read_products, render_items
from training.judging.heldout import read_truths, shown_in
from training.sheets import write_rows

Picture = NDArray[np.uint8]
STEPS, GUIDANCE = 20, 4.0
SHOWN_PX: Final = 256
"""Height of a finished picture before the sheet scales it."""


@dataclass(frozen=True, slots=True)
class Showcase:
    """model: a folder; count: of products, spread evenly over what is there."""

    model: Path
    out: Path
    count: int = 8


def products_of_samples(samples: Path, count: int) -> list[Product]:
    """The products of AdProd-mini's samples by their reference pictures, named by their words."""
    found: list[Product] = []
    for truth in read_truths(samples, count):
        mask = shown_in(truth.reference)
        found.append(
            Product(truth.shown.get("word", "product"), truth.reference, mask, bounding_box(mask))
        )
    return found


def products_of_photos(images: Path, alphas: Path, count: int) -> list[Product]:
    """Photos with their masks, called "product": nobody says what they show."""
    known = read_products(images, alphas)
    chosen = np.unique(np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int))
    return [Product("product", p.photo, p.mask, p.bbox) for p in (known[i] for i in chosen)]


def write_showcase(asked: Showcase, products: Sequence[Product]) -> None:
    """Two lines for each product, raw renders and below them the finished ones."""
    renderer, extractor = RefAdGenRenderer.load(asked.model), MaskExtractor.load()
    rows: list[list[Picture]] = []
    for number, product in enumerate(products):
        rows += _of_product(renderer, extractor, product, number)
    write_rows(rows, asked.out, columns=1)


def _of_product(
    renderer: RefAdGenRenderer,
    extractor: MaskExtractor,
    product: Product,
    number: int,
) -> list[list[Picture]]:
    side, size = renderer.reference_size, FORMATS["1:1"].native(renderer.native_unit)
    reference = canonical_picture(product.photo, product.mask, product.bbox, side)
    box = placed(product, size)
    items = [
        RenderItem(
            reference="product",
            prompt=prompt.replace("a product", f"a {product.name}", 1),
            negative_prompt="",
            mask=placed_mask(product.mask, product.bbox, box, size),
            frame=box.product_frame,
            seed=len(PROMPTS) * number + k,
            steps=STEPS,
            guidance=GUIDANCE,
            reference_scale=1.0,
        )
        for k, prompt in enumerate(PROMPTS)
    ]
    raw = render_items(renderer, {"product": reference}, items)
    spec = FinishingSpec(SHOWN_PX, SHOWN_PX, detail_lock=True)
    finished = [
        finish(
            made, extractor.extract(made).mask, product.photo, product.mask, product.bbox, box, spec
        ).image
        for made in raw
    ]
    blank = np.full_like(reference, 255)
    return [[reference, *raw], [blank, *finished]]
