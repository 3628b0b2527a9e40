"""The model is judged by itself: with the shipped weights, on products they were never trained on.

A render of the right product scores higher than one of another product under the same mask, and the
gates reject the wrong product and the grown product although detail lock would hide both.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from adloom.finishing_spec import DetailLock, FinishingSpec
from adloom.gates import DEFAULT_GATES, Decision, Verdict, detail_lock_reasons, judge
from adloom.geometry import FORMATS, Anchor, Box, Placement, Size, cover, place_native
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.finishing import finish
from adloom.imaging.views import own_mask
from adloom.imaging.warp import placed_mask
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from models.scoring.scorer import Scorer
from models.segmentation import MaskExtractor
from tasks.pictures import ProductPicture, mask_box

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "demo" / "products" / "images"
# Each stands before one of another look: that one's reference is what it is swapped with.
PRODUCTS = ("zolla-soda", "ebba-vase", "talvik-notebook", "fernhaus-shampoo", "hoopla-cereal",
            "nordkaff-coffee")  # fmt: skip
FORMAT = FORMATS["1:1"]
PLACEMENT = Placement(Anchor.BOTTOM, 0.5, 0.86, 0.68, 0.8)
PROMPTS = (
    "a bottle on a white marble table, soft morning light, green leaves",
    "a bottle on a pink podium, soft daylight, pastel balls, pink studio wall",
)


@dataclass(frozen=True)
class Judged:
    """One render, scored and finished as a run would."""

    identity: float
    growth: float
    detail_lock: DetailLock
    verdict: Verdict


@dataclass(frozen=True)
class Studio:
    """The models, and the products with their masks."""

    renderer: RefAdGenRenderer
    extractor: MaskExtractor
    scorer: Scorer
    products: dict[str, ProductPicture]

    def box(self, name: str) -> Box:
        bbox = self.products[name].bbox
        size = Size(round(bbox.width), round(bbox.height))
        return place_native(PLACEMENT, size, FORMAT, self.renderer.native_unit)

    def render(
        self, name: str, *, reference: str | None = None, box: Box | None = None
    ) -> list[NDArray[np.uint8]]:
        """A render per prompt of a product's mask in `box`, of a `reference` product."""
        shown, product = self.products[reference or name], self.products[name]
        placed = box or self.box(name)
        native = FORMAT.native(self.renderer.native_unit)
        mask = placed_mask(product.mask, product.bbox, placed, native)
        picture = canonical_picture(shown.rgb, shown.mask, shown.bbox, self.renderer.reference_size)
        key = reference or name
        items = [
            RenderItem(key, prompt, "", mask, placed.product_frame, seed=7 + i, steps=12)
            for i, prompt in enumerate(PROMPTS)
        ]
        return self.renderer.render(RenderRequest({key: picture}, items))

    def judge(self, name: str, raw: NDArray[np.uint8]) -> Judged:
        """What the gates say of a raw render as one of product `name`, detail lock on."""
        product, box = self.products[name], self.box(name)
        cutout = (product.rgb, product.mask, product.bbox)
        shown = own_mask(raw, box, lambda r: self.extractor.extract(r).mask)
        spec = FinishingSpec(FORMAT.canvas.width, FORMAT.canvas.height, detail_lock=True)
        model = self.scorer.score_render(raw, *cutout, box, shown).flat()
        done = finish(raw, shown, *cutout, box, spec)
        native = FORMAT.native(self.renderer.native_unit)
        final = self.scorer.score_final(
            done.image, *cutout, cover(native, FORMAT.canvas).to_canvas(box)
        )
        extra = detail_lock_reasons(
            done.detail_lock, done.agreement, min_agreement=spec.min_agreement
        )
        verdict = judge({**model, **final.flat()}, DEFAULT_GATES, extra=extra)
        return Judged(model["model.identity"], model["model.growth"], done.detail_lock, verdict)


@pytest.fixture(scope="module")
def studio() -> Studio:
    extractor = MaskExtractor.load(threads=2)
    products: dict[str, ProductPicture] = {}
    for name in PRODUCTS:
        with Image.open(PHOTOS / f"{name}.jpg") as photo:
            rgb = np.asarray(photo.convert("RGB"))
        mask = extractor.extract(rgb).mask
        products[name] = ProductPicture(rgb, mask, mask_box(mask))
    renderer = RefAdGenRenderer.load(ROOT / "weights" / "mini")
    return Studio(renderer, extractor, Scorer.load(threads=2), products)


@pytest.fixture(scope="module")
def right(studio: Studio) -> dict[str, list[Judged]]:
    return {n: [studio.judge(n, raw) for raw in studio.render(n)] for n in PRODUCTS}


@pytest.fixture(scope="module")
def swapped(studio: Studio) -> dict[str, list[Judged]]:
    other = dict(zip(PRODUCTS, (*PRODUCTS[1:], PRODUCTS[0]), strict=True))
    return {
        n: [studio.judge(n, raw) for raw in studio.render(n, reference=other[n])] for n in PRODUCTS
    }


def _drop(right: dict[str, list[Judged]], swapped: dict[str, list[Judged]]) -> float:
    """How much lower the mean identity is with another product's reference."""
    as_it_is = mean(j.identity for judged in right.values() for j in judged)
    of_another = mean(j.identity for judged in swapped.values() for j in judged)
    print(f"identity: right {as_it_is:.3f}, swapped {of_another:.3f}")
    return as_it_is - of_another


def test_a_swapped_reference_lowers_the_identity_by_at_least_015(
    right: dict[str, list[Judged]], swapped: dict[str, list[Judged]]
) -> None:
    assert _drop(right, swapped) >= 0.15


def test_a_swapped_reference_is_rejected_with_detail_lock_on(
    swapped: dict[str, list[Judged]],
) -> None:
    verdicts = [j.verdict.decision for judged in swapped.values() for j in judged]
    assert Decision.APPROVED not in verdicts
    assert verdicts.count(Decision.REJECTED) >= 0.9 * len(verdicts)


def test_most_of_the_right_products_are_not_rejected_for_their_identity(
    right: dict[str, list[Judged]],
) -> None:
    codes = [{r.code for r in j.verdict.reasons} for judged in right.values() for j in judged]
    assert sum("MODEL_IDENTITY" in c for c in codes) <= 0.5 * len(codes)


def test_an_oversized_product_is_rejected(studio: Studio) -> None:
    for name in PRODUCTS[:3]:
        box = studio.box(name)
        cx, bottom, by = box.center[0], box.bottom, 1.4
        grown = replace(
            box,
            x=cx - by * box.width / 2,
            y=bottom - by * box.height,
            width=by * box.width,
            height=by * box.height,
        )
        for raw in studio.render(name, box=grown):
            judged = studio.judge(name, raw)
            assert judged.verdict.decision is Decision.REJECTED
            assert {"MODEL_GROWTH", "DETAIL_LOCK_REFUSED"} & {
                r.code for r in judged.verdict.reasons
            }
