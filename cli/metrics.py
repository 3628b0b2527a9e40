"""`adloom metrics`: the fleet in numbers, for Prometheus."""

import signal
import threading
from typing import Annotated

import typer

from cli.console import stderr
from cli.session import environment


def register(app: typer.Typer) -> None:
    """Adds this module's command to the root."""
    app.command("metrics")(metrics)


def metrics(
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0: for all machines.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Else ADLOOM_METRICS_PORT; 0: a free one."),
    ] = None,
) -> None:
    """Serve the fleet's metrics for Prometheus at /metrics until told to stop."""
    from services.exporter import is_open_to_others, metrics_page
    from tasks.metrics import FleetWatch
    from tasks.settings import Settings

    settings = Settings.load()
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    price = settings.hourly_price()
    wanted = settings.metrics_port if port is None else port
    with (
        environment() as env,
        metrics_page(FleetWatch(env), env.workspace, price, host=host, port=wanted) as served,
    ):
        stderr.print(f"metrics: http://{host}:{served}/metrics", soft_wrap=True)
        if is_open_to_others(host):
            stderr.print(
                f"whoever reaches {host}:{served} reads names of campaigns and workers, counts and "
                "costs; no passwords, no products",
                soft_wrap=True,
            )
        told_to_stop.wait()
