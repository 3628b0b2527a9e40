"""`adloom`: the entry point and the commands that concern the whole installation."""

import os
import sys
from typing import Annotated

import typer

from adloom import __version__
from adloom.errors import AdloomError
from cli import (
    adprod,
    campaigns,
    catalog,
    creatives,
    cutouts,
    dashboard,
    metrics,
    recalls,
    retries,
    runs,
    scenes,
    stack,
    users,
    weights,
    workers,
)
from cli.console import EXIT_CODES, report
from tasks.logs import configure
from tasks.settings import Settings
from training.judging.commands import evaluate

app = typer.Typer(
    name="adloom",
    help="Turns a product catalogue into approved ad creatives.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(catalog.app, name="catalog")
app.add_typer(cutouts.app, name="cutouts")
app.add_typer(scenes.app, name="scenes")
app.add_typer(campaigns.app, name="campaign")
app.add_typer(creatives.app, name="creatives")
app.add_typer(weights.app, name="weights")
app.add_typer(adprod.app, name="adprod")
app.add_typer(users.app, name="user")
app.command("evaluate")(evaluate)
stack.register(app)
runs.register(app)
retries.register(app)
recalls.register(app)
workers.register(app)
metrics.register(app)
dashboard.register(app)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    if version:
        sys.stdout.write(f"adloom {__version__}\n")
        raise typer.Exit


def _log_format() -> str:
    """That of the settings; that of people where these are unusable, which the command will say."""
    try:
        return Settings.load().log_format
    except AdloomError:
        return "text"


def main() -> None:
    """Runs the command line; a user's mistake ends in one clear line and a documented exit code."""
    try:
        configure(_log_format())
        app()
    except AdloomError as error:
        if os.environ.get("ADLOOM_DEBUG"):
            raise
        sys.exit(report(error))


if __name__ == "__main__":
    main()
