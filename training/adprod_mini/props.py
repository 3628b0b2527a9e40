"""Small things that stand or lie beside a product, by the names of the grammar's props.

Lengths are in studio units: a product's longest side is 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.adprod_mini.brands import hexed
from training.rendering import artwork, materials
from training.rendering.surfaces import (
    Mesh,
    curve,
    fillet,
    grid,
    joined,
    lathe,
    rounded_box,
    sphere,
    squircle,
    tube,
)
from training.rendering.tracing import Part
from training.scenes_synth.palette import hsv


@dataclass(frozen=True, slots=True)
class Thing:
    """A prop about the origin, standing on z = 0, and how far it reaches from its axis."""

    parts: list[Part]
    reach: float


def _thing(*parts: Part) -> Thing:
    points = np.concatenate([p.mesh.vertices for p in parts])
    return Thing(list(parts), float(np.linalg.norm(points[:, :2], axis=1).max()))


def _tone(rng: np.random.Generator, hue: float, saturation: float, value: float) -> str:
    return hexed(hsv(hue + rng.normal(0, 0.015), min(saturation, 1), min(value, 1)))


def _ball(radius: float, stretch: tuple[float, float, float] = (1, 1, 1)) -> Mesh:
    ball = sphere(radius, around=48)
    low = ball.bent(ball.vertices * np.array(stretch))
    return low.moved(z=radius * stretch[2])


def _blade(length: float, width: float, lift: float, droop: float) -> Mesh:
    """A leaf or petal from the origin along +x: rises by `lift`, its tip hangs by `droop`."""
    t, s = np.meshgrid(np.linspace(0, 1, 16), np.linspace(-1, 1, 7))
    half = width * np.sin(np.pi * np.clip(t, 0.01, 0.99) ** 0.8) ** 0.9
    z = lift * np.sin(np.pi * 0.6 * t) - droop * t**2 + 0.35 * half * s**2 + 0.015
    points = np.stack([t * length, s * half, np.maximum(z, 0.01 + 0.02 * t)], axis=-1)
    return grid(points, np.stack([t, (s + 1) / 2], axis=-1))


def _leaves(rng: np.random.Generator) -> Thing:
    hue, count = rng.uniform(0.24, 0.4), int(rng.integers(4, 8))
    blades = [
        _blade(rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.7), 0.1)
        .turned("z", 360 * k / count + rng.uniform(-20, 20))
        for k in range(count)
    ]  # fmt: skip
    green = _tone(rng, hue, rng.uniform(0.45, 0.8), rng.uniform(0.3, 0.6))
    return _thing(Part(joined(*blades), materials.satin(green, 0.4)))


def _palm(rng: np.random.Generator) -> Thing:
    stem = curve([(0, 0, 0), (0.1, 0, 0.8), (0.5, 0, 1.5), (1.1, 0, 1.8)], 30)
    fronds = []
    for k in range(4, 30):
        for side in (-1, 1):
            blade = _blade(0.75 - 0.018 * k, 0.035, 0.05, 0.25)
            turned = blade.turned("z", side * rng.uniform(50, 70))
            fronds.append(turned.moved(*stem[k]))
    ribs = tube(stem, squircle(0.025, 0.025, 2, 12))
    green = _tone(rng, rng.uniform(0.28, 0.38), 0.6, rng.uniform(0.3, 0.5))
    whole = joined(*fronds, ribs).turned("z", rng.uniform(150, 210) * rng.choice([0, 1]))
    return _thing(Part(whole, materials.satin(green, 0.5)))


def _flowers(rng: np.random.Generator) -> Thing:
    hue = float(rng.choice([0.0, 0.93, 0.88, 0.14, 0.77, 0.98]))
    saturation, count = rng.uniform(0.2, 0.8), int(rng.integers(6, 10))
    petals = [
        _blade(0.3 - 0.08 * ring, 0.09, 0.1 + 0.14 * ring, 0.02)
        .turned("z", 360 * (k + ring / 2) / count)
        for ring in (0, 1) for k in range(count)
    ]  # fmt: skip
    heart = _ball(0.07, (1, 1, 0.8)).moved(z=0.08)
    return _thing(
        Part(joined(*petals), materials.satin(_tone(rng, hue, saturation, 0.95), 0.6)),
        Part(heart, materials.matte("#e6b32e")),
    )


def _petals(rng: np.random.Generator) -> Thing:
    tone = _tone(rng, rng.uniform(0.92, 1.0), rng.uniform(0.3, 0.75), 0.95)
    scattered = [
        _blade(0.2, 0.08, rng.uniform(0, 0.1), 0.0)
        .turned("z", rng.uniform(0, 360)).moved(*rng.uniform(-0.3, 0.3, 2))
        for _ in range(5)
    ]  # fmt: skip
    return _thing(Part(joined(*scattered), materials.satin(tone, 0.6)))


def _pebbles(rng: np.random.Generator) -> Thing:
    stones = []
    for _ in range(int(rng.integers(2, 5))):
        r = rng.uniform(0.08, 0.2)
        tone = _tone(rng, rng.uniform(0.05, 0.6), rng.uniform(0, 0.15), rng.uniform(0.25, 0.85))
        stone = _ball(r, (rng.uniform(0.9, 1.3), 1, rng.uniform(0.5, 0.75)))
        at = rng.uniform(-0.25, 0.25, 2)
        stones.append(Part(stone.turned("z", rng.uniform(0, 180)).moved(*at),
                           materials.satin(tone, 0.6)))  # fmt: skip
    return _thing(*stones)


CITRUS: Final = (("#e8890c", "#f7a83a"), ("#ecc81b", "#f5e27a"), ("#7aa82c", "#cfe08a"),
                 ("#d8492f", "#f08a66"))  # fmt: skip


def _citrus(rng: np.random.Generator) -> Thing:
    rind, flesh = CITRUS[int(rng.integers(len(CITRUS)))]
    art = artwork.sheet(256, 256, rind)
    art.disc((128, 128), 118, "#f6efdc")
    for k in range(9):
        a = np.radians(40 * k + np.array([3, 20, 37]))
        fan = np.stack([128 + 106 * np.cos(a), 128 + 106 * np.sin(a)], 1)
        middle = 128 + 12 * np.array([np.cos(a[1]), np.sin(a[1])])
        art.shape(np.concatenate([[middle], fan]), flesh)
    r = rng.uniform(0.24, 0.34)
    round_ = np.linspace(0, 2 * np.pi, 49)
    rings = np.linspace(0, r, 5)
    x, y = np.outer(rings, np.cos(round_)), np.outer(rings, np.sin(round_))
    uv = np.stack([x / r / 2 + 0.5, y / r / 2 + 0.5], axis=-1)
    # Wound the other way round: seen from above.
    face = grid(np.stack([x, y, np.full_like(x, 0.121)], -1)[:, ::-1], uv[:, ::-1])
    side = lathe(np.array([[r, 0.0], [r, 0.12]]), around=48)
    slices = [Part(side, materials.satin(rind, 0.4)), Part(face, materials.glossy(art.image))]
    whole = Part(_ball(r * 1.05).moved(x=1.7 * r, y=0.9 * r), materials.satin(rind, 0.35))
    return _thing(*slices, *([whole] if rng.random() < 0.6 else []))


def _fruit(rng: np.random.Generator) -> Thing:
    r = rng.uniform(0.26, 0.36)
    tone = _tone(rng, float(rng.choice([0.08, 0.14, 0.24, 0.0])), 0.85, rng.uniform(0.7, 0.92))
    profile = curve([(0.01, 0.16 * r), (0.6 * r, 0.0), (r, 0.75 * r), (0.75 * r, 1.6 * r),
                     (0.18 * r, 1.7 * r), (0.01, 1.5 * r)], 40)  # fmt: skip
    stem = tube(curve([(0, 0, 1.5 * r), (0.03, 0, 1.75 * r), (0.09, 0, 1.95 * r)], 8),
                squircle(0.018, 0.018, 2, 8))  # fmt: skip
    return _thing(
        Part(lathe(profile, around=48), materials.glossy(tone)),
        Part(stem, materials.matte("#4b3a20")),
    )


def _balls(rng: np.random.Generator) -> Thing:
    tone = _tone(rng, rng.random(), rng.uniform(0.1, 0.5), rng.uniform(0.8, 1.0))
    finish = materials.glossy(tone) if rng.random() < 0.6 else materials.matte(tone)
    return _thing(Part(_ball(rng.uniform(0.14, 0.36)), finish))


def _gifts(rng: np.random.Generator) -> Thing:
    paper = _tone(rng, float(rng.choice([0, 0.35, 0.12, 0.6])), 0.7, 0.7)
    ribbon = _tone(rng, 0.12, 0.4, 0.95)
    art = artwork.sheet(128, 128, paper)
    art.panel((64, 64), (20, 128), fill=ribbon)
    side = rng.uniform(0.4, 0.65)
    box = joined(*rounded_box(side, side, side * rng.uniform(0.6, 1), 0.02).values())
    top = float(box.vertices[:, 2].max())
    bows = [
        _blade(0.2, 0.07, 0.2, 0.05).turned("z", a).moved(z=top) for a in (20, 160, 200, 340)
    ]  # fmt: skip
    turn = rng.uniform(15, 60) * rng.choice([-1, 1])
    return _thing(
        Part(box.turned("z", turn), materials.satin(art.image, 0.4)),
        Part(joined(*bows).turned("z", turn), materials.satin(ribbon, 0.3)),
    )


def _candles(rng: np.random.Generator) -> Thing:
    r, h = rng.uniform(0.11, 0.17), rng.uniform(0.4, 0.9)
    wax = lathe(fillet([(0, 0, 0), (r, 0, 0.02), (r, h, 0.03), (0, h - 0.04, 0)]), around=40)
    wick = tube(curve([(0, 0, h - 0.05), (0, 0, h + 0.03), (0.01, 0, h + 0.07)], 6),
                squircle(0.012, 0.012, 2, 8))  # fmt: skip
    flame = lathe(curve([(0.001, 0), (0.045, 0.06), (0.03, 0.14), (0.001, 0.22)], 20), around=24)
    return _thing(
        Part(wax, materials.satin(_tone(rng, 0.1, rng.uniform(0.05, 0.3), 0.95), 0.5)),
        Part(wick, materials.matte("#2a211b")),
        Part(flame.moved(z=h + 0.03), materials.matte("#fff0b8")),
    )


def _drops(rng: np.random.Generator) -> Thing:
    drops = [
        _ball(rng.uniform(0.03, 0.09), (1.1, 1, 0.45)).moved(*rng.uniform(-0.35, 0.35, 2))
        for _ in range(9)
    ]
    return _thing(Part(joined(*drops), materials.glass(1.33)))


def _shells(rng: np.random.Generator) -> Thing:
    u, v = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(0.02, 1, 24))
    ribs = 0.03 * np.cos(u * 9 * np.pi) * v
    radius = 0.4 * v * (1 - 0.12 * u**2)
    points = np.stack(
        [radius * np.sin(u * 1.15), radius * np.cos(u * 1.15),
         0.02 + 0.16 * np.sin(np.pi * v**0.9) * (1 - 0.5 * u**2) + ribs], axis=-1,
    )  # fmt: skip
    bands = artwork.gradient(64, 128, [(0, "#f4e3d0"), (0.5, "#dfb08f"), (1, "#f7efe4")])
    fan = grid(points, np.stack([(u + 1) / 2, v], axis=-1)).turned("z", rng.uniform(0, 360))
    return _thing(Part(fan, materials.satin(bands, 0.4)))


def _beans(rng: np.random.Generator) -> Thing:
    beans: list[Mesh] = []
    for _ in range(16):
        bean = _ball(0.07, (1.3, 0.9, 0.75)).turned("z", rng.uniform(0, 180))
        x, y = rng.normal(0, 0.2, 2)
        beans.append(bean.moved(x, y, float(rng.choice([0, 0, 0.07]))))
    return _thing(Part(joined(*beans), materials.satin(_tone(rng, 0.06, 0.65, 0.3), 0.35)))


def _ice(rng: np.random.Generator) -> Thing:
    side = rng.uniform(0.24, 0.36)
    cube = joined(*rounded_box(side, side, side, 0.05).values())
    return _thing(Part(cube.turned("z", rng.uniform(0, 90)), materials.glass(1.31)))


def _cones(rng: np.random.Generator) -> Thing:
    scales = []
    for row in range(8):
        reach = 0.27 * np.sin(np.pi * (row + 1.2) / 9.5)
        for k in range(9):
            scale = _blade(reach, 0.07, 0.05, -0.08).turned("z", 40 * k + 20 * (row % 2))
            scales.append(scale.moved(z=0.06 * row + 0.02))
    brown = _tone(rng, 0.07, 0.5, rng.uniform(0.3, 0.42))
    core = _ball(0.14, (1, 1, 1.8))
    return _thing(Part(joined(*scales, core), materials.satin(brown, 0.6)))


MAKERS: Final[dict[str, Callable[[np.random.Generator], Thing]]] = {
    "leaves": _leaves, "palm": _palm, "flowers": _flowers, "petals": _petals, "pebbles": _pebbles,
    "citrus": _citrus, "fruit": _fruit, "balls": _balls, "gifts": _gifts, "candles": _candles,
    "drops": _drops, "shells": _shells, "beans": _beans, "ice": _ice, "cones": _cones,
}  # fmt: skip
COUNTS: Final = {"palm": (1, 2), "leaves": (2, 4), "gifts": (1, 3), "candles": (2, 4),
                 "beans": (2, 4), "petals": (3, 6), "pebbles": (2, 4)}  # fmt: skip


def arranged(
    rng: np.random.Generator, name: str, footprint: tuple[float, float], half_width: float
) -> list[Part]:
    """The props `name` ("" is none) about a product that reaches `footprint` (x, y) from its axis,
    within `half_width` of the picture's middle; none hides the product."""
    if not name:
        return []
    low, high = COUNTS.get(name, (2, 5))
    placed: list[tuple[float, float, float]] = []
    parts: list[Part] = []
    for _ in range(int(rng.integers(low, high + 1))):
        thing = MAKERS[name](rng)
        for _ in range(30):
            x = rng.uniform(-1, 1) * max(half_width, footprint[0] + 0.6)
            y = rng.uniform(-0.7, 1.6)
            if _free(x, y, thing.reach, footprint, placed):
                placed.append((x, y, thing.reach))
                parts += [Part(p.mesh.moved(x, y), p.material) for p in thing.parts]
                break
    return parts


def _free(
    x: float,
    y: float,
    reach: float,
    footprint: tuple[float, float],
    placed: list[tuple[float, float, float]],
) -> bool:
    beside = abs(x) > footprint[0] + reach + 0.06
    behind = y > footprint[1] + reach + 0.06 and abs(x) > 0.55 * footprint[0]
    apart = all(np.hypot(x - a, y - b) > 0.75 * (reach + r) for a, b, r in placed)
    return (beside or behind) and apart
