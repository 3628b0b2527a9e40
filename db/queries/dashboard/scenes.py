"""Scene templates as pages show them: by pack, with creatives that they made."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.engine import Transaction
from db.near import not_found

_LATEST = """
SELECT DISTINCT ON (s.slug) s.slug, s.version, s.pack, s.title, s.body, s.created_at,
    (SELECT count(*) FROM scene_template v WHERE v.workspace_id = s.workspace_id
        AND v.slug = s.slug) AS versions
FROM scene_template s WHERE s.workspace_id = :ws
"""
_ALL = text(f"{_LATEST} ORDER BY s.slug, s.version DESC")
_ONE = text(f"{_LATEST} AND s.slug = :slug ORDER BY s.slug, s.version DESC")
_SLUGS = text("SELECT DISTINCT slug FROM scene_template WHERE workspace_id = :ws")

_EXAMPLES = text("""
SELECT DISTINCT ON (y.value) y.value, y.examples FROM run_yield y
WHERE y.workspace_id = :ws AND y.dimension = 'scene' AND y.outcome = 'approved'
    AND y.run_id > (SELECT coalesce(max(id), 0) - :runs FROM run WHERE workspace_id = :ws)
ORDER BY y.value, y.run_id DESC
""")


@dataclass(frozen=True, slots=True)
class SceneLine:
    """The newest version of a template; `versions` of it there are."""

    slug: str
    version: int
    pack: str
    title: str
    body: dict[str, Any]
    created_at: datetime
    versions: int


def latest(tx: Transaction, ws: int) -> tuple[SceneLine, ...]:
    return tuple(SceneLine(*r) for r in tx.execute(_ALL, {"ws": ws}))


def one(tx: Transaction, ws: int, slug: str) -> SceneLine:
    """Raises NotFoundError with near matches."""
    found = tx.execute(_ONE, {"ws": ws, "slug": slug}).one_or_none()
    if found is None:
        raise not_found("scene", [slug], tx.execute(_SLUGS, {"ws": ws}).scalars())
    return SceneLine(*found)


def examples(tx: Transaction, ws: int, *, runs: int = 500) -> dict[str, tuple[int, ...]]:
    """Approved creatives of the newest runs by `slug@version`, a few of each."""
    rows = tx.execute(_EXAMPLES, {"ws": ws, "runs": runs})
    return {r.value: tuple(r.examples) for r in rows}
