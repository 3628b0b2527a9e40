"""`adloom worker | workers`: the processes of the fleet."""

import os
import socket
from typing import Annotated

import typer

from cli.console import JsonOption, emit, stderr, table
from cli.session import environment


def register(app: typer.Typer) -> None:
    """Adds this module's commands to the root."""
    for function in (worker, workers):
        app.command(function.__name__)(function)


def worker(
    pool: Annotated[str, typer.Option(help="The work pool: gpu renders, control runs flows.")],
    device: Annotated[str | None, typer.Option(help="Such as cuda:0; else ADLOOM_DEVICE.")] = None,
    name: Annotated[
        str | None, typer.Option(help="A name of its own on this machine; else pool and device.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Flow runs at a time; else 2 for gpu (one prepares), 14."),
    ] = None,
    hand_back: Annotated[
        bool, typer.Option("--hand-back", help="When told to stop, hand back what renders.")
    ] = False,
    health_host: Annotated[
        str, typer.Option(help="Where /health and /metrics are served; 0.0.0.0: to all machines.")
    ] = "127.0.0.1",
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="For /health and /metrics; 0: a free one.")
    ] = 0,
    max_growth_mb: Annotated[
        int, typer.Option(min=0, help="Replace the process when its memory grew by this; 0: never.")
    ] = 4000,
) -> None:
    """Work for a pool until told to stop: SIGTERM lets it finish, a second one stops it at once.

    This process starts the one that works, and a new one whenever that has to be replaced.
    """
    from services.exporter import is_open_to_others
    from services.stack import connect
    from tasks.fleet import AT_ONCE, GPU_POOL
    from tasks.settings import Settings
    from workers.supervisor import Supervisor, WorkerOptions, only_one

    given = {"device": device} if device else {}
    settings = Settings.load(**given)
    running = connect(settings)
    options = WorkerOptions(
        name=name or f"{socket.gethostname()}-{pool}-{settings.device.replace(':', '-')}",
        pool=pool,
        limit=limit or AT_ONCE.get(pool, AT_ONCE[GPU_POOL]),
        hand_back=hand_back,
        health_host=health_host,
        health_port=health_port,
        max_growth_mb=max_growth_mb,
    )
    env = {**os.environ, **running.worker_environment, "ADLOOM_DEVICE": settings.device}
    if is_open_to_others(health_host):
        stderr.print(
            f"whoever reaches {health_host} reads this worker's state and metrics; no secrets",
            soft_wrap=True,
        )
    with only_one(options.name, settings.home / "workers"):
        raise typer.Exit(Supervisor(options.argv(), env).run())


def workers(as_json: JsonOption = False) -> None:
    """List the workers of all machines: what they do and when they were last heard of."""
    from tasks import fleet

    with environment() as env:
        found = fleet.listed(env)

    def human() -> None:
        names = (
            "worker",
            "pool",
            "host",
            "device",
            "state",
            "batches",
            "renders",
            "busy",
            "version",
        )
        table(None, names, [
            (w.name, w.pool, w.host, w.device, w.state.value if w.alive else "gone",
             w.stats.get("batches", 0), w.stats.get("renders", 0),
             f"{100 * w.stats.get('busy_share', 0.0):.0f} %", w.version)
            for w in found
        ])  # fmt: skip

    emit({"workers": found}, as_json, human)
