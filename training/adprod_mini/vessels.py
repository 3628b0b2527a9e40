"""Mugs, bowls, vases, lamps and what else stands about a home."""

import numpy as np

from training.adprod_mini.bodies import Draw, lid, printed_body, turned, whole_box
from training.rendering import artwork, materials
from training.rendering.surfaces import Mesh, curve, fillet, grid, joined, lathe, squircle, tube
from training.rendering.tracing import Part


def _handle(x: float, low: float, high: float, reach: float, draw: Draw) -> Mesh:
    """An ear from (x, low) to (x, high), standing out by `reach` to the right."""
    third = (high - low) / 4
    knots = [(x, 0, high), (x + 0.8 * reach, 0, high + 0.1), (x + reach, 0, high - third),
             (x + reach, 0, low + third), (x + 0.7 * reach, 0, low), (x, 0, low - 0.2)]  # fmt: skip
    return tube(curve(knots, 40), squircle(draw.between(0.4, 0.65), 0.4, 2.6, 32))


def mug(draw: Draw) -> list[Part]:
    """A mug with a handle."""
    r, h = draw.between(3.4, 4.4), draw.between(7, 11)
    foot = draw.between(0.75, 1.0)
    body = printed_body(
        draw,
        [(0, 0, 0), (foot * r, 0, 0.4), (r, h, 0.14), (0.91 * r, h, 0.14), (0.88 * foot * r, 0.8,
         0.6), (0, 0.7, 0)],
        0.2, h,
    )  # fmt: skip
    ear = _handle(0.93 * r, 0.25 * h, 0.8 * h, draw.between(2, 2.8), draw)
    return [body, Part(ear, materials.glossy(draw.brand.second))]


def bowl(draw: Draw) -> list[Part]:
    """A bowl with a painted outside."""
    r, h = draw.between(6, 8), draw.between(3.5, 6)
    outside = curve([(0.45 * r, 0), (0.5 * r, 0.4), (0.86 * r, 0.45 * h), (r, h)], 40)
    inside = curve([(0.96 * r, h), (0.8 * r, 0.5 * h), (0.4 * r, 0.8), (0, 0.7)], 40)
    art = draw.print_on(1024, 180, 0.3)
    return [
        Part(lathe(np.concatenate([[[0, 0]], outside]), v_span=(0, h), around=96),
             materials.glossy(art)),
        Part(lathe(np.concatenate([[[r, h]], inside]), around=96),
             materials.glossy(draw.brand.second)),
    ]  # fmt: skip


def vase(draw: Draw) -> list[Part]:
    """A vase of a drawn outline whose glaze runs."""
    h = draw.between(14, 20)
    radii = [draw.between(2, 3.5), draw.between(3, 6), draw.between(2.5, 6), draw.between(1.2, 2.6),
             draw.between(1.4, 3)]  # fmt: skip
    outside = curve([(r, z * h) for r, z in zip(radii, (0, 0.25, 0.55, 0.85, 1), strict=True)], 90)
    inside = [(0.9 * radii[-1], h), (0.85 * radii[-2], 0.85 * h), (0, 0.7 * h)]
    profile = np.concatenate([[[0, 0.02]], outside, inside])
    if draw.chance(0.5):
        brand = draw.brand
        art = artwork.gradient(512, 512, [(0, brand.main), (draw.between(0.2, 0.6), brand.second),
                                          (1, brand.accent)])  # fmt: skip
    else:
        art = draw.print_on(1024, 640, 0.3)
    return [Part(lathe(profile, v_span=(0, h), around=96), draw.coat(art))]


def candle(draw: Draw) -> list[Part]:
    """A poured candle in a printed cup."""
    r, h = draw.between(3.2, 4.2), draw.between(6, 10)
    cup = printed_body(
        draw, [(0, 0, 0), (r, 0, 0.4), (r, h, 0.12), (0.92 * r, h, 0.12), (0.9 * r, h - 1.6, 0)],
        0.2, h,
    )  # fmt: skip
    wax = turned(
        [(0, h - 1.5, 0), (0.93 * r, h - 1.5, 0), (0.93 * r, h - 0.9, 0.15), (0, h - 1, 0)]
    )
    wick = tube(curve([(0, 0, h - 1.1), (0.05, 0, h - 0.2), (0.2, 0, h + 0.4)], 12),
                squircle(0.1, 0.1, 2, 12))  # fmt: skip
    return [
        cup,
        Part(wax, materials.satin("#ead9b0", 0.4)),
        Part(wick, materials.matte("#4a4038")),
    ]


