"""`adloom dashboard`: the ops web page, in this terminal."""

from typing import Annotated

import typer

from cli.console import stdout
from cli.session import environment


def register(app: typer.Typer) -> None:
    """Adds this module's command to the root."""
    app.command("dashboard")(dashboard)


def dashboard(
    host: Annotated[
        str | None, typer.Option(help="Where to listen; else ADLOOM_DASHBOARD_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0: a free one; else ADLOOM_DASHBOARD_PORT."),
    ] = None,
) -> None:
    """Serve the dashboard until told to stop.

    Prints its address and, as long as nobody has an account, a link that signs in once.
    """
    from dashboard.serving import Place, serve
    from services.stack import connect
    from tasks import users
    from tasks.settings import Settings

    settings = Settings.load()
    place = Place(
        host if host is not None else settings.dashboard_host,
        port if port is not None else settings.dashboard_port,
    )
    running = connect(settings)
    with environment() as env:

        def ready(url: str) -> None:
            stdout.print(f"Dashboard: {url}", soft_wrap=True)
            if token := users.first_link(env):
                stdout.print(sign_in_line(url, token), soft_wrap=True)

        serve(env, settings, place, prefect_api_url=running.prefect_api_url, ready=ready)


def sign_in_line(url: str, token: str) -> str:
    return f"Sign in, once, within a quarter of an hour: {url}/sign-in/link?token={token}"
