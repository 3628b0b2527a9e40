"""Mug, candle, vase, lamp, drinking bottle."""

import numpy as np
from PIL import Image

from demo.rendering.product import Product
from training.rendering import artwork, materials
from training.rendering.surfaces import curve, fillet, joined, lathe, squircle, tube
from training.rendering.tracing import Part, View


def mug() -> list[Part]:
    """A stoneware mug with a printed landscape and a handle at the right."""
    body = lathe(
        fillet(
            [
                (0, 0.15, 0),
                (3.3, 0.15, 0.05),
                (3.4, 0, 0.1),
                (4.1, 0.3, 0.5),
                (4.1, 9.4, 0.14),
                (3.75, 9.4, 0.14),
                (3.7, 0.9, 0.8),
                (0, 0.8, 0),
            ]
        ),
        v_span=(0.3, 9.3),
    )
    handle = tube(
        curve(
            [
                (3.9, 0, 7.9),
                (5.3, 0, 8.0),
                (6.5, 0, 6.9),
                (6.5, 0, 4.3),
                (5.5, 0, 2.7),
                (3.9, 0, 2.2),
            ],
            80,
        ),
        squircle(0.62, 0.42, 2.6, 48),
    )
    return [
        Part(body, materials.glossy(_lake())),
        Part(handle, materials.glossy("#c3ab85")),
    ]


def _lake() -> Image.Image:
    """A lake between hills at sunset."""
    art = artwork.sheet(4096, 1600, "#c3ab85")
    x = 2048
    art.disc((x + 120, 600), 215, "#f2a65a")
    for colour, base, swing, phase in (
        ("#7fb3b0", 840, 190, 0.3),
        ("#3f7f86", 1010, 150, 1.9),
        ("#22505c", 1200, 110, 3.7),
    ):
        along = np.linspace(x - 820, x + 820, 160)
        t = (along - along[0]) / 1640
        ridge = base - swing * np.abs(np.sin(5 * t + phase)) * np.sin(np.pi * t) ** 0.5
        art.shape(
            np.concatenate([np.stack([along, ridge], 1), [[along[-1], 1290], [along[0], 1290]]]),
            colour,
        )
    art.text("STILLWATER", (x, 1410), 84, "#22505c", "bold", 0.3)
    return art.image


def candle() -> list[Part]:
    """A poured candle in a speckled clay cup."""
    clay = artwork.grain(4096, 1900, "#b0a396", 4, seed=21, stretch=(6, 6))
    art = artwork.sheet(4096, 1900, "#b0a396")
    art.image.paste(clay)
    rng = np.random.default_rng(4)
    for _ in range(2600):
        spot = (rng.uniform(0, 4096), rng.uniform(0, 1900))
        art.disc(spot, rng.uniform(1.5, 6), str(rng.choice(["#8b7f72", "#6f655b", "#e6ded3"])))
    x, ink = 2048, "#3c3531"
    art.panel((x, 950), (980, 860), fill="#f7f3ec")
    art.text("HAVNLYS", (x, 760), 130, ink, "roman", 0.16)
    art.rule((x, 880), 130, ink, 5)
    art.text("cedar & smoke", (x, 990), 82, ink, "serif-italic")
    art.text("SOY WAX CANDLE", (x, 1160), 50, ink, "sans", 0.16)
    art.text("45 h · 220 g", (x, 1250), 50, ink, "sans")
    cup = lathe(
        fillet(
            [
                (0, 0, 0),
                (3.9, 0, 0.5),
                (4.0, 8.6, 0.12),
                (3.7, 8.6, 0.12),
                (3.7, 7.0, 0),
            ]
        ),
        v_span=(0.2, 8.5),
    )
    wax = lathe(
        fillet([(0, 7.0, 0), (3.72, 7.0, 0), (3.72, 7.75, 0.16), (0.3, 7.55, 0.2), (0, 7.6, 0)])
    )
    wick = tube(curve([(0, 0, 7.4), (0.05, 0, 8.3), (0.2, 0, 8.95)], 20), squircle(0.1, 0.1, 2, 16))
    return [
        Part(cup, materials.satin(art.image, 0.6)),
        Part(wax, materials.satin("#dfc799", 0.4)),
        Part(wick, materials.matte("#4a4038")),
    ]


