"""Notebook and handbag."""

import numpy as np

from demo.rendering.product import Product
from training.rendering import artwork, materials
from training.rendering.surfaces import (
    Mesh,
    curve,
    fillet,
    joined,
    loft,
    rounded_box,
    squircle,
    tube,
)
from training.rendering.tracing import Part, View


def notebook() -> list[Part]:
    """A cloth-bound notebook, upright, with an elastic."""
    cloth = "#a63d40"
    cover = artwork.sheet(1400, 2100, cloth)
    cover.image.paste(artwork.weave(1400, 2100, 260, "#ad4548", "#96353a"))
    cover.panel((620, 700), (560, 380), fill="#f5ecdc")
    cover.panel((620, 700), (528, 348), outline="#a63d40", weight=4)
    cover.text("TALVIK", (620, 650), 92, "#4a2224", "roman", 0.18)
    cover.text("dotted · 192 pages", (620, 780), 42, "#4a2224", "serif-italic")
    leaves = artwork.grain(600, 1200, "#efe6d3", 9, seed=8, stretch=(3, 1200))
    board = rounded_box(14.2, 0.28, 21.0, 0.1)
    back = joined(*rounded_box(14.2, 0.28, 21.0, 0.1).values())
    pages = rounded_box(13.6, 1.5, 20.4, 0.05)
    spine = joined(*rounded_box(0.3, 2.06, 21.0, 0.12).values())
    elastic = joined(*rounded_box(0.6, 2.2, 21.12, 0.05).values())
    plain = joined(*(m for n, m in board.items() if n != "front"))
    return [
        Part(board["front"].moved(y=-0.89), materials.fabric(cover.image)),
        Part(
            joined(plain.moved(y=-0.89), back.moved(y=0.89), spine.moved(x=-7.05)),
            materials.fabric(cloth),
        ),
        Part(joined(*pages.values()).moved(x=-0.1, z=0.3), materials.matte(leaves)),
        Part(elastic.moved(x=5.2, z=-0.06), materials.satin("#2c2422", 0.5)),
    ]


def handbag() -> list[Part]:
    """A structured leather bag with two handles and a golden clasp."""
    leather, dark = "#8c4a2f", "#74391f"
    skin = artwork.grain(2048, 1024, "#808080", 34, seed=13, stretch=(5, 5))
    body = loft(
        fillet(
            [
                (0, 0.3, 0),
                (1.0, 0.3, 0.12),
                (1.02, 3.0, 2.0),
                (0.86, 15.6, 0.06),
                (0.8, 15.9, 0.04),
                (0, 15.7, 0),
            ]
        ),
        squircle(12.0, 5.0, 5.0),
    )
    flap = tube(
        curve(
            [
                (0, 4.6, 15.2),
                (0, 2.0, 16.15),
                (0, -2.4, 16.15),
                (0, -4.25, 15.3),
                (0, -4.5, 13.0),
                (0, -4.72, 9.6),
                (0, -4.8, 8.4),
            ],
            80,
        ),
        squircle(9.4, 0.22, 8.0, 96),
    )
    handles, rings = _handles()
    hide = materials.satin(leather, 0.4, sheen=0.2)
    return [
        Part(body, materials.embossed(hide, skin, 0.006)),
        Part(flap, materials.embossed(materials.satin(dark, 0.4, sheen=0.2), skin, 0.006)),
        Part(handles, materials.satin(dark, 0.38)),
        Part(joined(rings, _fittings()), materials.metal("#dcb66a", 0.18)),
    ]


def _handles() -> tuple[Mesh, Mesh]:
    """Two arched handles, and the rings that hold them."""
    handles, rings = [], []
    for y in (-3.2, 3.2):
        half = [(5.4, y, 16.0), (5.3, y, 19.6), (3.2, y, 23.4), (0.0, y, 24.7)]
        arch = [(-x, y, z) for x, y, z in half[:-1]] + half[::-1]
        handles.append(tube(curve(arch, 120), squircle(0.55, 0.45, 2.4, 48)))
        for x in (-5.4, 5.4):
            t = np.linspace(0, 2 * np.pi, 65)[:-1]
            ring = np.stack([x + 0.85 * np.cos(t), np.full(64, y), 16.6 + 0.85 * np.sin(t)], 1)
            rings.append(tube(ring, squircle(0.2, 0.2, 2.0, 24), closed=True))
    return joined(*handles), joined(*rings)


def _fittings() -> Mesh:
    """The clasp and the feet."""
    clasp = joined(*rounded_box(2.6, 0.5, 1.7, 0.18).values()).moved(y=-5.15, z=8.2)
    knob = joined(*rounded_box(0.9, 0.4, 0.9, 0.15).values()).moved(y=-5.5, z=8.6)
    feet = joined(
        *(
            joined(*rounded_box(1.0, 1.0, 0.5, 0.2).values()).moved(x, y)
            for x in (-8.5, 8.5)
            for y in (-2.6, 2.6)
        )
    )
    return joined(clasp, knob, feet)


PRODUCTS = (
    Product("talvik-notebook", notebook, (View(yaw_deg=-24, elevation_deg=10, fill=0.8),)),
    Product("lorenza-handbag", handbag, (View(yaw_deg=20, elevation_deg=10, fill=0.8),)),
)
