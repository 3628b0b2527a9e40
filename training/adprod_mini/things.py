"""Books, bags, balls, devices: what is neither packed nor poured."""

import numpy as np

from training.adprod_mini.bodies import Draw, lid, printed_box, swept, turned, whole_box
from training.adprod_mini.brands import ink_on
from training.rendering import artwork, materials
from training.rendering.surfaces import (
    Mesh,
    curve,
    grid,
    joined,
    rounded_box,
    sphere,
    squircle,
    tube,
)
from training.rendering.tracing import Part


def book(draw: Draw) -> list[Part]:
    """A book that stands upright."""
    w, h, thick = draw.between(11, 15), draw.between(16, 21), draw.between(1.2, 3.5)
    board = rounded_box(w, 0.28, h, 0.08)
    cover = draw.print_on(640, round(640 * h / w))
    pages = whole_box(0.96 * w, thick, 0.97 * h, 0.05).moved(x=-0.015 * w, z=0.015 * h)
    half = thick / 2 + 0.14
    plain = joined(*(m for n, m in board.items() if n != "front")).moved(y=-half)
    back = joined(*board.values()).moved(y=half)
    spine = whole_box(0.3, thick + 0.5, h, 0.1).moved(x=-w / 2)
    cloth = draw.coat(draw.brand.main)
    return [
        Part(board["front"].moved(y=-half), draw.coat(cover)),
        Part(joined(plain, back, spine), cloth),
        Part(pages, materials.matte("#efe6d3")),
    ]


def notebook(draw: Draw) -> list[Part]:
    """A clothbound notebook with an elastic."""
    parts = printed_box(draw, draw.between(12, 14), draw.between(1.2, 2.2), draw.between(17, 21))
    x = draw.between(3.5, 5)
    band = whole_box(0.6, 2.5, 21.3, 0.05).moved(x=x)
    tall = max(float(p.mesh.vertices[:, 2].max()) for p in parts)
    fitted = band.bent(band.vertices * np.array([1, 1, (tall + 0.15) / 21.3]))
    return [*parts, Part(fitted, materials.satin(draw.brand.accent, 0.5))]


def handbag(draw: Draw) -> list[Part]:
    """A structured bag with an arched handle and a flap."""
    a, b, h = draw.between(8, 12), draw.between(3, 5), draw.between(10, 15)
    leather, flap = draw.brand.main, draw.brand.second
    skin = artwork.grain(512, 256, "#808080", 34, int(draw.rng.integers(999)), stretch=(3, 3))
    taper = draw.between(0.7, 0.98)
    body = swept([(0, 0.2, 0), (1.0, 0.2, 0.1), (1.0, 3, 2), (taper, h, 0.06), (0, h, 0)],
                 a, b, 5.0, (0, h))  # fmt: skip
    path = curve([(0, 0.85 * b, h), (0, 0, h + 0.5), (0, -0.9 * b, h - 0.3),
                  (0, -b, 0.72 * h), (0, -1.02 * b, draw.between(0.4, 0.62) * h)], 40)  # fmt: skip
    cover = tube(path, squircle(0.8 * a, 0.2, 8.0, 64))
    arch = curve([(-0.5 * a, 0, h), (-0.48 * a, 0, h + 5), (0, 0, h + draw.between(6, 9)),
                  (0.48 * a, 0, h + 5), (0.5 * a, 0, h)], 64)  # fmt: skip
    handle = tube(arch, squircle(0.5, 0.42, 2.4, 24))
    clasp = whole_box(2.2, 0.5, 1.5, 0.2).moved(y=-1.08 * b, z=0.55 * h)
    hide = materials.satin(leather, 0.4, sheen=0.2)
    return [
        Part(body, materials.embossed(hide, skin, 0.006)),
        Part(cover, materials.satin(flap, 0.4, sheen=0.2)),
        Part(handle, materials.satin(flap, 0.4)),
        Part(clasp, materials.metal("#dcb66a", 0.18)),
    ]


def ball(draw: Draw) -> list[Part]:
    """A ball in panels."""
    art = artwork.sheet(1024, 512, draw.brand.main)
    panels = int(draw.rng.integers(4, 9))
    for k in range(panels):
        colour = (draw.brand.main, draw.brand.second, draw.brand.accent)[k % 3]
        art.panel(((k + 0.5) * 1024 / panels, 256), (1024 / panels, 512), fill=colour)
        art.panel((k * 1024 / panels, 256), (8, 512), fill="#201c1c")
    if draw.chance(0.7):
        art.text(draw.brand.name, (512, 256), 70, ink_on(draw.brand.main, draw.brand), "bold")
    skin = sphere(11.0, around=96).turned("z", draw.between(-30, 30)).turned("x", 12)
    return [Part(skin, draw.coat(art.image))]