def lamp(draw: Draw) -> list[Part]:
    """A table lamp: a shade on a stem and a foot."""
    h, r = draw.between(8, 13), draw.between(5, 8)
    drop, top = draw.between(3, 6), draw.between(0.15, 0.8) * r
    shade = turned([(r - 0.15, h - 0.02, 0), (r, h, 0.02), (top, h + drop, draw.between(0, 2.5)),
                    (0, h + drop + 0.2, 0)], (h, h + drop))  # fmt: skip
    stem = turned([(0, 0.9, 0), (0.9, 0.9, 0.1), (0.6, 2.2, 0.6), (0.55, h + drop, 0.1)])
    foot = turned([(0, 0, 0), (0.6 * r, 0, 0.2), (0.6 * r, 0.6, 0.3), (0.8, 1.1, 0.4), (0, 1.1, 0)])
    print_ = draw.print_on(1024, 320, 0.3) if draw.chance(0.4) else draw.brand.main
    return [
        Part(shade, draw.coat(print_)),
        Part(stem, materials.metal("#d6ae62", 0.22)),
        Part(foot, draw.trim()),
    ]


def teapot(draw: Draw) -> list[Part]:
    """A round pot with a spout, an ear and a knob."""
    r, h = draw.between(4.5, 5.6), draw.between(6.5, 9)
    outline = curve([(0.55 * r, 0), (0.95 * r, 0.25 * h), (r, 0.5 * h), (0.7 * r, 0.9 * h),
                     (0.45 * r, h)], 60)  # fmt: skip
    art = draw.print_on(1024, round(1024 * h / (6.3 * r)), 0.3)
    body = lathe(np.concatenate([[[0, 0]], outline, [[0, h]]]), v_span=(0, h), around=96)
    spout = tube(
        curve([(-0.8 * r, 0, 0.35 * h), (-1.3 * r, 0, 0.5 * h), (-1.45 * r, 0, 0.8 * h),
               (-1.75 * r, 0, 0.98 * h)], 32),
        squircle(0.62, 0.62, 2.0, 32),
    )  # fmt: skip
    ear = _handle(0.88 * r, 0.28 * h, 0.78 * h, draw.between(2.4, 3.2), draw)
    cover = joined(
        turned([(0.5 * r, h - 0.1, 0), (0.5 * r, h + 0.2, 0.1), (0, h + 0.9, 0)]),
        turned([(0, h + 0.7, 0), (0.6, h + 0.9, 0.2), (0.55, h + 1.8, 0.4), (0, h + 1.9, 0)]),
    )
    return [
        Part(body, materials.glossy(art)),
        Part(joined(spout, ear), materials.glossy(draw.brand.main)),
        Part(cover, materials.glossy(draw.brand.second)),
    ]


def pot(draw: Draw) -> list[Part]:
    """A flower pot with a rim, filled with soil."""
    r, h = draw.between(4.5, 6), draw.between(6, 9)
    body = printed_body(
        draw, [(0, 0, 0), (0.72 * r, 0, 0.2), (0.94 * r, h - 1.6, 0.05), (0.94 * r, h - 1.5, 0)],
        0, h - 1.6,
    )  # fmt: skip
    rim = turned([(0.94 * r, h - 1.7, 0), (1.04 * r, h - 1.7, 0.1), (1.06 * r, h, 0.15),
                  (0.9 * r, h, 0.1), (0.88 * r, h - 0.8, 0), (0, h - 0.8, 0)])  # fmt: skip
    leaves = [_blade(draw, h - 0.8) for _ in range(int(draw.rng.integers(5, 12)))]
    green = str(draw.rng.choice(["#3c7a35", "#5d8f3a", "#2f5f3c", "#7a9a52"]))
    return [
        body,
        Part(rim, draw.coat(draw.brand.second)),
        Part(joined(*leaves), materials.satin(green, 0.45)),
    ]


