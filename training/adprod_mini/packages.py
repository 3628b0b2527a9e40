"""Cans, jars, cartons, pouches: what food and parcels come in."""

import numpy as np

from training.adprod_mini.bodies import (
    Draw,
    lid,
    printed_body,
    printed_box,
    turned,
    whole_box,
)
from training.rendering import materials
from training.rendering.surfaces import grid, joined
from training.rendering.tracing import Part


def can(draw: Draw) -> list[Part]:
    """A drinks can."""
    h = draw.between(9, 15)
    art = draw.print_on(1024, round(1024 * h / 20.7), 0.32)
    body = turned(
        [(0, 0.3, 0), (2.4, 0, 0.1), (3.3, 0.9, 0.4), (3.3, h - 1.2, 0.4), (2.6, h, 0.1)],
        (0.6, h - 0.8),
    )
    top = turned([(2.6, h, 0), (2.68, h + 0.2, 0.05), (2.5, h + 0.2, 0.05), (2.4, h - 0.2, 0.05),
                  (0, h - 0.2, 0)])  # fmt: skip
    tab = whole_box(0.9, 1.6, 0.1, 0.04).moved(y=-0.6, z=h - 0.16)
    return [
        Part(body, materials.painted_metal(art)),
        Part(joined(top, tab), materials.metal("#d9dadd", 0.25)),
    ]


def tin(draw: Draw) -> list[Part]:
    """A flat tin of tea, mints or polish."""
    r, h = draw.between(3.4, 4.6), draw.between(1.8, 5.5)
    body = printed_body(draw, [(0, 0, 0), (r, 0, 0.15), (r, h, 0.05), (0, h, 0)], 0.1, h)
    top = turned([(0, h, 0), (1.04 * r, h - 0.7, 0), (1.04 * r, h + 0.35, 0.2), (0, h + 0.4, 0)])
    return [body, Part(top, materials.painted_metal(draw.brand.second))]


def jar(draw: Draw) -> list[Part]:
    """A low cream jar."""
    r, h = draw.between(3.0, 3.8), draw.between(2.8, 4.6)
    body = printed_body(
        draw,
        [(0, 0, 0), (r, 0, draw.between(0.2, 0.9)), (r, h, 0.35), (0.88 * r, h + 0.15, 0)],
        0.1, h,
    )  # fmt: skip
    return [body, Part(lid(1.01 * r, h + 0.1, h + draw.between(1.2, 2.2), 0.28), draw.trim())]


def preserve_jar(draw: Draw) -> list[Part]:
    """A jar of jam under a cloth-coloured lid."""
    r, h = draw.between(3.2, 4.0), draw.between(7, 10)
    tone = str(draw.rng.choice(["#8c1322", "#d87a16", "#4f1d3e", "#b98a1e", "#5c7a22"]))
    knots = [(0, 0, 0), (0.92 * r, 0, 0.3), (r, 0.6, 0.5), (r, h, 0.9), (0.8 * r, h + 1, 0.2)]
    low, high = 0.24 * h, 0.78 * h
    paper = draw.print_on(1024, round(1024 * (high - low) / (2 * np.pi * r)), 0.32)
    return [
        Part(turned(knots), materials.glossy(tone, 0.08)),
        Part(turned([(1.006 * r, low, 0), (1.006 * r, high, 0)], (low, high)),
             materials.matte(paper)),
        Part(lid(0.9 * r, h + 0.7, h + 2.1, 0.2), draw.trim()),
    ]  # fmt: skip


def carton(draw: Draw) -> list[Part]:
    """A tall carton."""
    return printed_box(draw, draw.between(10, 18), draw.between(4, 7), draw.between(16, 26))


def small_box(draw: Draw) -> list[Part]:
    """A box nearly as wide as tall: tea, soap, a gadget."""
    return printed_box(draw, draw.between(7, 11), draw.between(4, 8), draw.between(6, 11))


