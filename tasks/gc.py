"""Objects that no row points to."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from db.queries import garbage
from storage.protocol import ObjectInfo
from tasks.catalog import chunks
from tasks.environment import Environment

GRACE = timedelta(hours=24)
"""Objects are put before their rows: a young one may be about to get its row."""

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class GcReport:
    """`used_meanwhile` and `gone_meanwhile`: objects that got a row, or were removed by another
    process, while this one looked."""

    seen: int = 0
    kept_young: int = 0
    removed: int = 0
    bytes: int = 0
    dry_run: bool = False
    used_meanwhile: int = 0
    gone_meanwhile: int = 0


class _Fate(Enum):
    GARBAGE = auto()
    YOUNG = auto()
    USED = auto()
    GONE = auto()


def collect(env: Environment, *, dry_run: bool = False, older_than: timedelta = GRACE) -> GcReport:
    """Removes this workspace's unreferenced objects older than `older_than`.

    Whoever stores or adopts an object makes it young before its row is written. What was old and
    unreferenced when it was listed is therefore asked for its age and its row again just before it
    is deleted; what is left is the instant between that question and the deletion.
    """
    seen = size = 0
    fates: Counter[_Fate] = Counter()
    before = datetime.now(UTC) - older_than
    for chunk in chunks(_objects(env), CHUNK):
        seen += len(chunk)
        with env.database.transaction() as tx:
            loose = garbage.unreferenced(tx, env.workspace_id, [o.key for o in chunk])
        for info in chunk:
            if info.key not in loose:
                continue
            fate = _Fate.YOUNG if info.modified > before else _Fate.GARBAGE
            if fate is _Fate.GARBAGE and not dry_run:
                fate = _fate_now(env, info.key, before)
                if fate is _Fate.GARBAGE:
                    env.store.delete(info.key)
            fates[fate] += 1
            size += info.bytes if fate is _Fate.GARBAGE else 0
    return GcReport(
        seen,
        fates[_Fate.YOUNG],
        fates[_Fate.GARBAGE],
        size,
        dry_run,
        used_meanwhile=fates[_Fate.USED],
        gone_meanwhile=fates[_Fate.GONE],
    )


def _fate_now(env: Environment, key: str, before: datetime) -> _Fate:
    now = env.store.head(key)
    if now is None:
        return _Fate.GONE
    if now.modified > before:
        return _Fate.YOUNG
    with env.database.transaction() as tx:
        is_loose = bool(garbage.unreferenced(tx, env.workspace_id, [key]))
    return _Fate.GARBAGE if is_loose else _Fate.USED


def _objects(env: Environment) -> Iterator[ObjectInfo]:
    yield from env.store.list(f"{env.workspace}/")
