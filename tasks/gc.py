"""Objects that no row points to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from db.queries import garbage
from storage.protocol import ObjectInfo
from tasks.catalog import chunks
from tasks.environment import Environment

GRACE = timedelta(hours=24)
"""Objects are put before their rows: a young one may be about to get its row."""

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class GcReport:
    seen: int = 0
    kept_young: int = 0
    removed: int = 0
    bytes: int = 0
    dry_run: bool = False


def collect(env: Environment, *, dry_run: bool = False, older_than: timedelta = GRACE) -> GcReport:
    """Removes this workspace's unreferenced objects older than `older_than`.

    Whoever stores or adopts an object makes it young before its row is written. What was old and
    unreferenced when it was listed is therefore asked for its age and its row again just before it
    is deleted; what is left is the instant between that question and the deletion.
    """
    seen = young = removed = size = 0
    before = datetime.now(UTC) - older_than
    for chunk in chunks(_objects(env), CHUNK):
        seen += len(chunk)
        with env.database.transaction() as tx:
            loose = garbage.unreferenced(tx, env.workspace_id, [o.key for o in chunk])
        for info in chunk:
            if info.key not in loose:
                continue
            if info.modified > before:
                young += 1
                continue
            if not dry_run:
                if not _is_still_garbage(env, info.key, before):
                    young += 1
                    continue
                env.store.delete(info.key)
            removed += 1
            size += info.bytes
    return GcReport(seen, young, removed, size, dry_run)


def _is_still_garbage(env: Environment, key: str, before: datetime) -> bool:
    now = env.store.head(key)
    if now is None or now.modified > before:
        return False
    with env.database.transaction() as tx:
        return bool(garbage.unreferenced(tx, env.workspace_id, [key]))


def _objects(env: Environment) -> Iterator[ObjectInfo]:
    yield from env.store.list(f"{env.workspace}/")
