"""`adloom cutouts …`: product masks that users give, and their versions."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from adloom.records import MaskVersion
from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

app = typer.Typer(help="Product masks of your own, versioned.", no_args_is_help=True)

SourceArgument = Annotated[str, typer.Argument(help="Name of the source.")]
ProductArgument = Annotated[str, typer.Argument(help="The product's id in the feed.")]
RoleOption = Annotated[str, typer.Option(help="Which photo: main or additional.")]
NoteOption = Annotated[str, typer.Option(help="Why, for the history.")]


@app.command("set")
def set_(
    source: SourceArgument,
    product: ProductArgument,
    file: Annotated[
        Path, typer.Argument(help="A grey picture of the photo's size; white: product.")
    ],
    role: RoleOption = "main",
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give a product's photo a mask of your own; it overrides the extracted one."""
    from tasks import masks as tasks

    with environment() as env:
        version = tasks.set_mask_file(
            env, source, product, file, role=role, given_by=getpass.getuser(), note=note
        )
    emit(version, as_json, lambda: _say(product, version))


@app.command("import")
def import_(
    source: SourceArgument,
    folder: Annotated[
        Path,
        typer.Argument(help="PRODUCT.png, PRODUCT@additional.png or PHOTO-SHA256.png, any number."),
    ],
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give many photos masks of your own. Files that cannot be used are listed, the rest is set."""
    from tasks import masks as tasks

    with environment() as env:
        done = tasks.import_masks(env, source, folder, given_by=getpass.getuser(), note=note)

    def human() -> None:
        stdout.print(f"{done.new} new, {done.unchanged} unchanged, {len(done.refused)} refused")
        if done.refused:
            table("What was refused", ("file", "why"), [(r.file, r.detail) for r in done.refused])

    emit(done, as_json, human)


@app.command("history")
def history(
    source: SourceArgument,
    product: ProductArgument,
    role: RoleOption = "main",
    as_json: JsonOption = False,
) -> None:
    """Show the masks that a product's photo was given."""
    from tasks import masks as tasks

    with environment() as env:
        versions = tasks.history(env, tasks.photo_of(env, source, product, role))

    def human() -> None:
        table(f"Masks of {product}", ("version", "given", "by", "note", "state"), [
            (v.number, f"{v.created_at:%Y-%m-%d %H:%M}", v.given_by, v.note, _state(v))
            for v in versions
        ])  # fmt: skip

    emit({"product": product, "versions": versions}, as_json, human)


@app.command("revert")
def revert(
    source: SourceArgument,
    product: ProductArgument,
    version: Annotated[
        int, typer.Argument(min=0, help="The version to go back to; 0: the extracted mask.")
    ],
    role: RoleOption = "main",
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier mask; nothing is lost of the later ones."""
    from tasks import masks as tasks

    with environment() as env:
        photo = tasks.photo_of(env, source, product, role)
        if version == 0:
            withdrawn = tasks.withdraw(env, photo)
            emit({"product": product, "withdrawn": withdrawn}, as_json, lambda: stdout.print(
                f"[b]{product}[/] has its extracted mask" + ("" if withdrawn else ", as before")
            ))  # fmt: skip
            return
        now = tasks.revert(env, photo, version, given_by=getpass.getuser(), note=note)
    emit(now, as_json, lambda: _say(product, now))


def _say(product: str, version: MaskVersion) -> None:
    share = 100 * version.cutout.area_fraction
    stdout.print(f"mask of [b]{product}[/] set, version {version.number}; {share:.0f} % is product")


def _state(version: MaskVersion) -> str:
    if version.is_current:
        return "in use"
    return "withdrawn" if version.withdrawn_at else ""
