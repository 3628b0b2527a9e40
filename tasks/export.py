"""A run's approved creatives as files: images, contact sheet, and a manifest written last."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from adloom.errors import InvalidInputError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.imaging.sheets import thumbnail
from adloom.keys import photo_key
from adloom.records import CreativeView, RunSummary
from adloom.states import Outcome
from db.queries import creatives, runs
from tasks.environment import Environment
from tasks.paths import user_path
from tasks.pictures import flatten
from tasks.sheet import Group, Sheet, Tile, sheet_html

SHOWN = (Outcome.APPROVED, Outcome.NEEDS_REVIEW, Outcome.REJECTED)
SHEET_TILES = 2000
"""The sheet shows at most this many creatives; the manifest has them all."""

SHEET_SIDE = 720


@dataclass(frozen=True, slots=True)
class Exported:
    """`withdrawn`: approved creatives left out, recalled or of products no longer sold."""

    folder: Path
    images: int
    shown: int
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One approved creative; `file` is relative to the manifest."""

    file: str
    creative: int
    campaign: str
    run: int
    product: str
    item_group_id: str | None
    title: str
    brand: str
    category: str
    link: str
    price: str | None
    scene: str
    scene_version: int
    format: str
    variant: int
    draw: int
    width: int
    height: int
    media_type: str
    bytes: int
    sha256: str
    fingerprint: str
    identity: float | None
    detail_lock: str


def export_run(env: Environment, run_id: int, folder: Path) -> Exported:
    """Writes a run's approved creatives below `folder`, which must be new or empty.

    The manifest comes last and in one step: a folder without one is an export that broke off.
    Raises NotFoundError for an unknown run, InvalidInputError for a folder that is in use.
    """
    folder = user_path(folder)
    try:
        return _export(env, run_id, folder)
    except OSError as error:
        raise InvalidInputError(
            f"cannot be written: {error.strerror or error}", where=str(folder)
        ) from error


def _export(env: Environment, run_id: int, folder: Path) -> Exported:
    _require_empty(folder)
    with env.database.transaction() as tx:
        summary = runs.summary(tx, env.workspace_id, run_id)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows: list[ManifestRow] = []
    tiles: dict[str, tuple[str, list[Tile]]] = {}
    shown = withdrawn = 0
    for view in _views(env, run_id):
        if view.withdrawn is not None:
            withdrawn += view.outcome is Outcome.APPROVED
            continue
        row = _export_image(env, view, folder) if view.outcome is Outcome.APPROVED else None
        if row is not None:
            rows.append(row)
        if shown < SHEET_TILES:
            title = view.product.title
            group = tiles.setdefault(view.product.external_id, (title, []))
            group[1].append(_tile(env, view, folder, row.file if row else None))
            shown += 1
    groups = [Group(title, tuple(found)) for title, found in tiles.values()]
    page = sheet_html(_sheet(summary, groups))
    (folder / "index.html").write_text(page, encoding="utf-8")
    _write_manifest(rows, folder)
    return Exported(folder, len(rows), shown, withdrawn)


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(
            "is not empty", where=str(folder), hint="name a new folder, or empty this one"
        )


def _views(env: Environment, run_id: int) -> Iterator[CreativeView]:
    with env.database.transaction() as tx:
        yield from creatives.of_run(tx, run_id, outcomes=SHOWN)


def file_stem(text: str) -> str:
    """A name for a file from whatever a catalogue calls a product."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]
    return plain or "product"


def _export_image(env: Environment, view: CreativeView, folder: Path) -> ManifestRow | None:
    rendition = view.rendition
    if rendition is None:
        return None
    slot, product = view.slot, view.product
    suffix = ImageFormat(rendition.media_type.removeprefix("image/")).suffix
    shape = slot.format_slug.replace(":", "x")
    name = f"{file_stem(product.external_id)}_{slot.scene_slug}_{shape}"
    file = f"images/{name}_v{slot.variant}_{view.creative_id}{suffix}"
    (folder / file).write_bytes(env.store.get(rendition.object_key))
    return ManifestRow(
        file=file,
        creative=view.creative_id,
        campaign=view.campaign,
        run=view.run_id,
        product=product.external_id,
        item_group_id=product.item_group_id,
        title=product.title,
        brand=product.brand,
        category=product.category,
        link=product.link,
        price=f"{product.price.amount} {product.price.currency}" if product.price else None,
        scene=slot.scene_slug,
        scene_version=view.scene_version,
        format=slot.format_slug,
        variant=slot.variant,
        draw=view.draw,
        width=rendition.width,
        height=rendition.height,
        media_type=rendition.media_type,
        bytes=rendition.bytes,
        sha256=rendition.sha256,
        fingerprint=view.fingerprint,
        identity=view.scores.get("model.identity"),
        detail_lock=str(rendition.details.get("detail_lock", "")),
    )


def _tile(env: Environment, view: CreativeView, folder: Path, exported: str | None) -> Tile:
    """The pictures of one creative as small files beside the page."""
    sheet = folder / "sheet"
    sheet.mkdir(exist_ok=True)
    photo = f"sheet/photo_{view.spec.photo_sha256[:16]}.jpg"
    if not (folder / photo).exists():
        _small(env, photo_key(env.workspace, view.spec.photo_sha256), folder / photo)
    raw = finished = ""
    if view.render is not None:
        raw = f"sheet/raw_{view.fingerprint[:16]}.png"
        (folder / raw).write_bytes(env.store.get(view.render.object_key))
    if view.rendition is not None:
        finished = exported or f"sheet/finished_{view.creative_id}.jpg"
        if exported is None:
            _small(env, view.rendition.object_key, folder / finished)
    scores = tuple(sorted(view.scores.items()))
    reasons = tuple(r.code for r in view.reasons)
    slot = view.slot
    return Tile(
        photo, raw, finished, slot.scene_slug, slot.format_slug, slot.variant,
        view.outcome.value, reasons, scores,
    )  # fmt: skip


def _small(env: Environment, key: str, file: Path) -> None:
    picture = thumbnail(flatten(decode(env.store.get(key))), SHEET_SIDE)
    file.write_bytes(encode(picture, ImageFormat.JPEG, 85))


def _sheet(summary: RunSummary, groups: list[Group]) -> Sheet:
    run = summary.run
    shown = [(o.value, summary.outcomes.get(o, 0)) for o in (*SHOWN, Outcome.FAILED)]
    return Sheet(
        campaign=run.campaign,
        title=run.spec.title,
        run=run.id,
        model=f"{run.spec.model} {(run.weights_hash or '')[:12]}",
        finished_at=f"{run.ended_at or run.created_at:%Y-%m-%d %H:%M}",
        counts=(("creatives", run.planned_slots), *shown),
        groups=groups,
    )


def _write_manifest(rows: list[ManifestRow], folder: Path) -> None:
    columns = list(ManifestRow.__dataclass_fields__)
    frame = pd.DataFrame([asdict(r) for r in rows], columns=columns)
    frame.to_parquet(folder / "manifest.parquet", index=False)
    unfinished = folder / ".manifest.csv"
    frame.to_csv(unfinished, index=False)
    shutil.move(unfinished, folder / "manifest.csv")
