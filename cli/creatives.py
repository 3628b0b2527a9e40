"""`adloom creatives …`: what was made."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import JsonOption, emit, stdout, table
from cli.runs import WaitOption, execute
from cli.session import environment

app = typer.Typer(help="Creatives: what was made.", no_args_is_help=True)


@app.command("list")
def list_(
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    run: Annotated[int | None, typer.Option(help="Only this run.", min=1)] = None,
    outcome: Annotated[
        str | None, typer.Option(help="approved, rejected, needs_review, failed, …")
    ] = None,
    product: Annotated[str | None, typer.Option(help="Only this product id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List creatives with their verdicts."""
    from tasks import creatives as tasks

    with environment() as env:
        found = tasks.list_creatives(
            env, campaign=campaign, run=run, outcome=outcome, product=product, limit=limit
        )

    def human() -> None:
        names = ("creative", "product", "scene", "format", "draw", "outcome", "reasons")
        table(None, names, [
            (c.creative, c.external_id, c.scene, c.format, c.draw, c.outcome, ", ".join(c.reasons))
            for c in found
        ])  # fmt: skip

    emit({"creatives": found}, as_json, human)


@app.command("show")
def show(
    creative: Annotated[int, typer.Argument(help="The creative's number.", min=1)],
    as_json: JsonOption = False,
) -> None:
    """Show everything that made one creative."""
    from tasks import creatives as tasks

    with environment() as env:
        found = tasks.show_creative(env, creative)

    def human() -> None:
        for name, value in found.items():
            stdout.print(f"[b]{name:18}[/]", end="")
            stdout.print(str(value), markup=False)

    emit(found, as_json, human)


@app.command("export")
def export(
    run: Annotated[int, typer.Argument(help="The run's number.", min=1)],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    as_json: JsonOption = False,
) -> None:
    """Export a run's approved creatives: images, contact sheet, manifest (written last)."""
    from tasks import export as tasks

    with environment() as env:
        done = tasks.export_run(env, run, folder)

    def human() -> None:
        stdout.print(
            f"{done.images} approved creatives exported to [b]{done.folder}[/]\n"
            f"contact sheet: {done.folder / 'index.html'}"
        )
        if done.withdrawn:
            stdout.print(f"left out: {done.withdrawn} recalled or of products no longer sold")

    emit(done, as_json, human)


@app.command("redraw")
def redraw(
    creative: Annotated[int, typer.Argument(help="The creative's number.", min=1)],
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw a rejected creative once more, beyond the draws of its campaign if need be."""
    from tasks import redrawing as tasks

    with environment() as env:
        tasks.require_rejected(env, creative)

        def start() -> int:
            from flows.redraw import redraw as flow
            from tasks.flow_runs import run_flow_here

            return run_flow_here(flow, creative=creative)

        execute(env, ["creatives", "redraw", str(creative)], wait, as_json, start)