def speaker(draw: Draw) -> list[Part]:
    """A cloth-covered speaker, round or square."""
    h, r = draw.between(9, 16), draw.between(4, 6)
    cloth = artwork.weave(1024, 512, 90, draw.brand.main, draw.brand.second)
    if draw.chance(0.5):
        body = turned([(r, 0.5, 0), (r, h, 0)], (0.5, h))
        ends = joined(lid(0.97 * r, 0, 0.7), lid(1.02 * r, h - 0.2, h + 0.8))
        tag = lid(0.5 * r, h + 0.8, h + 1.1)
    else:
        body = whole_box(2 * r, 1.3 * r, h, 0.8)
        ends = whole_box(2.06 * r, 1.36 * r, 0.8, 0.3).moved(z=-0.3)
        tag = lid(0.3 * r, h, h + 0.5)
    return [
        Part(body, materials.fabric(cloth)),
        Part(ends, materials.satin("#1f2226", 0.4)),
        Part(tag, draw.trim()),
    ]


def headphones(draw: Draw) -> list[Part]:
    """Over-ear headphones that stand on their cups."""
    size = draw.between(0.85, 1.15)
    cup = turned([(0, 0, 0), (3.3, 0, 0.1), (4.0, 1.4, 0.6), (3.2, 2.3, 0.8), (0, 2.5, 0)])
    angle = np.linspace(0, 2 * np.pi, 65)[:-1]
    around = np.stack([2.85 * np.cos(angle), 2.85 * np.sin(angle), np.full(64, -0.9)], 1)
    cushion = tube(around, squircle(1.15, 1.0, 2.4, 24), closed=True)
    t = np.radians(np.linspace(-80, 80, 90))
    arch = np.stack([8.7 * np.sin(t), np.zeros(90), 12.0 + 7.6 * size * np.cos(t)], 1)
    band = tube(arch, squircle(draw.between(0.9, 1.6), 0.42, 3.0, 32))
    arms = [
        tube(curve([(9.0 * s, 0, 6), (9.6 * s, 0, 9), (9.2 * s, 0, 12), (8.5 * s, 0, 13.6)], 30),
             squircle(0.28, 0.8, 3.0, 24))
        for s in (-1, 1)
    ]  # fmt: skip
    return [
        Part(joined(_at_ears(cup, size), band), draw.coat(draw.brand.main)),
        Part(joined(*arms), draw.trim()),
        Part(_at_ears(cushion, size), materials.satin(draw.brand.second, 0.6, sheen=0.3)),
    ]


def _at_ears(mesh: Mesh, size: float) -> Mesh:
    """A round part, its axis outwards, made oval and set at the left and at the right."""
    oval = mesh.bent(mesh.vertices * np.array([1.22 * size, size, 1.0]))
    return joined(*(oval.turned("y", 85 * s).moved(x=s * 7.3, z=5.0) for s in (-1, 1)))


def phone(draw: Draw) -> list[Part]:
    """A phone that stands, its screen lit with a picture."""
    w, h = draw.between(6.4, 7.6), draw.between(13, 16)
    body = whole_box(w, 0.8, h, 0.36)
    screen = _panel(0.91 * w, 0.93 * h).moved(y=-0.41, z=0.035 * h)
    lens = joined(*(lid(0.5, 0, 0.2).turned("x", -90).moved(x=0.3 * w, y=0.5, z=h - z)
                    for z in (1.4, 2.8)))  # fmt: skip
    art = draw.print_on(512, round(512 * h / w))
    return [
        Part(body, draw.coat(draw.brand.second)),
        Part(screen, materials.glossy(art, 0.05)),
        Part(lens, materials.glossy("#101114")),
    ]


def _panel(width: float, height: float) -> Mesh:
    """An upright rectangle that looks at the camera."""
    x, z = np.meshgrid(np.linspace(-width / 2, width / 2, 3), np.linspace(0, height, 3))
    points = np.stack([x, np.zeros_like(x), z], axis=-1)
    return grid(points, np.stack([x / width + 0.5, z / height], axis=-1))


