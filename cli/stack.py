"""`adloom up | down | status | doctor | gc`: the installation itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

if TYPE_CHECKING:
    from services.stack import Running
    from tasks.environment import Environment
    from tasks.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds this module's commands to the root."""
    for function in (up, down, status, doctor, gc):
        app.command(function.__name__)(function)


def up(
    workers: Annotated[int, typer.Option(min=0, help="GPU workers to start here.")] = 0,
    control: Annotated[
        int | None, typer.Option(min=0, help="Workers for schedules; else 1 with --workers.")
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Serve the ops web page.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Start Postgres and Prefect, bring the schema up to date, install the shipped scenes.

    With --workers also the fleet of this machine: work pools, deployments, schedules, workers.
    """
    from db.migrate import upgrade
    from services import stack
    from tasks.scenes import SHIPPED_PACK, add_pack
    from tasks.settings import Settings

    settings = Settings.load()
    running = stack.up(settings, migrate=upgrade)
    with environment() as env:
        add_pack(env, SHIPPED_PACK)
        env.store.check()
        counts = {"gpu": workers, "control": (1 if workers else 0) if control is None else control}
        started = _fleet_up(settings, running, counts) if any(counts.values()) else []
        pages = _dashboard_up(env, settings, running) if dashboard else {}
    emit(
        {
            "home": settings.home, "prefect": running.prefect_api_url, "workers": started, **pages,
        },
        as_json,
        lambda: _print_up(settings, running, started, pages),
    )  # fmt: skip


def _print_up(
    settings: "Settings", running: "Running", started: list[str], pages: dict[str, str]
) -> None:
    stdout.print(
        f"adloom is up. Home: {settings.home}\n"
        f"Prefect's pages: {running.prefect_api_url.removesuffix('/api')}"
        + (f"\nworkers started: {', '.join(started)}" if started else ""),
        soft_wrap=True,
    )
    if "dashboard" in pages:
        stdout.print(f"Dashboard: {pages['dashboard']}", soft_wrap=True)
    if "sign_in" in pages:
        stdout.print(f"Sign in, once: {pages['sign_in']}", soft_wrap=True)


def _dashboard_up(env: "Environment", settings: "Settings", running: "Running") -> dict[str, str]:
    """Its address, and a link to sign in while nobody has an account. That it does not start keeps
    nothing else from being up."""
    from adloom.errors import AdloomError
    from cli.console import report
    from services.dashboard import start_dashboard
    from tasks import users

    try:
        url = start_dashboard(settings, running)
    except AdloomError as error:
        report(error)
        return {}
    token = users.first_link(env)
    return {"dashboard": url} | ({"sign_in": f"{url}/sign-in/link?token={token}"} if token else {})


def _fleet_up(settings: "Settings", running: "Running", counts: dict[str, int]) -> list[str]:
    """Makes pools and deployments, starts what workers are missing; returns their names."""
    import asyncio

    from services.fleet import start_workers
    from workers.deployments import deploy

    asyncio.run(deploy())
    started = [start_workers(settings, running, pool, count) for pool, count in counts.items()]
    return [process.name for processes in started for process in processes]


def down(as_json: JsonOption = False) -> None:
    """Stop everything that was started for this installation."""
    from services import stack
    from tasks.settings import Settings

    gentle = stack.down(Settings.load())
    emit({"stopped": True, "gentle": gentle}, as_json, lambda: stdout.print(
        "adloom is down" if gentle else "adloom is down; something had to be killed"
    ))  # fmt: skip


def status(as_json: JsonOption = False) -> None:
    """Show what runs."""
    from services import stack
    from services.dashboard import dashboard_status
    from tasks.settings import Settings

    settings = Settings.load()
    found = [*stack.status(settings), *filter(None, [dashboard_status(settings)])]

    def human() -> None:
        table(None, ("service", "state", "address", "pid", "log"), [
            (s.name, s.state.value, s.address, s.pid, s.log) for s in found
        ])  # fmt: skip

    emit({"services": found}, as_json, human)
    if not all(s.state.value in ("running", "external") for s in found):
        raise typer.Exit(4)


def doctor(as_json: JsonOption = False) -> None:
    """Check everything a run needs, and say how to mend what is wrong."""
    from cli.checks import run_checks

    checks = run_checks()

    def human() -> None:
        for check in checks:
            mark = "[green]ok[/]  " if check.ok else "[red]bad[/] "
            stdout.print(f"{mark} [b]{check.name:9}[/] ", end="")
            stdout.print(check.detail, markup=False, soft_wrap=True)

    emit({"checks": checks}, as_json, human)
    if not all(check.ok for check in checks):
        raise typer.Exit(4)


def gc(
    dry_run: Annotated[bool, typer.Option(help="Only count; remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove objects older than 24 hours that no row points to."""
    from tasks import gc as tasks

    with environment() as env:
        done = tasks.collect(env, dry_run=dry_run)

    def human() -> None:
        stdout.print(
            f"{done.seen} objects: {done.removed} "
            f"{'would be removed' if dry_run else 'removed'} ({done.bytes / 1e6:.1f} MB), "
            f"{done.kept_young} unreferenced ones are younger than 24 hours and stay"
        )
        if done.used_meanwhile or done.gone_meanwhile:
            stdout.print(
                f"meanwhile {done.used_meanwhile} came into use and stay, "
                f"{done.gone_meanwhile} were removed by another process"
            )

    emit(done, as_json, human)
