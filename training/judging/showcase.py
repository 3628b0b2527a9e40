"""A sheet to show: product photo | raw | finished, in six scenes each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from adloom.finishing_spec import FinishingSpec
from adloom.geometry import FORMATS
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.finishing import finish
from adloom.render_spec import Sampler
from models.refadgen.renderer import RefAdGenRenderer
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.evaluation import PROMPTS, Product, item_of, placed, read_products, render_items
from training.judging.heldout import read_truths, shown_in
from training.sheets import write_rows

Picture = NDArray[np.uint8]
SAMPLER: Final = Sampler(steps=20, guidance=4.0)
SHOWN_PX: Final = 256
"""Height of a finished picture before the sheet scales it."""


def products_of_samples(samples: Path, count: int) -> list[Product]:
    """At most `count` products of AdProd-mini's samples, spread evenly, by their reference
    pictures, named by their words."""
    found: list[Product] = []
    for truth in read_truths(samples, count):
        mask = shown_in(truth.reference)
        found.append(
            Product(truth.shown.get("word", "product"), truth.reference, mask, bounding_box(mask))
        )
    return found


def products_of_photos(images: Path, alphas: Path, count: int) -> list[Product]:
    """At most `count` photos with their masks, spread evenly, called "product": nobody says what
    they show. ModelError where there are none, or a mask shows nothing."""
    try:
        known = read_products(images, alphas)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"photos and masks cannot be used: {error}", where=f"{images}, {alphas}",
            hint="IMAGES/NAME.jpg and ALPHAS/NAME.png each, with a product in every mask",
        ) from error  # fmt: skip
    if not known:
        raise ModelError(
            "no photo has a mask", where=str(images), hint=f"{alphas}/NAME.png for IMAGES/NAME.*"
        )
    chosen = np.unique(np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int))
    return [Product("product", p.photo, p.mask, p.bbox) for p in (known[i] for i in chosen)]


def write_showcase(model: Path, out: Path, products: Sequence[Product]) -> None:
    """Two lines for each product, raw renders and below them the finished ones."""
    renderer, extractor = RefAdGenRenderer.load(model), MaskExtractor.load()
    rows: list[list[Picture]] = []
    for number, product in enumerate(products):
        rows += _of_product(renderer, extractor, product, number)
    write_rows(rows, out, columns=1)


def _of_product(
    renderer: RefAdGenRenderer,
    extractor: MaskExtractor,
    product: Product,
    number: int,
) -> list[list[Picture]]:
    side, size = renderer.reference_size, FORMATS["1:1"].native(renderer.native_unit)
    reference = canonical_picture(product.photo, product.mask, product.bbox, side)
    box = placed(product, size)
    known = f"{number} {product.name}"  # the renderer keeps what it has encoded by name
    items = [
        item_of(
            product, known, prompt.replace("a product", f"a {product.name}", 1), k, size, SAMPLER
        )
        for k, prompt in enumerate(PROMPTS)
    ]
    raw = render_items(renderer, {known: reference}, items)
    spec = FinishingSpec(SHOWN_PX, SHOWN_PX, detail_lock=True)
    finished = [
        finish(
            made, extractor.extract(made).mask, product.photo, product.mask, product.bbox, box, spec
        ).image
        for made in raw
    ]
    blank = np.full_like(reference, 255)
    return [[reference, *raw], [blank, *finished]]
