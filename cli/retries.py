"""`adloom failures | retry`: what failed in a run, and trying it again."""

from typing import Annotated

import typer

from adloom.durations import duration_s
from cli.console import JsonOption, emit, stdout, table
from cli.runs import RunArgument, WaitOption, execute
from cli.session import environment

ErrorClassOption = Annotated[
    str | None, typer.Option(help="Only this error class, such as RenderError.")
]
ReasonOption = Annotated[
    str | None, typer.Option(help="Only errors whose class or message says this.")
]
OlderOption = Annotated[
    str | None, typer.Option(help="Only what failed longer ago than 90s, 30m, 6h, 2d …")
]
SinceOption = Annotated[
    str | None, typer.Option(help="Only what failed within the last 90s, 30m, 6h, 2d …")
]
TransientOption = Annotated[
    bool, typer.Option("--transient", help="Only what may succeed by itself: timeouts, memory …")
]


def register(app: typer.Typer) -> None:
    """Adds this module's commands to the root."""
    for function in (failures, retry):
        app.command(function.__name__)(function)


def failures(
    run: RunArgument,
    error_class: ErrorClassOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    since: SinceOption = None,
    transient: TransientOption = False,
    as_json: JsonOption = False,
) -> None:
    """List a run's failed items, and every time that each was tried; select as for a retry."""
    from adloom.records import FailureFilter
    from tasks import retrying as tasks

    chosen = FailureFilter(
        error_class=error_class,
        reason=reason,
        older_than_s=None if older_than is None else duration_s(older_than),
        newer_than_s=None if since is None else duration_s(since),
        retryable_only=transient,
    )
    with environment() as env:
        found = tasks.failures(env, run, chosen)

    def human() -> None:
        names = ("product", "scene", "format", "tried", "error", "may pass", "by worker", "message")
        table(None, names, [
            (f.external_id, f.scene, f.format, f.attempts, f.error_class,
             "yes" if f.retryable else "no", f.tries[-1].worker if f.tries else "", f.message)
            for f in found
        ])  # fmt: skip
        for f in found:
            for one in f.tries[:-1]:
                stdout.print(
                    f"before: {f.external_id} {f.scene} {f.format}, {one.at:%Y-%m-%d %H:%M:%S}, "
                    f"{one.worker}: {one.error_class}: {one.error_message}",
                    markup=False,
                )

    emit({"failures": found}, as_json, human)


def retry(
    run: RunArgument,
    error_class: ErrorClassOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    since: SinceOption = None,
    transient: TransientOption = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what was tried too often, or ends its workers."),
    ] = False,
    item: Annotated[
        list[int] | None, typer.Option(help="Only this item, by its number; any number of times.")
    ] = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Open a run's failed items again and run them: all, or those for which all options hold.

    What was tried as often as its campaign allows (max_attempts), and what ends its workers, is
    left as it is.
    """
    from tasks import runs as tasks

    chosen = {
        "error_class": error_class,
        "reason": reason,
        "older_than_s": None if older_than is None else duration_s(older_than),
        "newer_than_s": None if since is None else duration_s(since),
        "transient": transient,
        "force": force,
        "items": item or None,
    }
    given = {"error-class": error_class, "reason": reason, "older-than": older_than, "since": since}
    flags = {"transient": transient, "force": force}
    with environment() as env:
        tasks.require_run(env, run)
        arguments = [
            "retry", str(run),
            *(f"--{k}={v}" for k, v in given.items() if v is not None),
            *(f"--{k}" for k, v in flags.items() if v),
            *(f"--item={number}" for number in item or ()),
        ]  # fmt: skip

        def start() -> int:
            from flows.retry_failed import retry_failed
            from tasks.flow_runs import run_flow_here

            return run_flow_here(retry_failed, run=run, **chosen)[0]

        execute(env, arguments, wait, as_json, start)
