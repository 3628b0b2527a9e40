"""What each shortcut costs and gives: time, pixels, and the product's identity.

    python -m benchmarks.refadgen_levers                   # the shipped weights, demo products

Every lever renders the same products, prompts and seeds as exact sampling (20 steps of DDIM,
guidance 4). FLOPs are counted; times are the least of several rounds in which the levers take
turns; PSNR is against the exact picture; identity is `model.identity` of the raw render, as the
gates read it.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from adloom.geometry import FORMATS, Anchor, Box, Placement, Size, place_native
from adloom.imaging.canonical import canonical_picture
from adloom.imaging.views import own_mask
from adloom.imaging.warp import placed_mask
from adloom.render_spec import Sampler, Shortcuts
from benchmarks.refadgen_limits import flops
from models.refadgen.renderer import RefAdGenRenderer, RenderItem, RenderRequest
from models.scoring.scorer import Scorer
from models.segmentation import MaskExtractor
from tasks.pictures import ProductPicture, mask_box

ROOT = Path(__file__).parents[1]
PRODUCTS = ("zolla-soda", "ebba-vase", "talvik-notebook", "fernhaus-shampoo", "hoopla-cereal",
            "nordkaff-coffee")  # fmt: skip
PROMPTS = ("a bottle on a white marble table, soft morning light, green leaves",
           "a bottle on a pink podium, soft daylight, pastel balls, pink studio wall")  # fmt: skip
FORMAT = FORMATS["1:1"]
PLACEMENT = Placement(Anchor.BOTTOM, 0.5, 0.86, 0.68, 0.8)
EXACT = "exact"
LEVERS: dict[str, Sampler] = {
    EXACT: Sampler(),
    "product tokens only": Sampler(shortcuts=Shortcuts(product_tokens_only=True)),
    "guidance below 0.8": Sampler(shortcuts=Shortcuts(guided_below=0.8)),
    "guidance above 0.3": Sampler(shortcuts=Shortcuts(guided_above=0.3)),
    "deep features every 2nd step": Sampler(shortcuts=Shortcuts(reuse_every=2)),
    "deep features every 3rd step": Sampler(shortcuts=Shortcuts(reuse_every=3)),
    "DDIM, 12 steps": Sampler(steps=12),
    "DPM-Solver++, 20 steps": Sampler("dpm++", 20),
    "DPM-Solver++, 12 steps": Sampler("dpm++", 12),
    "UniPC, 20 steps": Sampler("unipc", 20),
    "UniPC, 12 steps": Sampler("unipc", 12),
    "UniPC, 12 steps, guidance above 0.3": Sampler("unipc", 12, shortcuts=Shortcuts(False, 0.3)),
}

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Row:
    """flops, time: over exact sampling's; identity_drop: below exact's, mean over the pictures."""

    lever: str
    flops: float
    ms_per_image: float
    time: float
    psnr_db: float
    identity: float
    identity_drop: float


class Studio:
    """The shipped model and the demo's products, each placed on the canvas."""

    def __init__(self, count: int, prompts: int) -> None:
        self.renderer = RefAdGenRenderer.load(ROOT / "weights" / "mini")
        self.extractor, self.scorer = MaskExtractor.load(), Scorer.load()
        self.products = {n: self._product(n) for n in PRODUCTS[:count]}
        self.prompts = PROMPTS[:prompts]
        self.native = FORMAT.native(self.renderer.native_unit)
        side = self.renderer.reference_size
        self.references = {
            n: canonical_picture(p.rgb, p.mask, p.bbox, side) for n, p in self.products.items()
        }

    def render(self, sampler: Sampler, products: Sequence[str]) -> list[Picture]:
        """Every prompt of these products, as one micro-batch."""
        items = [
            RenderItem(
                name, prompt, "", self._mask(name), self.box(name).product_frame, 7 + i,
                steps=sampler.steps,
                guidance=sampler.guidance, reference_scale=sampler.reference_scale,
                sampler=sampler.name, shortcuts=sampler.shortcuts,
            )
            for name in products
            for i, prompt in enumerate(self.prompts)
        ]  # fmt: skip
        return self.renderer.render(RenderRequest(self.references, items))

    def identity(self, name: str, raw: Picture) -> float:
        product, box = self.products[name], self.box(name)
        shown = own_mask(raw, box, lambda r: self.extractor.extract(r).mask)
        scores = self.scorer.score_render(raw, product.rgb, product.mask, product.bbox, box, shown)
        return scores.flat()["model.identity"]

    def box(self, name: str) -> Box:
        bbox = self.products[name].bbox
        size = Size(round(bbox.width), round(bbox.height))
        return place_native(PLACEMENT, size, FORMAT, self.renderer.native_unit)

    def _mask(self, name: str) -> Picture:
        product = self.products[name]
        return placed_mask(product.mask, product.bbox, self.box(name), self.native)

    def _product(self, name: str) -> ProductPicture:
        with Image.open(ROOT / "demo" / "products" / "images" / f"{name}.jpg") as photo:
            rgb = np.asarray(photo.convert("RGB"))
        mask = self.extractor.extract(rgb).mask
        return ProductPicture(rgb, mask, mask_box(mask))


def psnr(a: Picture, b: Picture) -> float:
    """dB of 8-bit pictures; 99 where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0 else min(99.0, 10 * np.log10(255**2 / error))


def measure(studio: Studio, levers: dict[str, Sampler], rounds: int) -> list[Row]:
    names = list(studio.products)
    made: dict[str, list[Picture]] = {}
    seconds = dict.fromkeys(levers, float("inf"))
    for _ in range(rounds):
        for lever, sampler in levers.items():
            started = time.perf_counter()
            made[lever] = [p for name in names for p in studio.render(sampler, [name])]
            seconds[lever] = min(seconds[lever], time.perf_counter() - started)
    work = {k: flops(lambda s=s: studio.render(s, names[:1])) for k, s in levers.items()}
    owners = [name for name in names for _ in studio.prompts]
    identities = {
        lever: [studio.identity(n, p) for n, p in zip(owners, pictures, strict=True)]
        for lever, pictures in made.items()
    }
    return [
        Row(
            lever,
            work[lever] / work[EXACT],
            1000 * seconds[lever] / len(owners),
            seconds[lever] / seconds[EXACT],
            mean(psnr(a, b) for a, b in zip(pictures, made[EXACT], strict=True)),
            mean(identities[lever]),
            mean(identities[EXACT]) - mean(identities[lever]),
        )
        for lever, pictures in made.items()
    ]


def print_rows(rows: list[Row]) -> None:
    print(f"{'lever':38} FLOPs  ms/image   time   PSNR  identity    drop")
    for r in rows:
        print(
            f"{r.lever:38} {r.flops:5.2f} {r.ms_per_image:9.0f} {r.time:6.2f} {r.psnr_db:6.1f} "
            f"{r.identity:9.3f} {r.identity_drop:+7.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=len(PRODUCTS))
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(Studio(options.products, options.prompts), LEVERS, options.rounds)
    print_rows(rows)
    print(json.dumps({"benchmark": "refadgen_levers", "rows": [asdict(r) for r in rows]}))


if __name__ == "__main__":
    main()
