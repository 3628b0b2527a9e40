"""Coffee, soda, jam, tea, cereal."""

import numpy as np
from PIL import Image

from demo.rendering.product import Product
from training.rendering import artwork, materials
from training.rendering.artwork import Sheet
from training.rendering.surfaces import Mesh, fillet, joined, lathe, rounded_box, squircle, tube
from training.rendering.tracing import Part, View

_STEEL = "#d3d5d8"


def coffee() -> list[Part]:
    """A tin with a paper wrap, rolled rims and a pressed lid."""
    body = lathe(fillet([(4.9, 0.35, 0), (4.9, 14.1, 0)]), v_span=(0.35, 14.1))
    rims = [
        lathe(fillet([(0, z, 0), (5.05, z, 0.14), (5.05, z + 0.4, 0.18), (4.4, z + 0.4, 0)]))
        for z in (0.0, 14.0)
    ]
    lid = lathe(
        fillet(
            [
                (5.0, 14.3, 0),
                (5.12, 14.35, 0.04),
                (5.12, 15.5, 0.18),
                (4.6, 15.5, 0.1),
                (4.4, 15.2, 0.1),
                (0, 15.2, 0),
            ]
        )
    )
    return [
        Part(body, materials.satin(_bean_wrap(), 0.3)),
        Part(joined(*rims), materials.metal(_STEEL, 0.2)),
        Part(lid, materials.metal("#c8885a", 0.24)),
    ]


def _bean_wrap() -> Image.Image:
    """A bean over the name between striped borders."""
    wrap = artwork.sheet(4096, 2020, "#1f3d36")
    x, cream, copper = 2048, "#f3e6cd", "#d98a4e"
    for k in range(64):  # a border of beans' stripes
        wrap.rule((k * 64 + 32, 150), 26, copper, 90)
        wrap.rule((k * 64 + 32, 1870), 26, copper, 90)
    wrap.disc((x, 760), 300, copper)
    bean = np.linspace(0, 2 * np.pi, 80)
    wrap.shape(np.stack([x + 130 * np.cos(bean), 760 + 190 * np.sin(bean)], 1), "#3a2015")
    split = np.linspace(-1, 1, 60)
    curl = x + 34 * np.sin(np.pi * split)
    wrap.draw.line(
        [(float(a), 760 + 176 * float(b)) for a, b in zip(curl, split, strict=True)],
        fill=copper,
        width=18,
    )
    wrap.text("NORDKAFF", (x, 1220), 190, cream, "condensed-bold", 0.06)
    wrap.text("filter roast", (x, 1390), 110, cream, "serif-italic")
    wrap.text("WHOLE BEANS · 500 g", (x, 1590), 66, copper, "bold", 0.1)
    return wrap.image


def soda() -> list[Part]:
    """A slim drinks can in metallic print."""
    body = lathe(
        fillet(
            [
                (2.1, 0.1, 0),
                (2.25, 0.0, 0.06),
                (2.9, 0.85, 0.5),
                (2.9, 12.9, 0.7),
                (2.42, 14.1, 0.15),
                (2.4, 14.2, 0),
            ]
        ),
        v_span=(0.6, 13.2),
    )
    rim = lathe(
        fillet(
            [
                (2.36, 14.1, 0),
                (2.52, 14.2, 0.05),
                (2.52, 14.45, 0.12),
                (2.28, 14.45, 0.08),
                (2.2, 14.0, 0.1),
                (0, 14.0, 0),
            ]
        )
    )
    tab = tube(
        np.stack([np.zeros(40), np.linspace(-1.2, 0.6, 40), np.full(40, 14.12)], 1),
        squircle(0.5, 0.07, 4.0, 32),
    )
    return [
        Part(body, materials.painted_metal(_sunburst())),
        Part(joined(rim, tab), materials.metal(_STEEL, 0.2)),
    ]


