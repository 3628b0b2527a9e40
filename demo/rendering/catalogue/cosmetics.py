"""Perfume, shampoo, cream, lipstick."""

import numpy as np
from PIL import Image

from demo.rendering.product import Product
from training.rendering import artwork, materials
from training.rendering.surfaces import (
    Mesh,
    curve,
    fillet,
    joined,
    lathe,
    loft,
    rounded_box,
    squircle,
    tube,
)
from training.rendering.tracing import Part, View


def perfume() -> list[Part]:
    """A thick-walled glass block, half full, with a lacquered cap."""
    outer = rounded_box(6.4, 3.6, 7.6, 0.5)
    juice = rounded_box(5.0, 2.3, 5.0, 0.3)
    label = artwork.sheet(800, 800, "#f4efe6")
    label.panel((400, 400), (744, 744), outline="#b08d4f", weight=6)
    label.text("OVELLE", (400, 330), 108, "#2a2320", "roman", 0.14)
    label.rule((400, 430), 150, "#b08d4f", 4)
    label.text("fleur de sel", (400, 510), 62, "#2a2320", "serif-italic")
    label.text("EAU DE PARFUM  50 ML", (400, 640), 34, "#6b5a48", "sans", 0.12)
    paper = rounded_box(3.5, 0.06, 3.5, 0.02)
    collar = lathe(fillet([(0, 7.55, 0), (1.25, 7.55, 0.05), (1.25, 8.2, 0.06), (0, 8.2, 0)]))
    cap = loft(
        fillet([(0, 8.2, 0), (1, 8.2, 0.06), (1, 10.9, 0.16), (0, 10.9, 0)]),
        squircle(1.75, 1.6, 7.0),
    )
    gold = materials.metal("#d8b470", 0.18)
    front = paper["front"].moved(0, -1.83, 1.9)
    rest = joined(*(m for n, m in paper.items() if n != "front")).moved(0, -1.83, 1.9)
    return [
        Part(joined(*outer.values()), materials.glass()),
        Part(joined(*juice.values()).moved(0, 0, 1.15), materials.liquid("#f0b070")),
        Part(front, materials.satin(label.image)),
        Part(rest, materials.satin("#f4efe6")),
        Part(collar, gold),
        Part(cap, materials.glossy("#15110f")),
    ]


def shampoo() -> list[Part]:
    """An oval bottle of soft-touch plastic with a pump."""
    body = fillet(
        [
            (0, 0, 0),
            (1.0, 0, 0.12),
            (1.0, 13.6, 0.42),
            (0.36, 14.9, 0.1),
            (0.36, 15.6, 0.0),
        ]
    )
    dark = materials.satin("#26312b", 0.3)
    return [
        Part(
            loft(body, squircle(3.5, 2.1, 2.5), v_span=(0, 13.6)),
            materials.satin(_fern_label(), 0.42),
        ),
        Part(_pump(), dark),
    ]


def _pump() -> Mesh:
    """The pump with its collar and spout."""
    collar = lathe(
        fillet(
            [
                (0, 15.1, 0),
                (1.35, 15.1, 0.1),
                (1.35, 16.9, 0.16),
                (0.55, 17.0, 0.08),
                (0.5, 18.2, 0.02),
                (0, 18.2, 0),
            ]
        )
    )
    head = lathe(
        fillet(
            [
                (0, 18.1, 0),
                (1.0, 18.1, 0.12),
                (0.95, 19.1, 0.3),
                (0, 19.2, 0),
            ]
        )
    )
    spout = tube(
        curve([(0, 0, 18.6), (-1.6, -0.9, 18.75), (-2.5, -1.4, 18.62), (-2.75, -1.55, 18.1)], 40),
        squircle(0.36, 0.3, 2.5, 32),
    )
    return joined(collar, head, spout)