def vase() -> list[Part]:
    """A bellied vase whose glaze runs from sand over teal to ink."""
    glaze = artwork.gradient(
        2048,
        2048,
        [
            (0.0, "#b08d57"),
            (0.16, "#a88a55"),
            (0.27, "#4d8583"),
            (0.5, "#2b6f7e"),
            (0.8, "#1a3f58"),
            (1.0, "#142c42"),
        ],
    )
    x, y = np.meshgrid(np.arange(2048), np.arange(2048))
    phase = x / 2048 * 2 * np.pi
    runs = 70 * np.sin(9 * phase) * np.sin(4 * phase + 1) + 40 * np.sin(23 * phase + 2)
    rows = np.clip(y + runs * np.exp(-(((y - 520) / 420) ** 2)), 0, 2047).astype(int)
    flowed = np.asarray(glaze)[rows, x]
    mottled = np.asarray(artwork.grain(2048, 2048, "#808080", 7, seed=9, stretch=(14, 20)))
    art = Image.fromarray((flowed.astype(float) + mottled - 128.0).clip(0, 255).astype("u1"))
    outside = curve(
        [
            (2.6, 0.3),
            (4.4, 2.6),
            (5.6, 6.2),
            (5.2, 9.8),
            (3.2, 13.0),
            (1.75, 15.4),
            (1.55, 17.2),
            (2.1, 18.9),
            (2.6, 19.4),
        ],
        120,
    )
    inside = curve([(2.45, 19.5), (1.9, 18.9), (1.3, 17.2), (1.4, 15.4), (1.4, 13.0)], 40)
    body = lathe(
        np.concatenate([[[0, 0.05], [2.3, 0.05], [2.45, 0.12]], outside, inside]), v_span=(0, 19.4)
    )
    return [Part(body, materials.glossy(art))]


def lamp() -> list[Part]:
    """A table lamp: a lacquered dome on a brass stem."""
    dome = curve([(0, 15.6), (2.4, 15.4), (5.2, 14.2), (7.2, 11.9), (8.1, 9.1)], 80)
    under = curve([(7.9, 9.1), (7.0, 11.7), (5.0, 13.9), (2.3, 15.0), (0, 15.2)], 60)
    shade = lathe(np.concatenate([under[::-1], dome[::-1]]))
    stem = lathe(
        fillet(
            [
                (0, 0.9, 0),
                (0.9, 0.9, 0.1),
                (0.75, 2.2, 0.6),
                (0.62, 9.0, 0.5),
                (0.75, 13.6, 0.1),
                (0, 13.6, 0),
            ]
        )
    )
    foot = lathe(fillet([(0, 0, 0), (4.6, 0, 0.2), (4.6, 0.7, 0.35), (0.9, 1.1, 0.5), (0, 1.1, 0)]))
    knob = lathe(fillet([(0, 15.5, 0), (0.5, 15.5, 0.1), (0.5, 16.2, 0.25), (0, 16.2, 0)]))
    brass = materials.metal("#d6ae62", 0.2)
    return [
        Part(shade, materials.glossy("#a83c1e")),
        Part(joined(stem, knob), brass),
        Part(foot, materials.glossy("#a83c1e")),
    ]


def bottle() -> list[Part]:
    """An insulated steel bottle, powder-coated, with a carrying loop."""
    body = lathe(
        fillet(
            [
                (0, 0, 0),
                (3.6, 0, 0.3),
                (3.6, 18.0, 2.2),
                (2.4, 20.6, 0.8),
                (2.4, 21.4, 0.05),
                (2.2, 21.4, 0),
            ]
        ),
        v_span=(0, 21.4),
    )
    neck = lathe(fillet([(2.2, 21.3, 0), (2.2, 22.2, 0)]))
    cap = lathe(fillet([(0, 21.9, 0), (2.55, 21.9, 0.1), (2.5, 24.4, 0.3), (0, 24.4, 0)]))
    loop = tube(
        curve(
            [
                (-2.3, 0, 23.4),
                (-2.6, 0, 25.2),
                (-1.4, 0, 26.5),
                (0, 0, 26.7),
                (1.4, 0, 26.5),
                (2.6, 0, 25.2),
                (2.3, 0, 23.4),
            ],
            90,
        ),
        squircle(0.62, 0.3, 3.0, 48),
    )
    coat = artwork.grain(1024, 1024, "#808080", 20, seed=2)
    return [
        Part(body, materials.embossed(materials.satin(_peaks(), 0.5), coat, 0.002)),
        Part(neck, materials.metal("#d3d5d8", 0.22)),
        Part(joined(cap, loop), materials.satin("#22272c", 0.4)),
    ]


def _peaks() -> Image.Image:
    """Two peaks over the name."""
    art = artwork.sheet(4096, 4990, "#2f5d8c")
    x, ink = 2048, "#eaf1f7"
    peaks = [(x - 420, 2520), (x - 120, 2050), (x + 30, 2260), (x + 170, 2120), (x + 420, 2520)]
    art.draw.line(peaks, fill=ink, width=38, joint="curve")
    art.text("TARN", (x, 2850), 330, ink, "condensed-bold", 0.16)
    art.text("keeps cold 24 h", (x, 3120), 108, ink, "sans")
    art.text("750 ml", (x, 4640), 100, ink, "sans")
    return art.image


PRODUCTS = (
    Product(
        "stillwater-mug",
        mug,
        (
            View(yaw_deg=-14, elevation_deg=14, fill=0.76),
            View(yaw_deg=-52, elevation_deg=22, fill=0.74),
        ),
    ),
    Product("havnlys-candle", candle, (View(elevation_deg=18, fill=0.74),)),
    Product("ebba-vase", vase, (View(elevation_deg=9),)),
    Product("solveig-lamp", lamp, (View(elevation_deg=4, fill=0.8),)),
    Product("tarn-bottle", bottle, (View(yaw_deg=10, elevation_deg=8, fill=0.84),)),
)
