"""How well a product stands in its scene: finished pictures against the photo pasted on a ground.

Both are compared with the true ad, whose scene is another picture of the same words. So neither is
compared pixel by pixel: what counts is how the light changes from a ring beside the product's edge
to one further off, at every part of the edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import ModelError
from models.segmentation import MaskExtractor
from models.segmentation.measures import bounding_box
from training.judging.heldout import (
    Sampling,
    Truth,
    pasted,
    read_truths,
    render_all,
)
from training.judging.relighting import light_slopes
from training.judging.report import finished, write_report
from training.judging.run import check_enough, load_pipeline
from training.judging.statistics import mean_interval, paired_differences
from training.sheets import write_rows

Picture = NDArray[np.uint8]
Light = NDArray[np.float64]
SECTORS: Final = 16
NEAR, FAR = (0.0, 0.025), (0.05, 0.1)
"""Rings on either side of the edge, in longer sides of the product."""

FOOT: Final = 0.15
"""The lowest part of a product, about which its contact shadow lies; in heights of it."""

SHADOW_RINGS: Final = ((0.0, 0.04), (0.04, 0.09), (0.09, 0.16))
GROUND: Final = (0.22, 0.38)
LEAST_PX: Final = 3
DARKEST: Final = 4.0
SEAM: Final = "seam"
SEAMS: Final = ("seam outside", "seam inside")
"""Of either side of the edge; `SEAM` is their mean."""
CONTACT: Final = "contact shadow"
SHOWN: Final = 12
FINISHED, PASTED, PASTED_UNMASKED = "finished", "pasted", "pasted, no mask"


@dataclass(frozen=True, slots=True)
class Joining:
    """model: a folder; samples: folders of AdProd-mini, `count` of each at most; seeds: pictures
    of each sample."""

    model: Path
    samples: tuple[Path, ...]
    out: Path
    count: int = 64
    seeds: int = 3
    how: Sampling = field(default_factory=Sampling)


def run_joining(asked: Joining) -> str:
    """Renders, joins both ways, judges those whose detail lock is applied; a table, how far the
    renders' light is to be trusted, and a sheet go to `out`. ModelError where there is too little
    to judge by."""
    truths = [t for folder in asked.samples for t in read_truths(folder, asked.count)]
    check_enough(truths, asked.seeds, ", ".join(map(str, asked.samples)))
    extractor = MaskExtractor.load()
    raws, made, locked = _joined(asked, truths, extractor)
    if not np.any(locked):
        raise ModelError(
            f"detail lock was refused in all {np.size(locked)} renders: none can be compared",
            where=str(asked.model),
            hint="weights that draw the product where the mask says, or more steps",
        )
    values = {n: only_locked(locked, joining_errors(truths, found)) for n, found in made.items()}
    columns = {n: {m: mean_interval(v) for m, v in found.items()} for n, found in values.items()}
    for name in (PASTED, PASTED_UNMASKED):
        columns[f"{FINISHED} - {name}"] = paired_differences(values[FINISHED], values[name])
    chosen = np.linspace(0, len(truths) - 1, min(SHOWN, len(truths))).round().astype(int).tolist()
    rows = [[truths[i].ad, *(made[name][0][i] for name in made)] for i in chosen]
    write_rows(rows, asked.out / "joins.png", columns=2)
    slopes = light_slopes(raws, truths * asked.seeds, extractor)
    facts = {
        "model": asked.model.name,
        "samples": len(truths),
        "seeds": asked.seeds,
        "compared": int(np.sum(locked)),
        "detail lock applied": float(np.mean(locked)),
        "light": slopes,
    }
    table = write_report(asked.out, columns, facts)
    trusted = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
    return f"{table}\nOf the renders' light the true ads have: {trusted}\n"


def _joined(
    asked: Joining, truths: list[Truth], extractor: MaskExtractor
) -> tuple[list[Picture], dict[str, list[list[Picture]]], list[list[bool]]]:
    """Raw renders, seed after seed; the pictures (seeds, samples) of each way; and whether detail
    lock was applied."""
    pipeline = load_pipeline(asked.model)
    ground = replace(asked.how, reference_scale=0.0)
    made: dict[str, list[list[Picture]]] = {FINISHED: [], PASTED: [], PASTED_UNMASKED: []}
    rendered: list[Picture] = []
    locked: list[list[bool]] = []
    for seed in range(asked.seeds):
        raws = render_all(pipeline, truths, seed, asked.how)
        ended = [finished(raw, t, extractor) for raw, t in zip(raws, truths, strict=True)]
        rendered += raws
        made[FINISHED].append([picture for picture, _ in ended])
        locked.append([applied for _, applied in ended])
        for name, masked in ((PASTED, True), (PASTED_UNMASKED, False)):
            grounds = render_all(pipeline, truths, seed, replace(ground, with_mask=masked))
            made[name].append([pasted(g, t) for g, t in zip(grounds, truths, strict=True)])
    return rendered, made, locked


def only_locked(
    locked: Sequence[Sequence[bool]], values: dict[str, list[list[float]]]
) -> dict[str, list[list[float]]]:
    """Values (seeds, samples) of each measure, NaN where detail lock was refused: such a creative
    is rejected, and none of the ways to make it is compared."""
    return {
        name: np.where(np.array(locked), np.array(found), np.nan).tolist()
        for name, found in values.items()
    }


def joining_errors(
    truths: Sequence[Truth], pictures: Sequence[Sequence[Picture]]
) -> dict[str, list[list[float]]]:
    """Errors of the seam, of either side of it and of the contact shadow of pictures (seeds,
    samples): mean difference of log light to the true ad's, NaN where a picture has no room for
    the rings."""
    true = [(seam_profile(t.ad, t.mask), contact_profile(t.ad, t.mask)) for t in truths]
    found: dict[str, list[list[float]]] = {name: [] for name in (SEAM, *SEAMS, CONTACT)}
    for one in pictures:
        of_seed: dict[str, list[float]] = {name: [] for name in found}
        for picture, truth, (seam, shadow) in zip(one, truths, true, strict=True):
            seams = seam_profile(picture, truth.mask)
            for k, name in enumerate(SEAMS):
                of_seed[name].append(_apart(seams[k], seam[k]))
            of_seed[SEAM].append(float(np.mean([of_seed[name][-1] for name in SEAMS])))
            of_seed[CONTACT].append(_apart(contact_profile(picture, truth.mask), shadow))
        for name, values in of_seed.items():
            found[name].append(values)
    return found


def seam_profile(picture: Picture, mask: Picture) -> Light:
    """(2, SECTORS, 3): how much lighter each colour is next to the edge than further off, outside
    and inside the product; natural logarithms, NaN where there is too little to see."""
    inside = mask >= 128
    side = float(max(bounding_box(mask).width, bounding_box(mask).height))
    sectors = _sectors(inside)
    profile = np.full((2, SECTORS, 3), np.nan)
    for k, part in enumerate((~inside, inside)):
        away = _distance(part) / side
        for sector in range(SECTORS):
            here = part & (sectors == sector)
            near, far = (_light(picture, here & _between(away, *ring)) for ring in (NEAR, FAR))
            profile[k, sector] = near - far
    return profile


def contact_profile(picture: Picture, mask: Picture) -> Light:
    """(2, RINGS): how much darker the ground is beside the product's foot, left and right of its
    middle, than the ground further off."""
    inside = mask >= 128
    box = bounding_box(mask)
    rows, columns = np.indices(mask.shape)
    low = ~inside & (rows >= box.bottom - FOOT * box.height)
    away = _distance(~inside) / max(box.width, box.height)
    profile = np.full((2, len(SHADOW_RINGS)), np.nan)
    for k, half in enumerate((columns < box.center[0], columns >= box.center[0])):
        ground = _light(picture, low & half & _between(away, *GROUND)).mean()
        for ring, bounds in enumerate(SHADOW_RINGS):
            profile[k, ring] = _light(picture, low & half & _between(away, *bounds)).mean() - ground
    return profile


def _light(picture: Picture, where: NDArray[np.bool_]) -> Light:
    """(3,) logarithm of the mean of each colour; NaN of a few pixels."""
    if np.count_nonzero(where) < LEAST_PX:
        return np.full(3, np.nan)
    return np.log(np.maximum(picture[where].astype(float).mean(axis=0), DARKEST))


def _sectors(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which of SECTORS around the product's middle each pixel lies in."""
    rows, columns = np.indices(inside.shape)
    y, x = np.nonzero(inside)
    angle = np.arctan2(rows - y.mean(), columns - x.mean()) / (2 * np.pi) + 0.5
    return np.minimum((angle * SECTORS).astype(np.int64), SECTORS - 1)


def _distance(part: NDArray[np.bool_]) -> Light:
    """Px to the nearest pixel that is not of the part, its own half left out."""
    found = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.maximum(np.asarray(found, np.float64) - 0.5, 0.0)


def _between(away: Light, low: float, high: float) -> NDArray[np.bool_]:
    return (away >= low) & (away < high)


def _apart(profile: Light, true: Light) -> float:
    differences = np.abs(profile - true)
    return float(np.nanmean(differences)) if np.isfinite(differences).any() else float("nan")