def _fern_label() -> Image.Image:
    """Leaves over the name, printed on the bottle."""
    label = artwork.sheet(4096, 3200, "#8aa384")
    ink, x = "#22352a", 2048
    for k in range(5):
        label.leaf((x, 1080), 420, 90 + (k - 2) * 34, ink)
    label.text("FERNHAUS", (x, 1370), 200, ink, "bold", 0.08)
    label.rule((x, 1520), 520, ink, 9)
    label.text("rosemary & nettle", (x, 1660), 136, ink, "serif-italic")
    label.text("SHAMPOO", (x, 1920), 116, ink, "sans", 0.3)
    label.text("300 ml", (x, 2700), 92, ink, "sans")
    return label.image


def cream() -> list[Part]:
    """A low jar of white opal glass with a brushed lid."""
    label = artwork.sheet(4096, 760, "#dbb6ab")
    x, ink = 2048, "#7c4a45"
    label.text("MIRELLE", (x, 250), 190, ink, "roman", 0.22)
    label.rule((x, 385), 240, "#c99b8e", 6)
    label.text("crème de nuit", (x, 490), 104, ink, "serif-italic")
    label.text("50 ml", (x, 640), 60, ink, "sans", 0.1)
    body = lathe(
        fillet([(0, 0, 0), (3.5, 0, 0.6), (3.5, 3.9, 0.35), (3.1, 4.05, 0.02), (0, 4.05, 0)]),
        v_span=(0.1, 3.9),
    )
    lid = lathe(
        fillet([(0, 4.1, 0), (3.52, 4.1, 0.1), (3.52, 6.0, 0.28), (0, 6.0, 0)]), v_span=(4.1, 6.0)
    )
    brushed = artwork.grain(2048, 256, "#d9b08f", 5, seed=3, stretch=(400, 1))
    return [
        Part(body, materials.glossy(label.image)),
        Part(lid, materials.metal(brushed, 0.26)),
    ]


def lipstick() -> list[Part]:
    """An open lipstick, its cap beside it."""
    gold = materials.metal("#dcb877", 0.15)
    black = materials.glossy("#1b1517")
    base = lathe(
        fillet([(0, 0, 0), (1.0, 0, 0.08), (1.0, 3.4, 0.08), (0, 3.4, 0)]), v_span=(0, 3.4)
    )
    print_ = artwork.sheet(2048, 1100, "#1b1517")
    print_.text("VERAMOUR", (1024, 560), 74, "#e3c48c", "roman", 0.2)
    inner = lathe(
        fillet(
            [
                (0, 3.4, 0),
                (0.84, 3.4, 0.03),
                (0.84, 4.9, 0.05),
                (0.76, 4.95, 0.02),
                (0.7, 4.6, 0.02),
                (0, 4.6, 0),
            ]
        )
    )
    ring = lathe(fillet([(0, 3.3, 0), (1.02, 3.3, 0.04), (1.02, 3.52, 0.04), (0, 3.52, 0)]))
    bullet = lathe(fillet([(0, 4.5, 0), (0.66, 4.5, 0.0), (0.66, 7.9, 0.62), (0, 8.1, 0)]))
    points = bullet.vertices.copy()  # the slanted tip
    slant = np.clip((points[:, 2] - 5.6) / 2.5, 0, 1)
    points[:, 2] -= slant * (points[:, 0] * 0.9 + 0.55)
    cap = lathe(fillet([(0, 0, 0), (1.04, 0, 0.1), (1.04, 4.6, 0.1), (0, 4.6, 0)]))
    band = lathe(fillet([(0, 0.2, 0), (1.06, 0.2, 0.03), (1.06, 0.5, 0.03), (0, 0.5, 0)]))
    return [
        Part(base, materials.glossy(print_.image)),
        Part(joined(inner, ring, band.moved(2.9, 0.7)), gold),
        Part(bullet.bent(points), materials.satin("#b3122e", 0.28)),
        Part(cap.moved(2.9, 0.7), black),
    ]


PRODUCTS = (
    Product("ovelle-perfume", perfume, (View(yaw_deg=-24, elevation_deg=9),), max_depth=24),
    Product("fernhaus-shampoo", shampoo, (View(yaw_deg=12, elevation_deg=8),)),
    Product("mirelle-cream", cream, (View(elevation_deg=17, fill=0.74),)),
    Product("veramour-lipstick", lipstick, (View(elevation_deg=11, fill=0.76),)),
)
