"""Product families: what is drawn, under which words, and which are kept for held-out tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np

from training.scenes_synth import objects, vessels, wearables
from training.scenes_synth.fields import F32, blobs, chance, f32, pick
from training.scenes_synth.palette import Colour, product_palette
from training.scenes_synth.relief import Relief, turned

View: TypeAlias = Callable[[float], Relief]
Split: TypeAlias = Literal["train", "heldout"]
Maker: TypeAlias = Callable[[np.random.Generator, Sequence[Colour]], View]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of product: how often it is drawn, its maker, its category words."""

    name: str
    weight: float
    make: Maker
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """One made-up product: `view(yaw)` renders it, turned by so many radians."""

    family: str
    category: str
    view: View


def _drawn(
    draw: Callable[[np.random.Generator, Sequence[Colour]], tuple[Relief, F32]],
) -> Maker:
    def make(rng: np.random.Generator, colours: Sequence[Colour]) -> View:
        relief, height = draw(rng, colours)
        if chance(rng, 0.5):
            relief, height = _reshaped(rng, relief, height)
        return lambda yaw: turned(relief, height, yaw)

    return make


def _reshaped(rng: np.random.Generator, relief: Relief, height: F32) -> tuple[Relief, F32]:
    """The drawing leaned, stretched and bent a little: no outline is seen twice."""
    size = relief.alpha.shape[0]
    lean = rng.normal(0, 0.16) if chance(rng, 0.5) else 0.0
    stretch = rng.uniform(1.0, 1.3, 2) + 0.6 * abs(lean)
    row = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = row[None] * f32(stretch[0]), row[:, None] * f32(stretch[1])
    bend = size * rng.uniform(0, 0.05)
    wobble = [bend * (blobs(rng, size, size, 3) - 0.5) for _ in range(2)]
    middle = (size - 1) / 2
    map_x = f32(np.cos(lean) * x - np.sin(lean) * y + middle + wobble[0])
    map_y = f32(np.sin(lean) * x + np.cos(lean) * y + middle + wobble[1])
    albedo, normal = (
        cv2.remap(a, map_x, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        for a in (relief.albedo, relief.normal)
    )
    alpha, moved = (cv2.remap(a, map_x, map_y, cv2.INTER_LINEAR) for a in (relief.alpha, height))
    return Relief(albedo, normal, alpha, relief.gloss, relief.metal), moved


CATEGORY_WORDS: Final = (
    "bottle", "jar", "can", "mug", "cup", "vase", "bowl", "lipstick", "lamp", "ball", "box",
    "package", "book", "notebook", "card", "sneakers", "shoes", "t-shirt", "shirt", "hoodie",
    "beanie", "hat", "sunglasses", "glasses", "handbag", "bag", "backpack", "cushion", "pillow",
    "headphones", "watch", "phone", "speaker", "camera", "pouch", "candle", "toy", "perfume",
    "cream", "juice", "drink", "tool", "brush", "teapot", "scarf",
)  # fmt: skip

TRAIN_FAMILIES: Final = (
    Family("bottle", 1.4, vessels.bottle, ("bottle", "bottle", "juice", "perfume", "drink")),
    Family("jar", 0.8, vessels.jar, ("jar", "cream", "candle")),
    Family("can", 0.7, vessels.can, ("can", "drink")),
    Family("mug", 1.0, vessels.mug, ("mug", "cup")),
    Family("vase", 0.7, vessels.vase, ("vase", "bowl")),
    Family("lipstick", 0.5, vessels.lipstick, ("lipstick", "perfume")),
    Family("ball", 0.5, vessels.ball, ("ball",)),
    Family("package", 1.0, vessels.package, ("box", "package")),
    Family("book", 1.0, vessels.book, ("book", "book", "notebook")),
    Family("card", 0.6, vessels.card, ("card",)),
    Family("sneaker", 1.6, _drawn(wearables.sneaker), ("sneakers", "shoes")),
    Family("slip-ons", 0.6, _drawn(wearables.slip_ons), ("shoes", "sneakers")),
    Family("tee", 1.2, _drawn(wearables.tee), ("t-shirt", "t-shirt", "shirt")),
    Family("hoodie", 0.8, _drawn(wearables.hoodie), ("hoodie",)),
    Family("beanie", 0.7, _drawn(wearables.beanie), ("beanie", "hat", "scarf")),
    Family("glasses", 0.8, _drawn(wearables.glasses), ("sunglasses", "glasses")),
    Family("handbag", 0.8, _drawn(wearables.handbag), ("handbag", "bag")),
    Family("cushion", 1.0, _drawn(wearables.cushion), ("cushion", "pillow")),
    Family("pouch", 0.6, _drawn(objects.pouch), ("pouch", "bag")),
    Family("watch", 0.4, _drawn(objects.watch), ("watch",)),
    Family("tool", 0.4, _drawn(objects.tool), ("tool", "brush")),
    Family("gadget", 0.7, _drawn(objects.gadget), ("phone", "speaker", "camera")),
    Family("free", 1.6, _drawn(objects.free_shape), CATEGORY_WORDS),
    Family("cluster", 0.6, _drawn(objects.cluster), CATEGORY_WORDS),
)
HELDOUT_FAMILIES: Final = (
    Family("headphones", 1.0, _drawn(objects.headphones), ("headphones",)),
    Family("backpack", 1.0, _drawn(wearables.backpack), ("backpack",)),
    Family("plush", 1.0, _drawn(objects.plush), ("toy",)),
    Family("lamp", 1.0, vessels.lamp, ("lamp",)),
    Family("teapot", 1.0, vessels.teapot, ("teapot",)),
)
# Keeps the held-out products' random streams apart from the training ones.
_SPLIT_KEYS: Final[dict[Split, int]] = {"train": 11, "heldout": 7919}


def make_product(rng: np.random.Generator, split: Split) -> Product:
    """A new product of one of the split's families."""
    families = TRAIN_FAMILIES if split == "train" else HELDOUT_FAMILIES
    weights = np.array([f.weight for f in families])
    family = families[int(rng.choice(len(families), p=weights / weights.sum()))]
    own = np.random.default_rng([int(rng.integers(1 << 62)), _SPLIT_KEYS[split]])
    colours = product_palette(own)
    if chance(own, 0.12):
        colours[1] = colours[0]
    return Product(family.name, pick(own, family.words), family.make(own, colours))
