"""`adloom run | runs | report | retry`: executions of campaigns."""

from collections.abc import Callable
from typing import Annotated

import typer

from adloom.durations import duration_s
from cli.console import JsonOption, emit, stdout, table
from cli.progress import shown_progress
from cli.session import environment
from tasks.environment import Environment
from tasks.reports import RunReport

RunArgument = Annotated[int, typer.Argument(help="The run's number.", min=1)]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the run has ended.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands to the root."""
    for function in (run, runs, report, retry, cancel, pause, resume):
        app.command(function.__name__)(function)


def run(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a campaign; a run of it that was interrupted is gone on with."""
    from tasks import runs as tasks

    with environment() as env:
        tasks.require_campaign(env, campaign)

        def start() -> int:
            from flows.run_campaign import run_campaign
            from tasks.flow_runs import run_flow_here

            return run_flow_here(run_campaign, campaign=campaign)

        execute(env, ["run", campaign], wait, as_json, start)


def retry(
    run: RunArgument,
    error_class: Annotated[
        str | None, typer.Option(help="Only this error class, such as RenderError.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only errors whose class or message says this.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Only what failed longer ago than 90s, 30m, 6h, 2d …")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what failed within the last 90s, 30m, 6h, 2d …")
    ] = None,
    item: Annotated[
        list[int] | None, typer.Option(help="Only this item, by its number; any number of times.")
    ] = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Open a run's failed items again and run them: all, or those for which all options hold."""
    from tasks import runs as tasks

    chosen = {
        "error_class": error_class,
        "reason": reason,
        "older_than_s": None if older_than is None else duration_s(older_than),
        "newer_than_s": None if since is None else duration_s(since),
        "items": item or None,
    }
    given = {"error-class": error_class, "reason": reason, "older-than": older_than, "since": since}
    with environment() as env:
        tasks.require_run(env, run)
        arguments = ["retry", str(run), *(f"--{k}={v}" for k, v in given.items() if v is not None)]
        arguments += [f"--item={number}" for number in item or ()]

        def start() -> int:
            from flows.retry_failed import retry_failed
            from tasks.flow_runs import run_flow_here

            return run_flow_here(retry_failed, run=run, **chosen)

        execute(env, arguments, wait, as_json, start)


def cancel(run: RunArgument, as_json: JsonOption = False) -> None:
    """Cancel a run; renders that other runs need stay."""
    from tasks import runs as tasks

    with environment() as env:
        cancelled = tasks.cancel(env, run)
    emit(cancelled, as_json, lambda: stdout.print(
        f"run {run} cancelled: {cancelled.items} items, {cancelled.renders} renders"
    ))  # fmt: skip


def pause(run: RunArgument, as_json: JsonOption = False) -> None:
    """Pause a run: batches under way end, no more are begun."""
    from tasks import runs as tasks

    with environment() as env:
        tasks.pause(env, run)
    emit({"run": run, "paused": True}, as_json, lambda: stdout.print(f"run {run} is paused"))


def resume(number: RunArgument, wait: WaitOption = False, as_json: JsonOption = False) -> None:
    """Let a paused run go on; one that nobody executes is executed from here."""
    from tasks import runs as tasks

    with environment() as env:
        held = tasks.go_on(env, number)
        campaign = tasks.require_run(env, number).campaign
    if not held:
        run(campaign, wait=wait, as_json=as_json)
        return
    emit({"run": number, "paused": False}, as_json, lambda: stdout.print(f"run {number} goes on"))


def runs(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs, latest first, with their counts."""
    from tasks import runs as tasks

    with environment() as env:
        found = tasks.list_runs(env, limit)

    def human() -> None:
        names = ("run", "campaign", "state", "items", "new", "reused", "approved", "review",
                 "rejected", "failed", "open", "started")  # fmt: skip
        table(None, names, [
            (r.run, r.campaign, r.state, r.items, r.new, r.reused, r.approved, r.needs_review,
             r.rejected, r.failed, r.open, r.started_at)
            for r in found
        ])  # fmt: skip

    emit({"runs": found}, as_json, human)


def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """What a run made: counts that add up, yield by scene, reasons, failures."""
    from tasks import reports as tasks

    with environment() as env:
        made = tasks.run_report(env, run)
    emit(made, as_json, lambda: print_report(made))


def print_report(made: RunReport) -> None:
    """A run's report as tables."""
    r = made.run
    stdout.print(f"run [b]{r.run}[/] of [b]{r.campaign}[/]: {r.state}")
    stdout.print(
        f"{r.items} creatives = {r.approved} approved + {r.needs_review} need review + "
        f"{r.rejected} rejected + {r.failed} failed + {r.cancelled} cancelled + {r.open} open"
        f"  {'[green]adds up[/]' if made.adds_up else '[red]does not add up[/]'}"
    )
    stdout.print(
        f"{r.new} new, {r.reused} reused; "
        f"{made.render_seconds:.1f} s of rendering, {made.elapsed_s:.0f} s in all"
    )
    table("Yield by scene", ("scene", "items", "approved", "review", "rejected", "failed", "yield"),
          [(y.scene, y.items, y.approved, y.needs_review, y.rejected, y.failed, y.share)
           for y in made.yields])  # fmt: skip
    if made.reasons:
        table("Reasons", ("reason", "items"), made.reasons)
    if made.failures:
        table("Failures", ("error", "items", "message"), made.failures)
    if set(made.attempts) - {"finished"}:
        ended = ", ".join(f"{n} {how}" for how, n in made.attempts.items())
        stdout.print(f"attempts at batches: {ended}")
    for reason, count in made.skipped.items():
        stdout.print(f"skipped: {count} products, {reason}", markup=False)


def execute(
    env: Environment,
    arguments: list[str],
    wait: bool,
    as_json: bool,
    start: Callable[[], int],
) -> None:
    """Runs a flow in this process, or in a detached one that does the same with --wait."""
    from tasks import reports

    if not wait:
        from services.background import start_command

        process = start_command([*arguments, "--wait"])
        emit({"pid": process.pid, "log": process.log}, as_json, lambda: stdout.print(
            f"started in the background (pid {process.pid}); log: {process.log}\n"
            "follow it with: adloom runs"
        ))  # fmt: skip
        return
    with shown_progress(env, quiet=as_json):
        number = start()
    made = reports.run_report(env, number)
    emit(made, as_json, lambda: print_report(made))
    if made.run.failed:
        raise typer.Exit(5)