def camera(draw: Draw) -> list[Part]:
    """A camera with a round lens."""
    w, h = draw.between(10, 13), draw.between(6.5, 8)
    top = joined(whole_box(0.35 * w, 2.6, 1.4, 0.3).moved(z=h - 0.2),
                 lid(0.7, h - 0.1, h + 0.6).moved(x=0.32 * w))  # fmt: skip
    barrel = turned([(0, 0, 0), (2.7, 0, 0.1), (2.7, 2.6, 0.2), (2.2, 2.7, 0.1), (2.0, 2.2, 0.1),
                     (0, 2.0, 0)])  # fmt: skip
    glass = sphere(1.9, around=48)
    glass = glass.bent(glass.vertices * np.array([1, 0.3, 1]))
    middle = 0.48 * h
    return [
        Part(whole_box(w, 3.4, h, 0.5), draw.coat(draw.brand.main)),
        Part(whole_box(0.98 * w, 3.46, 0.5 * h, 0.2).moved(z=0.2 * h),
             materials.embossed(materials.satin(draw.brand.second, 0.5),
                                artwork.grain(256, 128, "#808080", 40, 3), 0.006)),
        Part(joined(barrel.turned("x", 90).moved(y=-1.6, z=middle), top), draw.trim()),
        Part(glass.moved(y=-3.9, z=middle), materials.glossy("#15203a", 0.05)),
    ]  # fmt: skip


def cushion(draw: Draw) -> list[Part]:
    """A pillow, set up on its edge."""
    side, thick = draw.between(12, 15), draw.between(2.4, 3.6)
    u, v = np.meshgrid(np.linspace(-1, 1, 70), np.linspace(-1, 1, 70))
    swell = thick * np.clip((1 - u**2) * (1 - v**2), 0, 1) ** 0.42
    shrink = 1 - 0.09 * np.abs(u * v) ** 0.5 * (1 - np.abs(u * v))
    x, z = u * side / 2 * shrink, v * side / 2 * shrink
    uv = np.stack([(u + 1) / 2, (v + 1) / 2], axis=-1)
    front = grid(np.stack([x, -swell, z], axis=-1), uv)
    back = grid(np.stack([x[:, ::-1], swell[:, ::-1], z], axis=-1), uv)
    art = draw.print_on(768, 768, 0.8)
    lean = draw.between(-18, -8)
    return [
        Part(front.turned("x", lean), materials.fabric(art)),
        Part(back.turned("x", lean), materials.fabric(draw.brand.second)),
    ]


def hat(draw: Draw) -> list[Part]:
    """A felt hat with a band."""
    r, h, brim = draw.between(4.6, 5.4), draw.between(4.5, 7), draw.between(8, 11)
    lift = draw.between(-0.4, 0.9)
    crown = turned([(brim, lift, 0), (0.97 * brim, lift + 0.16, 0.05), (r, 0.35, 0.5), (0.9 * r, h,
                    1.4), (0, h - draw.between(0, 1.2), 0)])  # fmt: skip
    under = turned([(0.97 * brim, lift, 0), (r, 0.15, 0.3), (0, 0.1, 0)])
    ribbon = turned([(1.02 * r, 0.4, 0), (1.0 * r, 1.9, 0)])
    oval = np.array([1.0, 1.16, 1.0])
    felt = materials.fabric(draw.brand.main)
    return [
        Part(joined(crown.bent(crown.vertices * oval), under.bent(under.vertices * oval)), felt),
        Part(ribbon.bent(ribbon.vertices * oval), materials.satin(draw.brand.accent, 0.4)),
    ]


def watch(draw: Draw) -> list[Part]:
    """A wrist watch on its cushion, seen from the front."""
    r = draw.between(2.0, 2.6)
    case = turned([(0, 0, 0), (r, 0, 0.1), (r, 0.8, 0.15), (0.86 * r, 0.9, 0.05), (0, 0.75, 0)])
    face = artwork.sheet(256, 256, draw.brand.second)
    ink = ink_on(draw.brand.second, draw.brand)
    for k in range(12):
        a = np.radians(30 * k)
        face.disc((128 + 100 * np.cos(a), 128 + 100 * np.sin(a)), 8, ink)
    face.draw.line([(128, 128), (128, 40)], fill=ink, width=10)
    face.draw.line([(128, 128), (190, 150)], fill=ink, width=12)
    t = np.radians(np.linspace(12, 348, 90))
    loop = np.stack([np.zeros(90), 2.6 * np.cos(t), 3.6 * np.sin(t)], 1)
    strap = tube(loop, squircle(0.75 * r, 0.16, 6.0, 32))
    disc = _panel(1.2 * r, 1.2 * r)
    front = case.turned("x", 90).moved(y=-2.5)
    return [
        Part(front, draw.trim()),
        Part(disc.moved(y=-3.42, z=-0.6 * r), materials.satin(face.image, 0.3)),
        Part(strap, materials.satin(draw.brand.main, 0.5, sheen=0.2)),
    ]
