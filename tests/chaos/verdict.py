"""What must hold when the night is over, each by its own path."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from db.engine import Database
from db.queries import attempts, runs
from services.stack import connect
from storage import open_store
from tasks.settings import Settings
from tests.chaos.night import Night, journal

_CLOCK_S = 1.0
"""S3 keeps whole seconds."""

_ORPHANS = {
    "batches neither done nor given up": (
        "SELECT count(*) FROM batch WHERE state IN ('pending', 'leased')"
    ),
    "renders under way": "SELECT count(*) FROM render WHERE state IN ('pending', 'leased')",
    "attempts that never ended": "SELECT count(*) FROM batch_attempt WHERE ending IS NULL",
    "live runs": ("SELECT count(*) FROM run WHERE state IN ('planning', 'rendering', 'judging')"),
    "runs still held": "SELECT count(*) FROM run WHERE lease_owner IS NOT NULL",
    "open items": "SELECT count(*) FROM run_item WHERE outcome = 'open'",
    "rendered without finish": (
        "SELECT count(*) FROM run_item i WHERE i.outcome IN ('approved', 'rejected', "
        "'needs_review') AND NOT EXISTS (SELECT FROM rendition f WHERE f.render_id = i.render_id)"
    ),
}

_GIVEN_UP = """
SELECT count(*) FROM run_item i LEFT JOIN render r ON r.id = i.render_id
WHERE i.outcome IN ('failed', 'cancelled')
    AND NOT (i.outcome = 'failed' AND i.error_class = 'DeadlyRenderError' AND (
        SELECT count(DISTINCT a.owner) FROM batch_attempt a
        WHERE a.batch_id = r.batch_id AND a.renders = 1 AND a.ending IN ('lost', 'crashed')) >= 3)
"""
"""A render that ended three processes alone is rightly failed; nothing else is."""


@dataclass(frozen=True)
class Verdict:
    """What was found: facts for the table, and what does not hold."""

    facts: dict[str, Any]
    wrong: list[str]


def judge(night: Night) -> Verdict:
    """Reads rows, objects and the renderer's journal once everything is quiet."""
    settings = Settings.load(home=night.adloom.home)
    database = Database(connect(settings).database_url)
    store = open_store(
        night.adloom.env["ADLOOM_STORAGE_URL"], endpoint=night.adloom.env["ADLOOM_S3_ENDPOINT"]
    )
    try:
        return _judge(night, database, store)
    finally:
        database.dispose()


def _judge(night: Night, database: Database, store: Any) -> Verdict:
    wrong: list[str] = []
    with database.transaction() as tx:
        run_ids = list(tx.execute(text("SELECT id FROM run ORDER BY id")).scalars())
        first = runs.summary(tx, 1, run_ids[0])
        proofs = {run_id: runs.conservation(tx, run_id) for run_id in run_ids}
        endings = attempts.endings(tx, run_ids[0])
        rendered = {
            json.loads(spec)["seed"] if isinstance(spec, str) else spec["seed"]: fingerprint
            for spec, fingerprint in tx.execute(
                text("SELECT spec, fingerprint FROM render WHERE state = 'rendered'")
            )
        }
        for what, query in _ORPHANS.items():
            if n := tx.execute(text(query)).scalar_one():
                wrong.append(f"{n} {what}")
        if n := tx.execute(text(_GIVEN_UP)).scalar_one():
            wrong.append(f"{n} items failed or cancelled, for which no render is to blame")
        facts = {
            "batches cut": _count(tx, "batch"),
            "batches split": _count(tx, "batch WHERE split_from IS NOT NULL") // 2,
            "submissions": tx.execute(text("SELECT sum(submissions) FROM batch")).scalar_one(),
        }
    if first.run.state != "complete":
        wrong.append(f"the run is {first.run.state}")
    wrong += [f"the counts of run {r} do not add up: {p}" for r, p in proofs.items() if not p.holds]
    stored = {o.key.rpartition("/")[2]: o for o in store.list("default/renders/")}
    if lost := set(rendered.values()) - set(stored):
        wrong.append(f"{len(lost)} rows say rendered and have no object")
    if orphans := set(stored) - set(rendered.values()):
        wrong.append(f"{len(orphans)} objects have no row that says rendered")
    begun = journal(night.journal)
    again = [
        b for b in begun
        if (f := rendered.get(b["seed"])) in stored
        and b["at"] > stored[f].modified.timestamp() + _CLOCK_S
    ]  # fmt: skip
    if again:
        wrong.append(f"{len(again)} renders were made again after their object was stored")
    times = Counter(b["seed"] for b in begun)
    return Verdict(
        {
            "items": first.run.planned_slots,
            "outcomes": ", ".join(f"{n} {o}" for o, n in first.outcomes.items()),
            "renders begun": len(begun),
            "of these again, since their worker died": sum(n - 1 for n in times.values()),
            "made again once stored": len(again),
            "objects": len(stored),
            "attempts": ", ".join(f"{n} {e}" for e, n in endings.items()),
            **facts,
        },
        wrong,
    )


def _count(tx: Any, what: str) -> int:
    return int(tx.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())
