"""Speaker, headphones, ball."""

import numpy as np
from PIL import Image

from demo.rendering.product import Product
from training.rendering import artwork, materials
from training.rendering.surfaces import Mesh, curve, fillet, joined, lathe, sphere, squircle, tube
from training.rendering.tracing import Part, View


def speaker() -> list[Part]:
    """A cloth-covered cylinder with an aluminium crown."""
    cloth = artwork.weave(4096, 2400, 300, "#b9654a", "#6e3325")
    relief = artwork.weave(4096, 2400, 300, "#ffffff", "#000000")
    body = lathe(fillet([(4.5, 0.5, 0), (4.5, 16.0, 0)]), v_span=(0.5, 16.0))
    foot = lathe(fillet([(0, 0, 0), (4.2, 0, 0.1), (4.4, 0.55, 0.05), (0, 0.6, 0)]))
    bands = [
        lathe(fillet([(4.4, z, 0), (4.6, z, 0.05), (4.6, z + h, 0.05), (4.4, z + h, 0)]))
        for z, h in ((0.5, 0.35), (3.6, 0.18))
    ]
    crown = lathe(
        fillet(
            [
                (4.52, 15.7, 0),
                (4.62, 15.75, 0.05),
                (4.62, 16.9, 0.3),
                (4.1, 17.0, 0.1),
                (3.9, 16.7, 0.15),
                (0, 16.7, 0),
            ]
        )
    )
    dial = lathe(fillet([(0, 16.7, 0), (2.6, 16.7, 0.05), (2.6, 17.1, 0.15), (0, 17.1, 0)]))
    name = artwork.sheet(900, 300, "#dfe3e6")
    name.text("aurelo", (450, 140), 180, "#25313c", "bold")
    tag = _patch(2.7, 0.9, 4.6, 1.75)
    return [
        Part(body, materials.embossed(materials.fabric(cloth), relief, 0.012)),
        Part(foot, materials.satin("#1d2125", 0.5)),
        Part(joined(crown, *bands), materials.metal("#cfd4d8", 0.25)),
        Part(dial, materials.satin("#22282e", 0.35)),
        Part(tag, materials.satin(name.image, 0.3)),
    ]


def _patch(width: float, height: float, radius: float, z: float) -> Mesh:
    """A label bent round the front of a cylinder, its uv over the whole label."""
    half = width / radius / 2
    profile = np.array([[radius, z], [radius, z + height]])
    around = lathe(profile, v_span=(z, z + height))
    angle = (around.uv[:, 0] - 0.5) * 2 * half
    vertices = np.stack(
        [radius * np.sin(angle), -radius * np.cos(angle), around.vertices[:, 2]], axis=1
    )
    return around.bent(vertices)


def headphones() -> list[Part]:
    """Over-ear headphones standing on their cups."""
    cup = lathe(
        fillet(
            [
                (0, 0, 0),
                (3.3, 0, 0.1),
                (3.9, 0.2, 0.3),
                (4.0, 1.4, 0.6),
                (3.2, 2.3, 0.8),
                (0, 2.5, 0),
            ]
        )
    )
    ring = lathe(
        fillet(
            [(2.2, 2.42, 0), (2.6, 2.42, 0.05), (2.5, 2.62, 0.08), (2.1, 2.62, 0.05), (0, 2.56, 0)]
        )
    )
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    around = np.stack([2.85 * np.cos(angle), 2.85 * np.sin(angle), np.full(96, -0.9)], 1)
    cushion = tube(around, squircle(1.15, 1.0, 2.4, 48), closed=True)
    t = np.radians(np.linspace(-78, 78, 120))
    arch = np.stack([8.7 * np.sin(t), np.zeros(120), 12.3 + 7.6 * np.cos(t)], 1)
    band = tube(arch, squircle(1.5, 0.42, 3.0, 64))
    pad = tube(arch[22:-22] * [0.955, 1, 1] - [0, 0, 0.5], squircle(1.35, 0.5, 2.4, 48))
    cups, rings, cushions = (_at_both_ears(mesh) for mesh in (cup, ring, cushion))
    shell = materials.satin("#2f5b50", 0.35)
    return [
        Part(cups, shell),
        Part(joined(rings, _arm(-1), _arm(1)), materials.metal("#d8b98e", 0.22)),
        Part(joined(cushions, pad), materials.satin("#231f1d", 0.6, sheen=0.3)),
        Part(band, shell),
    ]


def _at_both_ears(mesh: Mesh) -> Mesh:
    """A round part, its axis outwards, made oval and set at the left and at the right."""
    oval = mesh.bent(mesh.vertices * [1.22, 1.0, 1.0])
    return joined(*(oval.turned("y", 85 * s).moved(x=s * 7.3, z=5.0) for s in (-1, 1)))


def _arm(side: int) -> Mesh:
    """What holds the cup to the band at one side, -1 is left."""
    knots = [(9.0, 0, 6.0), (9.7, 0, 9.0), (9.3, 0, 12.0), (8.5, 0, 14.2)]
    return tube(curve([(side * x, y, z) for x, y, z in knots], 50), squircle(0.28, 0.85, 3.0, 40))


def ball() -> list[Part]:
    """A basketball: pebbled rubber, black channels, a maker's mark."""
    width, height = 4096, 2048
    seams = _seams(width, height)
    art = artwork.sheet(width, height, "#d2691e")
    art.text("KORBA", (2306, 770), 116, "#231815", "condensed-bold", 0.06)
    art.text("INDOOR · SIZE 7", (2306, 862), 36, "#231815", "bold", 0.1)
    pixels = np.asarray(art.image, dtype=float)
    black = np.array([35, 26, 22])
    inked = pixels * (1 - seams[..., None]) + black * seams[..., None]
    rng = np.random.default_rng(1)
    pebbles = Image.fromarray((rng.random((height // 9, width // 9)) * 255).astype("u1"))
    bumps = np.asarray(pebbles.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    relief = bumps * 0.35 * (1 - seams) + 140 * (1 - seams)
    skin = materials.embossed(
        materials.satin(Image.fromarray(inked.astype("u1")), 0.5),
        Image.fromarray(relief.clip(0, 255).astype("u1")),
        0.03,
    )
    return [Part(sphere(12.0).turned("z", -20).turned("y", -12).turned("x", 6), skin)]


def _seams(width: int, height: int, half_width: float = 0.016) -> np.ndarray:
    """Where a basketball's channels run on its equirectangular map, 0 to 1, (height, width)."""
    u, v = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    longitude, latitude = np.meshgrid((u - 0.5) * 2 * np.pi, (0.5 - v) * np.pi)
    x, z = np.cos(latitude) * np.sin(longitude), np.sin(latitude)
    bows = np.abs(np.abs(x) - 0.64 - 0.22 * z**2)
    distance = np.minimum.reduce([np.abs(x), np.abs(z), bows])
    return np.clip((half_width - distance) / 0.004 + 0.5, 0.0, 1.0)


PRODUCTS = (
    Product("aurelo-speaker", speaker, (View(yaw_deg=-8, elevation_deg=12),)),
    Product("aurelo-headphones", headphones, (View(yaw_deg=-32, elevation_deg=10, fill=0.78),)),
    Product("korba-ball", ball, (View(elevation_deg=10, fill=0.74),)),
)
