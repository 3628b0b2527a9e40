"""Renders the demo's product pictures: `python demo/render_products.py OUT [--only SLUG ...]`.

Needs `pip install mitsuba pyoidn`. The variant `llvm_ad_rgb` is about three times faster than
`scalar_rgb` but needs LLVM's shared library (version 16 or newer; DRJIT_LIBLLVM_PATH names it).
"""

import argparse
import sys
import time
from pathlib import Path

import mitsuba as mi
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.rendering.catalogue import PRODUCTS
from demo.rendering.studio import Quality, photograph


def main() -> None:
    """Renders the chosen products, one JPEG per view, and prints what each took."""
    options = _arguments()
    mi.set_variant(options.variant)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [p for p in PRODUCTS if not options.only or p.slug in options.only]
    for product in chosen:
        parts = product.build()
        quality = Quality(options.size, options.spp, product.max_depth)
        for name, view in product.pictures():
            started = time.monotonic()
            pixels = photograph(parts, view, quality)
            path = options.out / f"{name}.jpg"
            Image.fromarray(pixels).save(path, quality=90, optimize=True)
            print(f"{path}: {time.monotonic() - started:.1f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Render the demo's product pictures.")
    slugs = [p.slug for p in PRODUCTS]
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--only", nargs="+", choices=slugs, metavar="SLUG", help="these products")
    parser.add_argument("--size", type=int, default=900, help="side of the pictures in px")
    parser.add_argument("--spp", type=int, default=32, help="samples per pixel")
    parser.add_argument("--variant", default="scalar_rgb", help="mitsuba's variant")
    return parser.parse_args()


if __name__ == "__main__":
    main()
