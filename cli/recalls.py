"""`adloom recall | recalls`: creatives that must not be used any more."""

import getpass
import sys
from typing import Annotated

import typer

from adloom.errors import InvalidInputError
from adloom.records import RecallFilter
from cli.console import JsonOption, emit, stdout, table
from cli.session import environment


def register(app: typer.Typer) -> None:
    """Adds this module's commands to the root."""
    for function in (recall, recalls):
        app.command(function.__name__)(function)


def recall(
    reason: Annotated[str, typer.Option(help="Why; kept with your name and the time.")],
    product: Annotated[
        str | None, typer.Option(help="Only this item group, all variants, or this product id.")
    ] = None,
    sku: Annotated[str | None, typer.Option(help="Only this product id, one variant.")] = None,
    scene: Annotated[str | None, typer.Option(help="Only this scene.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take recalls of these back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: Annotated[str | None, typer.Option(help="Who; default: this user.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recall creatives at once: no export has them, no run makes them, until it is undone."""
    from tasks import recalls as tasks

    chosen = RecallFilter(product=product, sku=sku, scene=scene, campaign=campaign)
    verb = "can be used again" if undo else "recalled"
    with environment() as env:
        found = tasks.count(env, chosen, undo=undo)
        if not dry_run:
            if not yes:
                _confirm(f"{found.marked} creatives of {tasks.described(chosen)}: {verb}?")
            found = tasks.issue(
                env, chosen, issuer=by or getpass.getuser(), reason=reason, undo=undo
            )

    def human() -> None:
        stdout.print(
            f"{found.matched} creatives of {tasks.described(chosen)} = "
            f"{found.marked} {'would be ' if dry_run else ''}{verb} + {found.unmarked} were before"
        )
        if found.items:
            stdout.print(f"cancelled: {found.items} open items, {found.renders} renders")

    emit(found, as_json, human)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInputError(
            "nobody is there to confirm it", hint="add --yes, or --dry-run to count only"
        )
    typer.confirm(question, abort=True)


def recalls(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what was recalled and taken back, by whom and why, latest first."""
    from tasks import recalls as tasks

    with environment() as env:
        found = tasks.list_recalls(env, limit)

    def human() -> None:
        table(None, ("recall", "what", "creatives", "by", "reason", "at"), [
            (r.recall, r.what, r.creatives, r.issuer, r.reason, r.at) for r in found
        ])  # fmt: skip

    emit({"recalls": found}, as_json, human)