def _sunburst() -> Image.Image:
    """A sliced orange in a sunburst."""
    art = artwork.sheet(4096, 3000, "#f0523d")
    x, white, sun = 2048, "#fff6e6", "#ffc93c"
    for k in range(24):  # a sunburst
        a, b = np.radians(k * 15), np.radians(k * 15 + 7.5)
        rays = [
            (x, 1250),
            (x + 2600 * np.cos(a), 1250 + 2600 * np.sin(a)),
            (x + 2600 * np.cos(b), 1250 + 2600 * np.sin(b)),
        ]
        art.shape(np.array(rays), "#f76a4a")
    art.disc((x, 1250), 560, white)
    art.disc((x, 1250), 500, sun)
    for k in range(8):  # an orange in slices
        a = np.radians(k * 45 + 22.5)
        arc = a + np.radians(np.linspace(-18, 18, 20))
        rim = np.stack([x + 430 * np.cos(arc), 1250 + 430 * np.sin(arc)], 1)
        tip = np.array([[x + 70 * np.cos(a), 1250 + 70 * np.sin(a)]])
        art.shape(np.concatenate([tip, rim]), "#f58a1f")
    art.text("ZOLLA", (x, 2060), 400, white, "condensed-bold", 0.04)
    art.text("blood orange soda", (x, 2330), 126, white, "serif-italic")
    art.text("330 ml", (x, 2700), 90, white, "bold")
    return art.image


def jam() -> list[Part]:
    """A jar of raspberry jam with a paper label and a golden lid."""
    body = lathe(
        fillet(
            [
                (0, 0, 0),
                (3.3, 0, 0.7),
                (3.3, 7.4, 1.1),
                (2.75, 8.6, 0.3),
                (2.75, 8.9, 0),
            ]
        ),
        v_span=(0, 8.9),
    )
    lid = lathe(
        fillet(
            [
                (0, 8.6, 0),
                (3.0, 8.6, 0.1),
                (3.0, 9.9, 0.3),
                (2.5, 10.0, 0.1),
                (2.4, 9.85, 0.1),
                (0, 9.85, 0),
            ]
        )
    )
    return [
        Part(body, materials.glossy(_jam_label())),
        Part(lid, materials.metal("#d9b36a", 0.22)),
    ]


def _jam_label() -> Image.Image:
    """A cream label on jam."""
    art = artwork.sheet(4096, 2300, "#7d0f24")
    berry = artwork.grain(4096, 2300, "#8a1128", 8, seed=5, stretch=(40, 40))
    art.image.paste(berry)
    x, ink = 2048, "#5b1020"
    art.panel((x, 1330), (1500, 1180), fill="#fbf5e9", radius=60)
    art.panel((x, 1330), (1430, 1110), outline="#c9a15a", weight=7, radius=40)
    art.text("Applewick", (x, 1050), 190, ink, "serif-italic")
    art.rule((x, 1200), 300, "#c9a15a", 7)
    art.text("RASPBERRY", (x, 1340), 132, ink, "bold", 0.1)
    art.text("small-batch jam", (x, 1490), 88, ink, "serif")
    for angle in (160, 200, 340, 20):
        art.leaf((x, 1670), 150, angle, "#4d6b3a")
    art.disc((x, 1670), 34, ink)
    art.text("340 g", (x, 1800), 62, ink, "sans")
    return art.image


def tea() -> list[Part]:
    """A kraft carton with a printed band."""
    front = _kraft(1000, 1400, 11)
    x, ink = 500, "#2d3b2f"
    front.panel((x, 560), (640, 640), fill="#2f5d46", radius=320)
    for angle, length in ((90, 250), (55, 220), (125, 220), (25, 180), (155, 180)):
        front.leaf((x, 690), length, angle, "#e8dcb5")
    front.text("TAMSIN", (x, 1000), 118, ink, "serif-bold", 0.12)
    front.text("jasmine green tea", (x, 1110), 58, ink, "serif-italic")
    front.text("20 PYRAMID BAGS", (x, 1270), 38, ink, "bold", 0.14)
    side = _kraft(700, 1400, 12)
    side.panel((350, 560), (700, 640), fill="#2f5d46")
    for k, line in enumerate(("Steep", "3 minutes", "at 80 °C")):
        side.text(line, (350, 460 + 100 * k), 72, "#e8dcb5", "serif")
    side.text("net 40 g", (350, 1270), 44, ink, "sans")
    box = rounded_box(8.0, 5.6, 11.2, 0.12)
    return _printed(box, front.image, side.image, "#b58b5c", 0.75)


