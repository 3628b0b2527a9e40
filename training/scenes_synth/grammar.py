"""What may stand together in a scene, and the captions that say so."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.scenes_synth.backdrops import BACKDROPS
from training.scenes_synth.fields import chance, pick
from training.scenes_synth.lighting import LIGHTS
from training.scenes_synth.palette import COLOUR_WORDS
from training.scenes_synth.products import CATEGORY_WORDS
from training.scenes_synth.props import PROPS
from training.scenes_synth.surfaces import SURFACES

# Colours of studio walls, podiums and glossy tables.
TINTS: Final[dict[str, tuple[float, float, float]]] = {
    "white": (0.95, 0.95, 0.95), "grey": (0.62, 0.63, 0.65), "black": (0.14, 0.14, 0.15),
    "pink": (0.95, 0.72, 0.78), "coral": (0.95, 0.55, 0.47), "red": (0.78, 0.16, 0.18),
    "orange": (0.95, 0.62, 0.3), "yellow": (0.97, 0.83, 0.4), "beige": (0.88, 0.79, 0.67),
    "cream": (0.96, 0.92, 0.83), "green": (0.45, 0.65, 0.45), "mint": (0.7, 0.9, 0.8),
    "teal": (0.2, 0.5, 0.52), "blue": (0.42, 0.62, 0.88), "navy": (0.13, 0.18, 0.36),
    "lavender": (0.8, 0.74, 0.93), "purple": (0.5, 0.35, 0.7), "brown": (0.5, 0.35, 0.25),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """A place: what goes together there, and the words of its mood."""

    name: str
    weight: float
    surfaces: tuple[str, ...]
    backdrops: tuple[str, ...]
    lights: tuple[str, ...]
    props: tuple[str, ...]
    moods: tuple[str, ...]


WORLDS: Final = (
    World("home", 1.2,
          ("white-marble", "oak", "walnut", "linen", "terrazzo", "terracotta", "blue-tiles",
           "black-marble", "concrete"),
          ("kitchen", "living-room", "curtain", "bricks", "garden", "wall"),
          ("morning", "daylight", "window", "blinds", "leaf-shadows", "golden"),
          ("leaves", "flowers", "citrus", "fruit", "candles", "beans", "petals"),
          ("cozy mood", "bright and fresh", "clean style")),
    World("studio", 1.5,
          ("studio", "studio", "acrylic", "acrylic", "podium", "podium", "satin", "velvet",
           "concrete", "terrazzo", "white-marble"),
          ("wall",),
          ("studio", "studio", "leaf-shadows", "blinds", "window", "dramatic", "golden"),
          ("balls", "palm", "leaves", "petals", "flowers", "pebbles", "citrus", "ice"),
          ("minimal style", "clean style", "luxury mood", "modern style")),
    World("beach", 0.8, ("sand", "sand", "rock", "water", "oak"), ("sea", "sea", "sunset"),
          ("daylight", "golden"), ("shells", "palm", "pebbles", "drops", "citrus"),
          ("summer mood", "bright and fresh")),
    World("nature", 1.0, ("grass", "grass", "rock", "oak", "walnut", "water"),
          ("forest", "garden", "mountains", "sunset"), ("morning", "golden", "daylight"),
          ("leaves", "flowers", "pebbles", "cones", "drops", "petals"),
          ("natural mood", "bright and fresh")),
    World("winter", 0.6, ("snow", "snow", "rock", "walnut"), ("winter", "mountains", "stars"),
          ("cool", "daylight", "moon"), ("cones", "ice", "gifts", "candles"),
          ("winter mood", "festive mood")),
    World("night", 0.9, ("asphalt", "black-marble", "walnut", "acrylic", "concrete"),
          ("city", "cool-bokeh", "neon", "stars", "warm-bokeh"),
          ("neon", "dramatic", "moon", "candle"), ("drops", "candles", "ice", "balls"),
          ("luxury mood", "modern style")),
    World("festive", 0.5, ("walnut", "velvet", "snow", "black-marble", "satin"), ("warm-bokeh",),
          ("candle", "golden"), ("gifts", "candles", "cones", "petals"),
          ("festive mood", "christmas mood")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SceneChoice:
    """One scene: keys into SURFACES, BACKDROPS, LIGHTS and PROPS ("" = none), two tints."""

    world: str
    surface: str
    backdrop: str
    light: str
    prop: str
    tint: str  # of the surface, where it takes one
    wall_tint: str
    mood: str


def choose_scene(rng: np.random.Generator) -> SceneChoice:
    """A scene from one world; now and then a bold mix of any parts."""
    weights = np.array([w.weight for w in WORLDS])
    world = WORLDS[int(rng.choice(len(WORLDS), p=weights / weights.sum()))]
    free = chance(rng, 0.12)
    surface = pick(rng, tuple(SURFACES)) if free else pick(rng, world.surfaces)
    backdrop = pick(rng, tuple(BACKDROPS)) if free else pick(rng, world.backdrops)
    light = pick(rng, tuple(LIGHTS)) if free else pick(rng, world.lights)
    prop = "" if chance(rng, 0.28) else pick(rng, tuple(PROPS) if free else world.props)
    wall_tint = pick(rng, tuple(TINTS))
    tint = wall_tint if chance(rng, 0.6) else pick(rng, tuple(TINTS))
    mood = pick(rng, world.moods) if chance(rng, 0.3) else ""
    return SceneChoice(world.name, surface, backdrop, light, prop, tint, wall_tint, mood)


def caption(rng: np.random.Generator, scene: SceneChoice, colours: list[str], category: str) -> str:
    """What the ad shows: "a {colours} {category} on {surface}, {light}, {props}, {backdrop}".

    Parts after the surface are dropped and shuffled at random, as customers' prompts will be.
    """
    words = " and ".join(colours) if chance(rng, 0.85) else ""
    surface = pick(rng, SURFACES[scene.surface].phrases).format(colour=scene.tint)
    backdrop = pick(rng, BACKDROPS[scene.backdrop].phrases).format(colour=scene.wall_tint)
    parts = [pick(rng, LIGHTS[scene.light].phrases), backdrop]
    if scene.prop:
        parts.insert(1, pick(rng, PROPS[scene.prop].phrases))
    if scene.mood:
        parts.append(scene.mood)
    if chance(rng, 0.25):
        parts = [parts[i] for i in rng.permutation(len(parts))]
    parts = [part for part in parts if not chance(rng, 0.08)]
    head = " ".join(w for w in ("a", words, category, "on", surface) if w)
    if chance(rng, 0.05):
        head = " ".join(w for w in ("a", words, category) if w)
    return ", ".join([head, *parts])


# Words of shop copy that a catalogue or a negative prompt may bring along.
COMMERCE_WORDS: Final = """
product photo advertising ad commercial professional high quality best sharp focus detailed
blurry blurred text watermark logo low bad deformed ugly noise noisy dark bright new sale
brand premium elegant beautiful soft hard big small large tall round square the of with in
at by for from to an is standing placed next front behind under over table floor scene style
cotton leather wool glass metal plastic paper ceramic wooden steel organic vegan natural
sneaker shoe boots boot sandals plimsolls tee tshirt sweater jacket dress jeans trousers
socks cap gloves belt wallet ring necklace bracelet earrings jewellery jewelry laptop tablet
keyboard mouse chair sofa bench rug blanket towel plant pot plate fork knife spoon pan
kettle wine beer water tea coffee chocolate snack snacks cereal soap shampoo lotion serum
foundation mascara eyeshadow nail polish toothbrush umbrella bike bicycle car motorcycle
helmet racket kite pen pencil charger cable light clock mirror frame gift voucher set pack
men women kids baby sport sports outdoor running summer winter autumn spring dress polo
colourful colorful gray transparent striped patterned plain shiny matte multicolour
"""


def _words() -> frozenset[str]:
    phrases: list[str] = [
        *COLOUR_WORDS,
        *TINTS,
        *CATEGORY_WORDS,
        *COMMERCE_WORDS.split(),
        "a",
        "on",
        "and",
    ]
    for group in (SURFACES, BACKDROPS, LIGHTS, PROPS):
        for part in group.values():
            phrases += [phrase.replace("{colour}", "") for phrase in part.phrases]
    for world in WORLDS:
        phrases += world.moods
    return frozenset(word for phrase in phrases for word in phrase.split())


CAPTION_WORDS: Final = _words()
