"""`adloom catalog …`: sources, syncs, products, masks."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

if TYPE_CHECKING:
    from tasks.catalog import ProductLine

app = typer.Typer(help="Catalogue sources and their products.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the source: a-z, 0-9, -.")],
    location: Annotated[
        str,
        typer.Option(
            help="A feed's path, http(s):// or s3:// address; a database's SQLAlchemy URL. "
            "Passwords as ${NAME} (an environment variable) or ${file:/path}."
        ),
    ],
    kind: Annotated[str, typer.Option(help="Kind of source: feed or sql.")] = "feed",
    delta: Annotated[
        bool, typer.Option("--delta", help="The source holds changes, not all products.")
    ] = False,
    mapping: Annotated[
        str | None,
        typer.Option(
            help="Which columns mean what: google (the default), meta, microsoft, openai, or a "
            "YAML file of your own."
        ),
    ] = None,
    table: Annotated[str | None, typer.Option(help="sql: the table or view to read.")] = None,
    query: Annotated[
        str | None, typer.Option(help="sql: the SELECT to read, or @FILE that holds it.")
    ] = None,
    watermark: Annotated[
        str | None,
        typer.Option(help="sql: a column that grows with changes; only rows from it on are read."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An option of this kind of source, such as delimiter=tab; may be repeated. "
            "Without any, a source that is there keeps those it has.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a catalogue source, or change the location and options of one that is there."""
    from tasks import catalog as tasks
    from tasks.source_options import source_options

    options = source_options(
        option or (), mapping=mapping, table=table, query=query, watermark=watermark
    )
    with environment() as env:
        source = tasks.add_source(env, name, kind, location, delta=delta, options=options)
    source = replace(source, location=tasks.shown_location(source.location))
    emit(source, as_json, lambda: stdout.print(f"source [b]{name}[/]: {source.location}"))


@app.command("sync")
def sync(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    allow_shrink: Annotated[
        bool, typer.Option(help="Deactivate missing products even if over 20 %.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the source, store changed products and photos, extract their masks."""
    with environment():
        from flows.sync_catalog import sync_catalog
        from tasks.flow_runs import run_flow_here

        (report,) = run_flow_here(sync_catalog, source=name, allow_shrink=allow_shrink)

    def human() -> None:
        c = report.counts
        if report.unchanged:
            stdout.print("the source has not changed since the last sync; no row was read")
        stdout.print(
            f"{c.rows} rows: {c.added} added, {c.changed} changed, {c.unchanged} unchanged, "
            f"{c.rejected} rejected; {c.deactivated} products deactivated"
        )
        stdout.print(
            f"photos: {c.photos_new} new, {c.photos_rejected} refused; "
            f"cutouts: {report.cutouts} new, {report.cutouts_doubtful} of low confidence"
        )
        if report.problems:
            table("What was refused", ("where", "product", "reason", "detail"), [
                (p.where, p.external_id, p.reason, p.detail) for p in report.problems
            ])  # fmt: skip

    emit(report, as_json, human)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    limit: Annotated[int, typer.Option(min=1, help="At most this many products.")] = 50,
    problems: Annotated[bool, typer.Option("--problems", help="Only products with some.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a source's products, their photos, masks and problems."""
    from tasks import catalog as tasks

    with environment() as env:
        products = tasks.show_products(env, name, limit=limit, only_problems=problems)

    def human() -> None:
        table(f"Products of {name}", ("id", "title", "category", "photos", "mask", "problems"), [
            (p.external_id, p.title, p.category, _photos(p), p.mask, "; ".join(p.problems))
            for p in products
        ])  # fmt: skip

    emit({"source": name, "products": products}, as_json, human)


def _photos(product: "ProductLine") -> str:
    """How many, and which variants show the main one too: `2, the first as 3 others of size`."""
    shared = product.shared_photo
    if shared is None:
        return str(product.photos)
    others = f"{shared.products - 1} other{'s' if shared.products > 2 else ''}"
    by = f" of {', '.join(shared.differ_by)}" if shared.differ_by else ""
    return f"{product.photos}, the first as {others}{by}"


@app.command("mask")
def mask(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    product: Annotated[str, typer.Argument(help="The product's id in the feed.")],
    file: Annotated[
        Path, typer.Argument(help="A grey picture of the photo's size; white: product.")
    ],
    role: Annotated[str, typer.Option(help="Which photo: main or additional.")] = "main",
    as_json: JsonOption = False,
) -> None:
    """Give a product's photo a mask of your own; it overrides the extracted one."""
    from tasks import masks as tasks

    with environment() as env:
        cutout = tasks.set_mask_file(env, name, product, file, role=role).cutout
    emit(cutout, as_json, lambda: stdout.print(
        f"mask of [b]{product}[/] set; {100 * cutout.area_fraction:.0f} % of the photo is product"
    ))  # fmt: skip
