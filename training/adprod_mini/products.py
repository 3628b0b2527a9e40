"""The families of products, the words for them, and those that are kept for held-out tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.adprod_mini import bottles, packages, things, vessels
from training.adprod_mini.bodies import Draw
from training.adprod_mini.brands import draw_brand
from training.rendering.tracing import Part

Maker = Callable[[Draw], list[Part]]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of product: its name, its maker, the words that a caption may call it by."""

    name: str
    make: Maker
    words: tuple[str, ...]
    turn_deg: float = 25.0  # how far it may be turned without hiding its front


@dataclass(frozen=True, slots=True)
class Product:
    """One made-up product: `parts` in cm, about the axis that it stands on."""

    family: str
    word: str
    parts: list[Part]
    turn_deg: float


FAMILIES: Final = (
    Family("round-bottle", bottles.round_bottle, ("bottle", "bottle", "juice", "shampoo")),
    Family("pump-bottle", bottles.pump_bottle, ("bottle", "shampoo", "lotion")),
    Family("dropper-bottle", bottles.dropper_bottle, ("serum", "bottle")),
    Family("spray-bottle", bottles.spray_bottle, ("bottle",)),
    Family("perfume", bottles.perfume, ("perfume", "perfume bottle")),
    Family("squeeze-tube", bottles.squeeze_tube, ("cream", "lotion")),
    Family("lipstick", bottles.lipstick, ("lipstick",)),
    Family("flask", bottles.flask, ("bottle", "steel bottle")),
    Family("can", packages.can, ("can", "drink")),
    Family("tin", packages.tin, ("tea", "box")),
    Family("jar", packages.jar, ("jar", "cream")),
    Family("preserve-jar", packages.preserve_jar, ("jar", "fruit jar")),
    Family("carton", packages.carton, ("box", "cereal box", "package")),
    Family("small-box", packages.small_box, ("box", "package", "tea box")),
    Family("milk-carton", packages.milk_carton, ("juice", "drink", "package")),
    Family("soap", packages.soap, ("soap",)),
    Family("paper-cup", packages.paper_cup, ("cup", "coffee cup")),
    Family("mug", vessels.mug, ("mug", "cup")),
    Family("bowl", vessels.bowl, ("bowl",)),
    Family("vase", vessels.vase, ("vase",)),
    Family("candle", vessels.candle, ("candle",)),
    Family("lamp", vessels.lamp, ("lamp",)),
    Family("pot", vessels.pot, ("plant pot", "plant")),
    Family("goblet", vessels.goblet, ("cup",)),
    Family("picture-frame", vessels.stand, ("frame",)),
    Family("book", things.book, ("book",)),
    Family("handbag", things.handbag, ("handbag", "bag")),
    Family("ball", things.ball, ("ball",)),
    Family("speaker", things.speaker, ("speaker",)),
    Family("phone", things.phone, ("phone",)),
    Family("cushion", things.cushion, ("cushion", "pillow")),
    Family("watch", things.watch, ("watch",)),
)
HELDOUT_FAMILIES: Final = (
    Family("wine-bottle", bottles.wine_bottle, ("wine bottle", "bottle")),
    Family("pouch", packages.pouch, ("pouch", "snack bag", "coffee bag")),
    Family("teapot", vessels.teapot, ("teapot",)),
    Family("clock", vessels.clock, ("clock",)),
    Family("notebook", things.notebook, ("notebook",)),
    Family("headphones", things.headphones, ("headphones",)),
    Family("camera", things.camera, ("camera",)),
    Family("hat", things.hat, ("hat",)),
)


def draw_product(
    rng: np.random.Generator,
    families: tuple[Family, ...] = FAMILIES,
    silhouette: int | None = None,
) -> Product:
    """A new product of one of the families, each as often as the others. With a `silhouette` it
    is always of the same family and shape: colours and prints alone are new."""
    shaping = rng if silhouette is None else np.random.default_rng([silhouette, 61])
    return made_of(shaping, rng, families[int(shaping.integers(len(families)))])


def made_of(shaping: np.random.Generator, art: np.random.Generator, family: Family) -> Product:
    """A new product of this family, its shape by the one generator, all else by the other."""
    draw = Draw(shaping, art, draw_brand(art))
    parts = family.make(draw)
    return Product(family.name, str(art.choice(np.array(family.words))), parts, family.turn_deg)
