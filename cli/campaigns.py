"""`adloom campaign …`: what to make."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from adloom.errors import InvalidInputError
from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

app = typer.Typer(help="Campaigns: what to make.", no_args_is_help=True)


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="The campaign's YAML file.")],
    as_json: JsonOption = False,
) -> None:
    """Check a campaign file and store it; a spec that cannot work is refused."""
    from tasks import campaigns as tasks

    with environment() as env:
        applied = tasks.apply_file(env, file)

    def human() -> None:
        stdout.print(
            f"campaign [b]{applied.slug}[/] {applied.change}: {applied.scenes} scenes × "
            f"{applied.formats} formats × {applied.variants} variants"
        )
        if applied.unpinned_from:
            stdout.print(
                f"it was pinned to weights {applied.unpinned_from[:12]}; its next run uses the "
                "weights at hand, and makes its creatives anew if they are others"
            )

    emit(applied, as_json, human)


@app.command("plan")
def plan(
    campaign: Annotated[str | None, typer.Argument(help="The campaign's name.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A campaign file instead, as if it had been applied.")
    ] = None,
    price_per_hour: Annotated[
        str | None, typer.Option(help="What a device costs by the hour, such as '2.50 USD'.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Dry run: what a run would make, reuse and skip, how long it takes, what it costs."""
    from adloom.feed_rows import parse_price
    from tasks import estimates as tasks

    if (campaign is None) == (file is None):
        raise InvalidInputError("name a campaign or a --file, one of both")
    price = parse_price(price_per_hour) if price_per_hour else None
    with environment() as env:
        if file is not None:
            estimate = tasks.estimate_file(env, file, price_per_hour=price)
        else:
            estimate = tasks.estimate(env, campaign or "", price_per_hour=price)

    def human() -> None:
        stdout.print(
            f"[b]{estimate.campaign}[/]: {estimate.slots} creatives from {estimate.products} "
            f"products; {estimate.reused} renders exist, {estimate.to_render} to make"
        )
        if estimate.to_render:
            hours = estimate.device_seconds / 3600
            cost = f", {estimate.cost.amount} {estimate.cost.currency}" if estimate.cost else ""
            stdout.print(f"about {hours:.2f} device hours{cost} ({estimate.basis})", markup=False)
        if estimate.over_budget:
            stdout.print(f"[red]beyond the budget[/] of {estimate.max_renders} renders")
        for reason, count in estimate.skipped.items():
            stdout.print(f"skipped: {count} products, {reason}", markup=False)
        for warning in estimate.warnings:
            stdout.print(f"warning: {warning}", markup=False)

    emit(estimate, as_json, human)


@app.command("schedule")
def schedule(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    cron: Annotated[
        str | None, typer.Option(help="Minute, hour, day, month, weekday: '0 2 * * *'.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Such as Europe/Berlin.")] = "UTC",
    overlap: Annotated[
        Literal["skip", "wait"],
        typer.Option(help="What to do while the last run is still executed."),
    ] = "skip",
    off: Annotated[bool, typer.Option("--off", help="End the campaign's schedule.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a campaign run by itself, by the fleet of `adloom up --workers N`."""
    from adloom.errors import InvalidInputError
    from tasks.runs import require_campaign

    if (cron is None) is not off:
        raise InvalidInputError("give either --cron or --off", hint="--cron '0 2 * * *'")
    with environment() as env:
        require_campaign(env, campaign)
        from workers import schedules as tasks

        if cron is None:
            asyncio.run(tasks.unschedule(campaign))
        else:
            wanted = tasks.CampaignSchedule(campaign, cron, timezone, tasks.Overlap(overlap), True)
            asyncio.run(tasks.schedule(wanted))
    emit(
        {"campaign": campaign, "cron": cron, "timezone": timezone, "overlap": overlap},
        as_json,
        lambda: stdout.print(
            f"campaign [b]{campaign}[/] has no schedule any more"
            if cron is None
            else f"campaign [b]{campaign}[/] runs by '{cron}', {timezone}"
        ),
    )


@app.command("schedules")
def schedules(as_json: JsonOption = False) -> None:
    """List the campaigns that run by themselves, and when next."""
    with environment():
        from workers import schedules as tasks

        found = asyncio.run(tasks.schedules())

    def human() -> None:
        table(None, ("campaign", "cron", "timezone", "overlap", "active", "next, UTC"), [
            (s.campaign, s.cron, s.timezone, s.overlap.value, "yes" if s.active else "no",
             s.next_at)
            for s in found
        ])  # fmt: skip

    emit({"schedules": found}, as_json, human)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the stored campaigns."""
    from tasks import campaigns as tasks

    with environment() as env:
        campaigns = tasks.list_campaigns(env)

    def human() -> None:
        table(None, ("campaign", "title", "scenes", "formats", "variants", "changed"), [
            (c.slug, c.title, c.scenes, c.formats, c.variants, c.changed_at) for c in campaigns
        ])  # fmt: skip

    emit({"campaigns": campaigns}, as_json, human)


@app.command("schema")
def schema(as_json: JsonOption = True) -> None:
    """Print the JSON Schema of a campaign file, for editors."""
    del as_json  # it is JSON in any case
    from adloom.campaign_document import campaign_json_schema

    sys.stdout.write(json.dumps(campaign_json_schema(), indent=2) + "\n")