def _blade(draw: Draw, z: float) -> Mesh:
    """A leaf that leans outwards from the middle of the pot."""
    length, out = draw.between(5, 9), draw.between(0.5, 3.5)
    spine = curve([(0.3, 0, z), (0.4 * out, 0, z + 0.6 * length), (out, 0, z + length)], 20)
    flat = tube(spine, squircle(0.12, draw.between(0.5, 0.9), 2.0, 24))
    return flat.turned("z", draw.between(0, 360))


def goblet(draw: Draw) -> list[Part]:
    """An opaque cup on a stem."""
    r, h = draw.between(3, 4.2), draw.between(11, 15)
    profile = fillet([(0, 0, 0), (0.85 * r, 0, 0.1), (0.8 * r, 0.35, 0.1), (0.4, 1.0, 0.5),
                      (0.35, 0.5 * h, 0.4), (r, 0.68 * h, 2.4), (0.86 * r, h, 0.1),
                      (0.8 * r, h, 0.1), (0.85 * r, 0.7 * h, 2.0), (0, 0.58 * h, 0)])  # fmt: skip
    art = draw.print_on(1024, 512, 0.3) if draw.chance(0.5) else draw.brand.main
    return [Part(lathe(profile, v_span=(0.4 * h, h), around=96), draw.coat(art))]


def clock(draw: Draw) -> list[Part]:
    """A round clock on two feet."""
    r = draw.between(4.5, 6)
    case = turned([(0, 0, 0), (r, 0, 0.3), (r, 2.2, 0.4), (0.92 * r, 2.3, 0.05),
                   (0.9 * r, 2.0, 0.02), (0, 2.0, 0)]).turned("x", 90)  # fmt: skip
    face = artwork.sheet(512, 512, "#f7f5ef" if draw.chance(0.6) else draw.brand.second)
    ink = "#1b1b1d" if draw.chance(0.7) else draw.brand.accent
    for k in range(12):
        angle = np.radians(30 * k)
        face.disc((256 + 210 * np.cos(angle), 256 + 210 * np.sin(angle)), 13, ink)
    for turn, reach in ((draw.between(0, 360), 120), (draw.between(0, 360), 180)):
        a = np.radians(turn)
        tip = (256 + reach * np.cos(a), 256 + reach * np.sin(a))
        face.draw.line([(256, 256), tip], fill=ink, width=18)
    size = 0.92 * r
    dial = _disc(size)
    feet = joined(*(
        lid(0.5, 0, 1.6).turned("y", 20 * s).moved(x=s * 0.6 * r, z=-r - 0.4) for s in (-1, 1)
    ))  # fmt: skip
    return [
        Part(case, draw.coat(draw.brand.main)),
        Part(dial.moved(y=-2.06), materials.satin(face.image, 0.5)),
        Part(feet, draw.trim()),
    ]


def _disc(radius: float) -> Mesh:
    """A round face that looks at the camera, its uv over the whole square."""
    t = np.linspace(0, 2 * np.pi, 65)
    rings = np.linspace(0, radius, 6)
    x, z = (np.outer(rings, f(t)) for f in (np.cos, np.sin))
    points = np.stack([x, np.zeros_like(x), z], axis=-1)
    uv = np.stack([x / radius / 2 + 0.5, z / radius / 2 + 0.5], axis=-1)
    return grid(points[:, ::-1], uv[:, ::-1])  # wound so that it faces the camera


def stand(draw: Draw) -> list[Part]:
    """A framed picture."""
    w, h = draw.between(9, 13), draw.between(9, 15)
    frame = whole_box(w, 0.9, h, 0.15)
    inner = whole_box(0.86 * w, 0.2, 0.86 * h, 0.05).moved(y=-0.42, z=0.07 * h)
    picture = np.array([
        [[-0.36 * w, 0, 0], [0.36 * w, 0, 0]], [[-0.36 * w, 0, 0.72 * h], [0.36 * w, 0, 0.72 * h]]
    ])  # fmt: skip
    uv = np.array([[[0.0, 0], [1, 0]], [[0, 1], [1, 1]]])
    sheet_ = grid(picture, uv).moved(y=-0.54, z=0.14 * h)
    return [
        Part(frame, draw.coat(draw.brand.second)),
        Part(inner, materials.matte("#f5f2ea")),
        Part(sheet_, materials.satin(draw.print_on(640, round(640 * h / w)), 0.4)),
    ]
