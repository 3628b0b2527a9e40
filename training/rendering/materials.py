"""Materials of the studio, as mitsuba BSDFs. Colours are sRGB hex or Pillow artwork."""

from typing import Any

import mitsuba as mi
import numpy as np
from PIL import Image, ImageColor

Paint = str | Image.Image
"""A colour ('#c8102e') or a picture laid over the surface by its uv."""


def paint(what: Paint) -> dict[str, Any]:
    """A mitsuba texture of a colour or of artwork."""
    if isinstance(what, str):
        return {"type": "rgb", "value": linear(what)}
    # mitsuba's v runs with the picture's rows, ours upwards
    pixels = np.asarray(what.convert("RGB").transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    return {"type": "bitmap", "bitmap": mi.Bitmap(pixels.copy()), "filter_type": "bilinear"}


def grey(picture: Image.Image) -> dict[str, Any]:
    """A texture of plain numbers (roughness, relief), not of colours."""
    pixels = np.asarray(picture.convert("L").transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    return {"type": "bitmap", "bitmap": mi.Bitmap(pixels.copy()), "raw": True}


def linear(colour: str) -> list[float]:
    """Linear RGB of an sRGB colour."""
    srgb = np.array(ImageColor.getrgb(colour)[:3]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).tolist()


def matte(what: Paint) -> dict[str, Any]:
    """Paper, wax, rubber: no gloss at all."""
    return _both_sides({"type": "diffuse", "reflectance": paint(what)})


def satin(what: Paint, roughness: float = 0.35, sheen: float = 0.0) -> dict[str, Any]:
    """Coated card, soft plastic, leather: a broad, faint gloss."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": paint(what),
            "roughness": roughness,
            "specular": 0.45,
            "sheen": sheen,
            "sheen_tint": 0.4,
        }
    )


def glossy(what: Paint, roughness: float = 0.12) -> dict[str, Any]:
    """Lacquer, glaze, polished plastic: a sharp clear coat over a colour."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": paint(what),
            "roughness": max(roughness, 0.1) + 0.15,
            "specular": 0.5,
            "clearcoat": 0.9,
            "clearcoat_gloss": 1.0 - roughness / 2,
        }
    )


def metal(what: Paint = "#d9d9dc", roughness: float = 0.22) -> dict[str, Any]:
    """Brushed or polished metal of a colour."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": paint(what),
            "metallic": 1.0,
            "roughness": roughness,
        }
    )


def painted_metal(what: Paint) -> dict[str, Any]:
    """Print on bright metal under varnish: a drinks can."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": paint(what),
            "metallic": 0.55,
            "roughness": 0.3,
            "clearcoat": 0.6,
            "clearcoat_gloss": 0.9,
        }
    )


def fabric(what: Paint) -> dict[str, Any]:
    """Cloth: matte with a sheen at grazing angles."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": paint(what),
            "roughness": 0.9,
            "specular": 0.1,
            "sheen": 0.8,
            "sheen_tint": 0.6,
        }
    )


def glass(ior: float = 1.5) -> dict[str, Any]:
    """Clear glass; give both walls of a vessel."""
    return {"type": "dielectric", "int_ior": ior, "ext_ior": 1.0}


def liquid(colour: str) -> dict[str, Any]:
    """A tinted liquid inside glass: its skin lets light through in its colour."""
    tint = {"type": "rgb", "value": linear(colour)}
    return {
        "type": "dielectric",
        "int_ior": 1.36,
        "ext_ior": 1.5,
        "specular_transmittance": tint,
    }


def embossed(material: dict[str, Any], relief: Image.Image, depth: float) -> dict[str, Any]:
    """The material with a relief: white stands out by `depth` studio units (a product is 2)."""
    return {"type": "bumpmap", "arbitrary": grey(relief), "scale": depth, "bsdf": material}


def _both_sides(bsdf: dict[str, Any]) -> dict[str, Any]:
    return {"type": "twosided", "bsdf": bsdf}