def cereal() -> list[Part]:
    """A carton of cereal rings in loud colours."""
    front = artwork.sheet(1200, 1700, "#2a6fd6")
    wave = np.linspace(0, 1200, 80)
    top = np.stack([wave, 1010 + 70 * np.sin(wave / 190)], 1)
    front.shape(np.concatenate([top, [[1200, 1700], [0, 1700]]]), "#fdf6e3")
    front.text("HOOPLA", (606, 306), 236, "#123a7a", "bold")
    front.text("HOOPLA", (600, 296), 236, "#ffd23f", "bold")
    front.text("honey oat rings", (600, 480), 84, "#ffffff", "serif-italic")
    rng = np.random.default_rng(7)
    for _ in range(90):
        cx, cy = rng.uniform(120, 1080), rng.normal(1090, 170)
        radius, tint = rng.uniform(58, 76), rng.choice(["#e0a54c", "#d4923a", "#eab866"])
        if cy < 800 or cy > 1420:
            continue
        front.disc((cx + 4, cy + 8), radius, "#8a5a20")
        front.disc((cx, cy), radius, str(tint))
        front.disc((cx + 2, cy + 3), radius * 0.42, "#8a5a20")
        front.disc((cx + 3, cy + 7), radius * 0.36, "#fdf6e3")
    front.disc((960, 660), 130, "#e63946")
    front.text("whole", (960, 630), 58, "#ffffff", "bold")
    front.text("grain", (960, 694), 58, "#ffffff", "bold")
    front.text("375 g", (600, 1600), 64, "#123a7a", "bold")
    side = artwork.sheet(420, 1700, "#1f58b0")
    side.text("HOOPLA", (210, 200), 72, "#ffd23f", "bold")
    side.panel((210, 860), (330, 900), fill="#fdf6e3", radius=16)
    for k in range(13):
        side.rule((210, 500 + 60 * k), 270, "#8aa4cc", 8 if k else 18)
    box = rounded_box(19.0, 6.2, 27.0, 0.15)
    return _printed(box, front.image, side.image, "#2a6fd6", 0.38)


def _kraft(width: int, height: int, seed: int) -> Sheet:
    kraft = artwork.sheet(width, height, "#b58b5c")
    kraft.image.paste(artwork.grain(width, height, "#b58b5c", 7, seed, stretch=(5, 3)))
    return kraft


def _printed(
    box: dict[str, Mesh], front: Image.Image, side: Image.Image, rest: str, roughness: float
) -> list[Part]:
    """A carton: artwork on front and back and on both sides, one colour above and below."""
    return [
        Part(joined(box["front"], box["back"]), materials.satin(front, roughness)),
        Part(joined(box["left"], box["right"]), materials.satin(side, roughness)),
        Part(joined(box["top"], box["bottom"]), materials.satin(rest, roughness)),
    ]


PRODUCTS = (
    Product("nordkaff-coffee", coffee, (View(elevation_deg=11),)),
    Product("zolla-soda", soda, (View(elevation_deg=9, fill=0.82),)),
    Product("applewick-jam", jam, (View(elevation_deg=12, fill=0.76),)),
    Product("tamsin-tea", tea, (View(yaw_deg=28, elevation_deg=12, fill=0.76),)),
    Product("hoopla-cereal", cereal, (View(yaw_deg=-26, elevation_deg=9, fill=0.82),)),
)
