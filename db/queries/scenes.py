"""Scene templates: packs in, templates out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from adloom.errors import ConflictError
from adloom.geometry import Anchor, Placement
from adloom.render_spec import Sampler
from adloom.scenes import ScenePack, SceneTemplate
from db.engine import Transaction
from db.near import not_found
from db.text import as_json

_INSERT = text("""
INSERT INTO scene_template (workspace_id, slug, version, pack, title, body, content_hash)
VALUES (:ws, :slug, :version, :pack, :title, CAST(:body AS jsonb), :content_hash)
ON CONFLICT (workspace_id, slug, version) DO NOTHING
RETURNING id
""")

_HASH = text("""
SELECT content_hash FROM scene_template
WHERE workspace_id = :ws AND slug = :slug AND version = :version
""")

_LATEST = text("""
SELECT DISTINCT ON (slug) body FROM scene_template
WHERE workspace_id = :ws ORDER BY slug, version DESC
""")

_VERSION = text("""
SELECT body FROM scene_template WHERE workspace_id = :ws AND slug = :slug AND version = :version
""")


def upsert_pack(tx: Transaction, ws: int, pack: ScenePack) -> int:
    """Stores the pack's templates; returns how many are new.

    Raises ConflictError when a template's content differs from what its version said before.
    """
    return sum(_insert(tx, ws, pack.slug, template) for template in pack.templates)


def list_latest(tx: Transaction, ws: int) -> tuple[SceneTemplate, ...]:
    """The newest version of every template, by slug."""
    return tuple(_template(row.body) for row in tx.execute(_LATEST, {"ws": ws}))


def get(tx: Transaction, ws: int, slug: str, version: int | None = None) -> SceneTemplate:
    """A template, its newest version unless one is named. Raises NotFoundError."""
    if version is None:
        return latest(tx, ws, [slug])[0]
    values = {"ws": ws, "slug": slug, "version": version}
    row = tx.execute(_VERSION, values).one_or_none()
    if row is None:
        newest = latest(tx, ws, [slug])[0].version
        raise not_found(f"version {version} of scene", [slug], [f"{slug} version {newest}"])
    return _template(row.body)


def latest(tx: Transaction, ws: int, slugs: Sequence[str]) -> tuple[SceneTemplate, ...]:
    """The newest versions of `slugs`, in their order. Raises NotFoundError with near matches."""
    known = {t.slug: t for t in list_latest(tx, ws)}
    missing = [slug for slug in slugs if slug not in known]
    if missing:
        raise not_found("scene", missing, known)
    return tuple(known[slug] for slug in slugs)


def _insert(tx: Transaction, ws: int, pack: str, template: SceneTemplate) -> bool:
    key = {"ws": ws, "slug": template.slug, "version": template.version}
    new = tx.execute(
        _INSERT,
        {
            **key,
            "pack": pack,
            "title": template.title,
            "body": as_json(template.to_json()),
            "content_hash": template.content_hash,
        },
    ).one_or_none()
    if new is None and tx.execute(_HASH, key).scalar_one() != template.content_hash:
        raise ConflictError(
            f"the content of version {template.version} has changed",
            where=f"scene '{template.slug}'",
            hint=f"give the changed template version {template.version + 1}",
        )
    return new is not None


def _template(body: dict[str, Any]) -> SceneTemplate:
    place = body["placement"]
    values = {
        **body,
        "placement": Placement(**{**place, "anchor": Anchor(place["anchor"])}),
        "sampler": Sampler.from_json(body["sampler"]),
        "categories": tuple(body["categories"]),
        "tags": tuple(body["tags"]),
    }
    return SceneTemplate(**values)
