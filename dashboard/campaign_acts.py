"""Acts on campaigns as pages and API share them: done, and noted in the audit log."""

from fastapi import Request

from adloom.records import Person
from dashboard.access import audit
from dashboard.campaign_texts import WHERE
from dashboard.commands import Start
from db.engine import Transaction
from db.queries import campaigns
from tasks import campaigns as tasks
from tasks.campaigns import Applied
from tasks.environment import Environment


def apply(request: Request, person: Person, env: Environment, text: str) -> Applied:
    """Stores a campaign's text as `adloom campaign apply` does. Raises SpecError."""
    applied = tasks.apply_text(env, text, where=WHERE)
    details = {"change": applied.change, "unpinned_from": applied.unpinned_from}
    audit(
        request, person, act="campaign.apply", subject=f"campaign {applied.slug}", details=details
    )
    return applied


def begin_run(
    request: Request, person: Person, tx: Transaction, ws: int, start: Start, slug: str
) -> None:
    """Starts a run as `adloom run` does. Raises NotFoundError."""
    campaigns.get(tx, ws, slug)
    log = start(["run", slug])
    audit(request, person, act="campaign.run", subject=f"campaign {slug}", details={"log": log})
