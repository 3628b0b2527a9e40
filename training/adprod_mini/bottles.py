"""Bottles, tubes and what else stands in a bathroom or a bar."""

import numpy as np

from training.adprod_mini.bodies import (
    Draw,
    lid,
    printed_body,
    swept,
    turned,
    whole_box,
)
from training.rendering import materials
from training.rendering.surfaces import curve, fillet, joined, lathe, loft, squircle, tube
from training.rendering.tracing import Part


def round_bottle(draw: Draw) -> list[Part]:
    """A round bottle with shoulders and a screw cap."""
    r, h = draw.between(2.4, 3.6), draw.between(9, 15)
    neck = draw.between(0.3, 0.5) * r
    body = printed_body(
        draw,
        [(0, 0, 0), (r, 0, 0.3), (r, h, draw.between(0.5, 2.2)), (neck, h + draw.between(0.9, 2.4),
         0.3), (neck, h + 3.2, 0), (0, h + 3.2, 0)],
        0.3, h,
    )  # fmt: skip
    return [body, Part(lid(1.15 * neck, h + 2.6, h + draw.between(3.8, 5)), draw.trim())]


def wine_bottle(draw: Draw) -> list[Part]:
    """Dark glass, a paper label, a capsule over the cork."""
    glass = str(draw.rng.choice(["#16301f", "#2a1a14", "#3c4a1e", "#101416"]))
    knots = [(0, 0, 0), (3.6, 0, 0.3), (3.6, 17, draw.between(1.5, 4)), (1.25, 22, 1.2),
             (1.25, 28, 0.1), (0, 28, 0)]  # fmt: skip
    low, high = draw.between(3, 5), draw.between(10, 14)
    paper = draw.print_on(1024, round(1024 * (high - low) / 23), 0.34)
    return [
        Part(turned(knots), materials.glossy(glass, 0.1)),
        Part(turned([(3.62, low, 0), (3.62, high, 0)], (low, high)), materials.satin(paper, 0.6)),
        Part(lid(1.33, draw.between(21.5, 23), 28.4), draw.trim()),
    ]


def pump_bottle(draw: Draw) -> list[Part]:
    """An oval or round bottle with a pump."""
    a, h = draw.between(2.8, 3.6), draw.between(10, 14)
    knots = [(0, 0, 0), (1, 0, 0.12), (1, h, 0.5), (0.36, h + 1.2, 0.1), (0.36, h + 1.9, 0)]
    art = draw.print_on(1024, round(1024 * h / (5.6 * a)), 0.34)
    body = swept(knots, a, a * draw.between(0.6, 1.0), draw.between(2.2, 4), (0, h))
    top = h + 1.6
    spout = tube(
        curve([(0, 0, top + 3.4), (-1.6, -0.9, top + 3.5), (-2.5, -1.4, top + 3.3),
               (-2.7, -1.5, top + 2.8)], 24),
        squircle(0.36, 0.3, 2.5, 24),
    )  # fmt: skip
    pump = joined(lid(1.35, top, top + 1.8), lid(0.55, top + 1.6, top + 3.1),
                  lid(1.0, top + 2.9, top + 3.9), spout)  # fmt: skip
    return [Part(body, draw.coat(art)), Part(pump, draw.trim())]


def dropper_bottle(draw: Draw) -> list[Part]:
    """A small serum bottle with a rubber bulb."""
    r, h = draw.between(1.7, 2.2), draw.between(5, 7.5)
    body = printed_body(
        draw,
        [(0, 0, 0), (r, 0, 0.2), (r, h, 0.7), (0.75, h + 0.7, 0.2), (0.75, h + 1.2, 0)],
        0.2, h,
    )  # fmt: skip
    bulb = turned(
        [(0, h + 2.2, 0), (0.62, h + 2.2, 0), (0.72, h + 3.6, 0.4), (0.5, h + 4.7, 0.4),
         (0, h + 4.8, 0)]
    )  # fmt: skip
    return [
        body,
        Part(lid(0.98, h + 0.9, h + 2.4), draw.trim()),
        Part(bulb, materials.satin(draw.brand.accent, 0.6)),
    ]


def spray_bottle(draw: Draw) -> list[Part]:
    """A trigger spray for cleaning or plants."""
    r, h = draw.between(2.6, 3.4), draw.between(10, 14)
    body = printed_body(
        draw,
        [(0, 0, 0), (r, 0, 0.4), (r, h, 1.8), (1.0, h + 2.6, 0.5), (1.0, h + 3.4, 0)],
        0.4, h,
    )  # fmt: skip
    top = h + 3.2
    head = whole_box(1.9, 1.5, 1.7, 0.4).moved(z=top + 0.6)
    nose = whole_box(2.6, 1.0, 0.9, 0.3).moved(x=-1.8, z=top + 1.3)
    trigger = tube(
        curve([(-1.0, 0, top + 1.0), (-1.6, 0, top - 0.2), (-1.2, 0, top - 1.8)], 20),
        squircle(0.22, 0.42, 3.0, 24),
    )
    return [
        body,
        Part(joined(lid(1.2, top - 0.4, top + 0.8), head), draw.trim()),
        Part(joined(nose, trigger), materials.satin(draw.brand.accent, 0.4)),
    ]


