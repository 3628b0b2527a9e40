"""Recalls: creatives that must not be used, counted first, then marked at once."""

from dataclasses import dataclass
from datetime import datetime

from adloom.errors import InvalidInputError, NotFoundError
from adloom.records import RecallCounts, RecallFilter
from db.queries import campaigns, recalls
from tasks.environment import Environment


@dataclass(frozen=True, slots=True)
class RecallLine:
    """An entry of the record, as `adloom recalls` lists it."""

    recall: int
    what: str
    creatives: int
    issuer: str
    reason: str
    at: datetime


def count(env: Environment, chosen: RecallFilter, *, undo: bool = False) -> RecallCounts:
    """What `issue` would mark; nothing is written.

    Raises InvalidInputError without any condition, and NotFoundError where no creative matches.
    """
    if chosen == RecallFilter():
        raise InvalidInputError(
            "nothing says which creatives",
            hint="give at least one of --product, --sku, --scene, --campaign",
        )
    with env.database.transaction() as tx:
        if chosen.campaign is not None:
            campaigns.get(tx, env.workspace_id, chosen.campaign)
        found = recalls.count(tx, env.workspace_id, chosen, undo=undo)
    if not found.matched:
        raise NotFoundError(
            f"no creative of {described(chosen)}", hint="see `adloom creatives list`"
        )
    return found


def issue(
    env: Environment, chosen: RecallFilter, *, issuer: str, reason: str, undo: bool = False
) -> RecallCounts:
    """Recalls creatives, or takes that back with `undo`. Raises as `count` does, and
    InvalidInputError without a reason."""
    if not reason.strip():
        raise InvalidInputError("a recall needs a reason", hint="give --reason")
    count(env, chosen, undo=undo)
    with env.database.transaction() as tx:
        return recalls.issue(
            tx, env.workspace_id, chosen, issuer=issuer, reason=reason.strip(), undo=undo
        )


def list_recalls(env: Environment, limit: int) -> tuple[RecallLine, ...]:
    """The record, latest first."""
    with env.database.transaction() as tx:
        found = recalls.list_all(tx, env.workspace_id, limit=limit)
    return tuple(
        RecallLine(
            r.id,
            f"{'undo: ' if r.undo else ''}{described(r.chosen)}",
            r.creatives,
            r.issuer,
            r.reason,
            r.created_at,
        )
        for r in found
    )


def described(chosen: RecallFilter) -> str:
    """The conditions in words."""
    named = {
        "product": chosen.product,
        "sku": chosen.sku,
        "scene": chosen.scene,
        "campaign": chosen.campaign,
    }
    return ", ".join(f"{name} '{value}'" for name, value in named.items() if value is not None)
