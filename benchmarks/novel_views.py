"""Novel views of the demo's products against the true ones, which mitsuba renders.

    pip install mitsuba pyoidn
    python -m benchmarks.novel_views [--quick] [--sheet OUT.png]

Every product is photographed once, lifted from that photo and its mask, and seen again unturned
and turned by ±15°. Unturned: PSNR against the photo, over the product's pixels and over its box
(where the edge is mixed with white in the one, with the floor's shadow in the other). Turned: IoU
of the silhouette with the true one, that of the unturned silhouette (what doing nothing would
score), and the gaps in shares of the product: filled ones, and those that stayed open.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.augment.camera import Turn
from training.augment.novel_views import LiftedProduct, Lifting

Picture = NDArray[np.uint8]
TURN_DEG = 15.0
QUICK = ("zolla-soda", "tamsin-tea", "lorenza-handbag")


@dataclass(frozen=True)
class Outcome:
    product: str
    psnr_db: float
    box_psnr_db: float
    iou_left: float
    iou_right: float
    unturned_iou: float
    filled: float
    open: float
    lift_s: float
    view_s: float


def iou(a: Picture, b: Picture) -> float:
    first, second = a >= 128, b >= 128
    return np.count_nonzero(first & second) / max(np.count_nonzero(first | second), 1)


def psnr(seen: Picture, photo: Picture, where: NDArray[np.bool_]) -> float:
    """dB, over the pixels `where`; 99 for no difference at all."""
    error = np.mean((seen.astype(float) - photo)[where] ** 2)
    return float(min(10 * np.log10(255**2 / max(error, 1e-9)), 99.0))


def box_psnr(seen: Picture, photo: Picture, mask: Picture) -> float:
    """Within the product's box, dB; beyond the product both count as white."""
    ys, xs = (np.flatnonzero((mask > 0).any(axis)) for axis in (1, 0))
    box = np.zeros(mask.shape, bool)
    box[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] = True
    return psnr(seen, np.where(mask[..., None] > 0, photo, 255), box)


def judge(slug: str, size_px: int, samples: int) -> tuple[Outcome, Picture]:
    """The outcome, and photo | 0° | -15° | +15° side by side with the true outlines in red."""
    from demo.rendering.catalogue import PRODUCTS
    from demo.rendering.studio import Quality, photograph
    from demo.rendering.turntable import silhouettes

    product = next(p for p in PRODUCTS if p.slug == slug)
    parts, view = product.build(), product.views[0]
    photo = photograph(parts, view, Quality(size_px, samples, product.max_depth))
    covered = silhouettes(parts, view, size_px, (0.0, -TURN_DEG, TURN_DEG))
    mask, left, right = (np.rint(c * 255).astype(np.uint8) for c in covered)
    started = time.perf_counter()
    # The mask is mitsuba's own: no background's colour reaches beyond its soft edge.
    lifted = LiftedProduct(photo, mask, Lifting(rim_px=0))
    lift_s = time.perf_counter() - started
    started = time.perf_counter()
    views = [lifted.view(Turn(yaw)) for yaw in (0.0, -TURN_DEG, TURN_DEG)]
    view_s = (time.perf_counter() - started) / len(views)
    outcome = Outcome(
        slug,
        psnr(views[0].picture, photo, mask >= 250),
        box_psnr(views[0].picture, photo, mask),
        iou(views[1].mask, left),
        iou(views[2].mask, right),
        (iou(mask, left) + iou(mask, right)) / 2,
        max(v.filled for v in views),
        max(v.open for v in views),
        lift_s,
        view_s,
    )
    row = [photo, *(v.picture for v in views)]
    truths = [mask, mask, left, right]
    return outcome, np.concatenate(
        [outlined(p, t) for p, t in zip(row, truths, strict=True)], axis=1
    )


def outlined(picture: Picture, mask: Picture) -> Picture:
    solid = mask >= 128
    edge = solid & ~(
        np.roll(solid, 1, 0) & np.roll(solid, -1, 0) & np.roll(solid, 1, 1) & np.roll(solid, -1, 1)
    )
    return np.where(edge[..., None], np.array([220, 30, 30], np.uint8), picture)


def main() -> None:
    import mitsuba as mi

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore[reportOptionalMemberAccess]
    parser.add_argument("--quick", action="store_true", help="three products")
    parser.add_argument("--size", type=int, default=256, help="side of the photos, px")
    parser.add_argument("--samples", type=int, default=16, help="of light per pixel")
    parser.add_argument("--sheet", type=Path, help="a PNG of what was seen")
    parser.add_argument("--variant", default="scalar_rgb", help="mitsuba's variant")
    options = parser.parse_args()
    mi.set_variant(options.variant)
    from demo.rendering.catalogue import PRODUCTS

    slugs = [p.slug for p in PRODUCTS if not options.quick or p.slug in QUICK]
    print(
        "product             0° dB  box dB  IoU -15°  +15°  unturned  filled    open  lift s view s"
    )
    outcomes: list[Outcome] = []
    rows: list[Picture] = []
    for slug in slugs:
        o, row = judge(slug, options.size, options.samples)
        outcomes.append(o)
        rows.append(row)
        print(
            f"{slug:20}{o.psnr_db:7.1f}{o.box_psnr_db:8.1f}{o.iou_left:10.3f}{o.iou_right:6.3f}{o.unturned_iou:10.3f}"
            f"{o.filled:8.2%}{o.open:8.2%}{o.lift_s:8.2f}{o.view_s:7.2f}",
            flush=True,
        )
    if options.sheet:
        Image.fromarray(np.concatenate(rows)).save(options.sheet)
    both = [v for o in outcomes for v in (o.iou_left, o.iou_right)]
    summary = {
        "products": len(outcomes),
        "least_psnr_db": round(min(o.psnr_db for o in outcomes), 1),
        "least_box_psnr_db": round(min(o.box_psnr_db for o in outcomes), 1),
        "mean_iou": round(statistics.mean(both), 4),
        "least_iou": round(min(both), 4),
        "most_gaps": round(max(o.filled + o.open for o in outcomes), 5),
        "rows": [asdict(o) for o in outcomes],
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
