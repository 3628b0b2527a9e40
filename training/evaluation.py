"""Does the model show the product it was given? Identity with the right and a swapped reference.

For every product photo with its mask: scenes from the prompts, the product's own reference and
another product's under the same mask, frame and seed; the cosine of `models.scoring`'s identity
network between the product's crop in the raw render and in the photo at the same resolution. The
network judges only; nothing is trained on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.geometry import FORMATS, Anchor, Box, Format, Placement, Size, place
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.views import product_views
from adloom.imaging.warp import placed_mask
from adloom.render_spec import Sampler
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from models.scoring.identity import VIEW_PX, IdentityNetwork

Picture = NDArray[np.uint8]
PLACEMENT = Placement(Anchor.BOTTOM, 0.5, 0.82, 0.56, 0.8)
BATCH = 8
PROMPTS = (
    "a product on a white marble table, soft morning light, blurred kitchen background",
    "a product on beach sand, warm sunlight, sea and blue sky background",
    "a product on a dark wooden table, golden hour light, cozy living room",
    "a product on green grass, fresh leaves, blurred garden background, soft daylight",
    "a product on white snow, cold winter light, pine forest background",
    "a product on a round purple podium, soft studio light, purple studio background",
)


@dataclass(frozen=True, slots=True)
class Product:
    """A photo (H, W, 3), its mask (H, W) and the mask's bounding box, photo px."""

    name: str
    photo: Picture
    mask: Picture
    bbox: Box


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Per product: identity with the right and with a swapped reference, and the two renders."""

    names: list[str]
    right: list[float]
    swapped: list[float]
    rows: list[list[Picture]]

    @property
    def gap(self) -> float:
        return float(np.mean(self.right) - np.mean(self.swapped))

    def summary(self) -> dict[str, float]:
        better = np.array(self.right) > np.array(self.swapped)
        return {
            "products": len(self.names),
            "identity_right": round(float(np.mean(self.right)), 4),
            "identity_swapped": round(float(np.mean(self.swapped)), 4),
            "gap": round(self.gap, 4),
            "right_above_swapped": round(float(better.mean()), 4),
        }


def read_products(images: Path, alphas: Path) -> list[Product]:
    """Photos `images/NAME.*` with `alphas/NAME.png`; those without a mask are left out."""
    found: list[Product] = []
    for path in sorted(images.iterdir()):
        alpha = cv2.imread(str(alphas / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if alpha is None or photo is None:
            continue
        mask = alpha if alpha.ndim == 2 else alpha[..., -1]
        found.append(Product(path.stem, photo[..., ::-1].copy(), mask, bounding_box(mask)))  # pyright: ignore[reportArgumentType]
    return found


def bounding_box(mask: Picture) -> Box:
    """Of what is at least half covered."""
    y, x = np.nonzero(mask >= 128)
    left, top = int(x.min()), int(y.min())
    return Box(left, top, int(x.max()) + 1 - left, int(y.max()) + 1 - top)


def evaluate(
    renderer: RefAdGenRenderer,
    products: Sequence[Product],
    prompts: Sequence[str],
    sampler: Sampler,
    fmt: Format = FORMATS["4:5"],
) -> Evaluation:
    """Each product once, prompts in turn; the swapped reference is that of a product half the
    list away."""
    side, size = renderer.reference_size, fmt.native(renderer.native_unit)
    references = {p.name: canonical_picture(p.photo, p.mask, p.bbox, side) for p in products}
    names = [p.name for p in products]
    half = len(names) // 2
    rendered = [
        render_items(
            renderer,
            references,
            [
                item_of(p, reference, prompts[i % len(prompts)], i, size, sampler)
                for i, (p, reference) in enumerate(zip(products, order, strict=True))
            ],
        )
        for order in (names, names[half:] + names[:half])
    ]
    boxes = [placed(p, size) for p in products]
    right, swapped = (_identities(products, boxes, made) for made in rendered)
    rows = [[references[n], a, b] for n, a, b in zip(names, *rendered, strict=True)]
    return Evaluation(names, right, swapped, rows)


def placed(product: Product, size: Size) -> Box:
    """Where a product stands in a native picture of this size."""
    return place(PLACEMENT, Size(round(product.bbox.width), round(product.bbox.height)), size)


def item_of(
    product: Product, reference: str, prompt: str, seed: int, size: Size, sampler: Sampler
) -> RenderItem:
    """A product's place in a native picture, rendered with the reference of that name."""
    box = placed(product, size)
    return RenderItem(
        reference=reference,
        prompt=prompt,
        negative_prompt="",
        mask=placed_mask(product.mask, product.bbox, box, size),
        frame=box.product_frame,
        seed=seed,
        steps=sampler.steps,
        guidance=sampler.guidance,
        reference_scale=sampler.reference_scale,
        sampler=sampler.name,
        shortcuts=sampler.shortcuts,
    )


def render_items(
    renderer: RefAdGenRenderer, references: dict[str, Picture], items: list[RenderItem]
) -> list[Picture]:
    """Raw pictures in the items' order, a few at a time."""
    made: list[Picture] = []
    for start in range(0, len(items), BATCH):
        made += renderer.render(RenderRequest(references, items[start : start + BATCH]))
    return made


def _identities(
    products: Sequence[Product], boxes: Sequence[Box], pictures: Sequence[Picture]
) -> list[float]:
    network = IdentityNetwork()
    views = [
        view
        for p, box, picture in zip(products, boxes, pictures, strict=True)
        for view in product_views(picture, p.photo, p.mask, p.bbox, box, VIEW_PX)
    ]
    features = network.features(views)
    return [float(a @ b) for a, b in zip(features[0::2], features[1::2], strict=True)]
