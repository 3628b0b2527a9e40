"""One ad picture: checked, its product cut out, its variants made and written."""

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adloom.errors import AdloomError, PhotoError
from adloom.imaging.arrays import as_alpha
from adloom.imaging.edges import decontaminated
from training.adprod.annotations import AD_FOLDER, MASK_FOLDER, PRODUCT_FOLDER
from training.adprod.decoding import FORMATS, decode
from training.adprod.files import write_mask, write_png
from training.adprod.filters import (
    Limits,
    Reason,
    Refusal,
    TextDetector,
    check_mask,
    check_overlays,
    check_picture,
    check_size,
)
from training.adprod.networks import ProductExtractor
from training.adprod.records import ImageRecord, VariantRecord
from training.adprod.sources import Source
from training.augment.depth import DepthEstimator
from training.augment.novel_views import Lifting
from training.augment.variants import Variant, VariantKind, make_variants, plan_variants

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Making:
    """How examples are made. Pictures are kept at a shorter side of `shorter_px` at most."""

    limits: Limits = field(default_factory=Limits)
    lifting: Lifting = field(default_factory=Lifting)
    shorter_px: int = 768
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tools:
    """The networks of one process."""

    extractor: ProductExtractor
    text: TextDetector
    depth: DepthEstimator | None = None
    device: str = "cpu"


def make_example(
    pictures: Path, source: Source, out: Path, how: Making, tools: Tools
) -> ImageRecord:
    """Everything of one picture but its record is written to `out`; a bad picture is left out with
    its reason. Raises only what is the installation's fault. The same picture, the same files."""
    path = pictures / source.path
    record = ImageRecord(source.path, "", "", "", source.category, source.product, source.captions)
    try:
        record = replace(record, stamp=stamp_of(path))
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        record = replace(
            record, sha256=digest, name=digest[:16], product=source.product or digest[:16]
        )
        return _made(data, record, out, how, tools)
    except PhotoError as error:
        return replace(record, reason=Reason.UNREADABLE, detail=error.message)
    except AdloomError as error:
        if error.of_installation:
            raise
        return replace(record, reason=Reason.FAILED, detail=str(error))
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        # What a strange picture may bring a library to; the rest of the pictures goes on.
        return replace(record, reason=Reason.FAILED, detail=f"{type(error).__name__}: {error}")


def stamp_of(path: Path) -> str:
    """Changes when the file does."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _made(data: bytes, record: ImageRecord, out: Path, how: Making, tools: Tools) -> ImageRecord:
    limits = how.limits
    if refused := check_size(*_size(data), limits):
        return _left_out(record, refused)
    ad = decode(data, how.shorter_px)
    if refused := check_picture(ad, limits):
        return _left_out(record, refused)
    found = tools.extractor.extract(ad, record.category)
    record = replace(record, confidence=found.confidence, area=round(found.area_fraction, 5))
    if refused := check_mask(found, limits) or check_overlays(ad, found.mask, tools.text, limits):
        return _left_out(record, refused)
    rng = np.random.default_rng([how.seed, int(record.sha256[:15], 16)])
    relief = tools.depth.relief(ad, found.mask) if tools.depth else None
    variants = make_variants(
        cutout_on_white(ad, found.mask, how.lifting.rim_px),
        ad,
        found.mask,
        plan_variants(rng),
        how.lifting,
        relief,
        tools.device,
    )
    return replace(record, variants=_written(out, record.name, ad, found.mask, variants))


def _size(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError("the file is no picture of a known kind") from error


def _left_out(record: ImageRecord, refused: Refusal) -> ImageRecord:
    return replace(record, reason=refused.reason, detail=refused.detail)


def cutout_on_white(photo: Picture, mask: Picture, rim_px: int) -> Picture:
    """The product (H, W, 3) on white, where it stands in the photo."""
    clean = decontaminated(photo, mask, rim_px, beyond_px=2).astype(np.float32)
    return np.rint(255 + (clean - 255) * as_alpha(mask)[..., None]).astype(np.uint8)


def _written(
    out: Path, name: str, ad: Picture, mask: Picture, variants: list[Variant]
) -> tuple[VariantRecord, ...]:
    write_png(out / AD_FOLDER / f"{name}.png", ad)
    write_mask(out / MASK_FOLDER / f"{name}.npy", mask)
    written: list[VariantRecord] = []
    views = 0
    for variant in variants:
        plan = variant.plan
        picture = f"{name}_{plan.number:02}.png"
        write_png(out / PRODUCT_FOLDER / picture, variant.picture)
        own = f"{name}.npy"
        if plan.kind is VariantKind.NOVEL_VIEW:
            # The first view's mask has the format's name; a second one needs its own.
            own = f"{name}_gs.npy" if not views else f"{name}_{plan.number:02}_gs.npy"
            views += 1
        elif plan.degradation.changes_mask:
            own = f"{name}_{plan.number:02}.npy"
        if own != f"{name}.npy":
            write_mask(out / MASK_FOLDER / own, variant.mask)
        written.append(
            VariantRecord(
                picture,
                own,
                plan.kind.value,
                (round(plan.turn.yaw_deg, 3), round(plan.turn.pitch_deg, 3)),
                round(variant.filled, 5),
                round(variant.open, 5),
            )
        )
    return tuple(written)
