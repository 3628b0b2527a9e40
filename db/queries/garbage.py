"""Which objects of the store the database still refers to."""

from collections.abc import Iterator, Sequence

from sqlalchemy import text

from adloom.keys import mask_key, photo_key, render_key
from db.engine import Transaction
from db.schema.catalog import Workspace

# A render's row keeps its object even before it says so: the next worker adopts it. Masks and
# photos in a render's spec stay, so that every render can be made again.
_PHOTOS = "SELECT sha256 AS name FROM photo WHERE workspace_id = :ws"
_MASKS = """
SELECT mask_sha256 AS name FROM cutout WHERE workspace_id = :ws
UNION SELECT spec->>'mask_sha256' FROM render WHERE workspace_id = :ws
"""
_RENDERS = "SELECT fingerprint AS name FROM render WHERE workspace_id = :ws"
_RENDITIONS = "SELECT object_key AS name FROM rendition WHERE workspace_id = :ws"

_AMONG = " AS known WHERE name = ANY (CAST(:names AS text[]))"
_PAGE_ROWS = 5000

_KINDS = {
    "photos": (_PHOTOS, photo_key),
    "masks": (_MASKS, mask_key),
    "renders": (_RENDERS, render_key),
    "renditions": (_RENDITIONS, None),
}


def unreferenced(tx: Transaction, ws: int, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that nothing refers to. Keys not of this workspace's layout are never among
    them."""
    slug = _slug(tx, ws)
    orphans: set[str] = set()
    for kind, (select, key_of) in _KINDS.items():
        prefix = f"{slug}/{kind}/"
        names = {
            (key if key_of is None else key.removeprefix(prefix)): key
            for key in keys
            if key.startswith(prefix)
        }
        if names:
            statement = text(f"SELECT name FROM ({select}){_AMONG}")
            known = tx.execute(statement, {"ws": ws, "names": list(names)}).scalars()
            orphans |= {names[name] for name in names.keys() - set(known)}
    return orphans


def referenced(tx: Transaction, ws: int) -> Iterator[str]:
    """The keys of all objects that the database refers to. Streams."""
    slug = _slug(tx, ws)
    for select, key_of in _KINDS.values():
        statement = text(select).execution_options(yield_per=_PAGE_ROWS)
        with tx.execute(statement, {"ws": ws}) as rows:
            for name in rows.scalars():
                yield name if key_of is None else key_of(slug, name)


def _slug(tx: Transaction, ws: int) -> str:
    workspace = tx.get(Workspace, ws)
    assert workspace is not None, f"no workspace {ws}"
    return workspace.slug