def perfume(draw: Draw) -> list[Part]:
    """A block of tinted glass with a heavy cap."""
    w, d, h = draw.between(4.5, 7), draw.between(2.4, 4), draw.between(5, 9)
    power = draw.between(2.5, 8)
    art = draw.print_on(1024, round(1024 * h / (2 * (w + d))), 0.26)
    knots = [(0, 0, 0), (1, 0, 0.08), (1, h, 0.1), (0.3, h + 0.2, 0.02), (0.3, h + 0.9, 0)]
    cap_h = draw.between(1.4, 3.2)
    cap = loft(
        fillet([(0, h + 0.7, 0), (1, h + 0.7, 0.06), (1, h + 0.7 + cap_h, 0.14),
                (0, h + 0.7 + cap_h, 0)]),
        squircle(0.28 * w, min(0.28 * w, 0.45 * d), draw.between(2, 7), 96),
    )  # fmt: skip
    return [
        Part(swept(knots, w / 2, d / 2, power, (0, h)), materials.glossy(art, 0.08)),
        Part(cap, draw.trim()),
    ]


def squeeze_tube(draw: Draw) -> list[Part]:
    """A cosmetics tube that stands on its cap, flat at the top."""
    r, h = draw.between(1.8, 2.5), draw.between(9, 13)
    z = np.concatenate([np.linspace(1.9, h * 0.7, 16), np.linspace(h * 0.75, h, 12)])
    rings = []
    for level in z:
        flat = np.clip((level - 1.9) / (h - 1.9), 0, 1)
        rings.append(squircle(r * (1 + 0.45 * flat**1.3), r * (1 - 0.95 * flat**1.2), 2.0, 96))
    # A loft has one outline; this one changes with the height, so its points are moved.
    plain = loft(np.stack([np.ones_like(z), z], 1), squircle(1, 1, 2, 96), v_span=(1.9, h))
    points = plain.vertices.copy()
    points[:, :2] = np.concatenate(rings)
    art = draw.print_on(1024, round(1024 * h / (2 * np.pi * r)), 0.32)
    return [
        Part(plain.bent(points), draw.coat(art)),
        Part(lid(1.02 * r, 0, 2.0, 0.2), draw.trim()),
    ]


def lipstick(draw: Draw) -> list[Part]:
    """An open lipstick."""
    case = turned([(0, 0, 0), (1.0, 0, 0.08), (1.0, 3.6, 0.08), (0, 3.6, 0)], (0, 3.6))
    inner = turned([(0, 3.6, 0), (0.82, 3.6, 0.03), (0.82, 5, 0.05), (0, 5, 0)])
    bullet = lathe(fillet([(0, 4.8, 0), (0.68, 4.8, 0), (0.68, 7.9, 0.6), (0, 8.1, 0)]), around=64)
    points = bullet.vertices.copy()  # the slanted tip
    points[:, 2] -= np.clip((points[:, 2] - 5.6) / 2.5, 0, 1) * (points[:, 0] * 0.9 + 0.55)
    shade = str(draw.rng.choice(["#b3122e", "#d6486a", "#8a1f3a", "#e0705c", "#a8435c"]))
    return [
        Part(case, draw.coat(draw.print_on(1024, 560, 0.34))),
        Part(inner, materials.metal("#dcb877", 0.18)),
        Part(bullet.bent(points), materials.satin(shade, 0.28)),
    ]


def flask(draw: Draw) -> list[Part]:
    """An insulated drinking bottle with a loop."""
    r, h = draw.between(3.0, 3.8), draw.between(14, 19)
    body = printed_body(
        draw,
        [(0, 0, 0), (r, 0, 0.3), (r, h, draw.between(1, 2.4)), (0.66 * r, h + 2.6, 0.8),
         (0.66 * r, h + 3.4, 0)],
        0.3, h,
    )  # fmt: skip
    loop = tube(
        curve([(-0.62 * r, 0, h + 5), (-0.7 * r, 0, h + 6.8), (0, 0, h + 8), (0.7 * r, 0, h + 6.8),
               (0.62 * r, 0, h + 5)], 48),
        squircle(0.6, 0.3, 3.0, 32),
    )  # fmt: skip
    return [body, Part(joined(lid(0.7 * r, h + 3.2, h + 5.6, 0.3), loop), draw.trim())]