def milk_carton(draw: Draw) -> list[Part]:
    """A carton with a gable."""
    w, h, roof = draw.between(6.5, 7.5), draw.between(11, 17), 3.6
    parts = printed_box(draw, w, w, h, 0.06)
    half, ridge = w / 2, 0.12
    slopes = []
    for side in (-1, 1):
        points = np.array([
            [[-half * side, -half * side * -1, h], [half * side, half * side, h]],
            [[-half * side, ridge * side, h + roof], [half * side, ridge * side, h + roof]],
        ])  # fmt: skip
        slopes.append(grid(points[:, ::-1], np.array([[[0.0, 0], [1, 0]], [[0, 1], [1, 1]]])))
    gables = []
    for side in (-1, 1):
        points = np.array([
            [[half * side, -half, h], [half * side, half, h]],
            [[0.9 * half * side, -ridge, h + roof], [0.9 * half * side, ridge, h + roof]],
        ])  # fmt: skip
        gables.append(grid(points[:, ::side], np.array([[[0.0, 0], [1, 0]], [[0, 1], [1, 1]]])))
    crest = whole_box(w, 0.3, 1.3, 0.05).moved(z=h + roof - 0.1)
    roofing = materials.satin(draw.brand.second, 0.45)
    return [*parts, Part(joined(*slopes, *gables, crest), roofing)]


def pouch(draw: Draw) -> list[Part]:
    """A stand-up pouch of coffee or snacks: two bulging sheets that meet at the edges."""
    w, h, bulge = draw.between(10, 14), draw.between(15, 20), draw.between(2.2, 3.6)
    u, v = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 80))
    sides = np.clip(1 - np.abs(2 * u - 1) ** 3, 0, 1)
    thick = bulge * sides * np.sqrt(np.clip(1 - v**2.2, 0, 1)) * np.clip(v * 9 + 0.55, 0, 1)
    crease = 0.12 * np.sin(9 * u + 5 * v) * np.sin(14 * v) * sides * v
    x = (u - 0.5) * w * (1 - 0.05 * np.sin(np.pi * v))
    art = draw.print_on(768, round(768 * h / w), 0.86)
    front = np.stack([x, -(thick + crease), v * h], axis=-1)
    back = np.stack([x[:, ::-1], (thick + crease)[:, ::-1], (v * h)[:, ::-1]], axis=-1)
    uv = np.stack([u, v], axis=-1)
    return [
        Part(grid(front, uv), materials.satin(art, draw.between(0.2, 0.5))),
        Part(grid(back, uv), materials.satin(draw.brand.main, 0.4)),
    ]


def soap(draw: Draw) -> list[Part]:
    """A bar of soap in a paper sleeve."""
    w, d, h = draw.between(8, 10), draw.between(2.4, 3.4), draw.between(5, 6.5)
    bar = whole_box(w, d, h, 0.9)
    sleeve = printed_box(draw, 0.62 * w, d + 0.12, h + 0.12, 0.9)
    tone = str(draw.rng.choice(["#f1e7d3", "#dfe9dd", "#ead5dc", "#d9c7a6"]))
    return [Part(bar, materials.satin(tone, 0.5)), *(
        Part(p.mesh.moved(z=-0.06), p.material) for p in sleeve
    )]  # fmt: skip


def paper_cup(draw: Draw) -> list[Part]:
    """A cup to go, with a lid."""
    h, r = draw.between(9, 13), draw.between(3.6, 4.2)
    body = printed_body(draw, [(0, 0, 0), (0.72 * r, 0, 0.1), (r, h, 0.05), (0, h, 0)], 0, h)
    top = turned([(0, h, 0), (1.06 * r, h - 0.3, 0.1), (1.06 * r, h + 0.4, 0.15),
                  (0.86 * r, h + 1.1, 0.2), (0, h + 0.9, 0)])  # fmt: skip
    return [body, Part(top, materials.satin(draw.brand.second, 0.4))]
