"""`adloom weights …`: what is there, what it is, whether it may be used; imports."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import JsonOption, emit, stdout, table

app = typer.Typer(help="Model weights: origin, licence, imports.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A folder below the weights' root, or a path.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the weights with hash, licence, origin, and whether they may be used commercially."""
    from tasks import weights as tasks
    from tasks.settings import Settings

    found = tasks.list_weights(Settings.load().weights)

    def human() -> None:
        table(None, ("weights", "hash", "MB", "licence", "origin", "commercial use"), [
            (
                w.name,
                w.weights_hash[:12],
                round(w.size_bytes / 1e6),
                ", ".join(dict.fromkeys(p.licence or "unstated" for p in w.parts)) or "unstated",
                ", ".join(dict.fromkeys(p.origin for p in w.parts)) or "unstated",
                "; ".join(w.obstacles) or "yes",
            )
            for w in found
        ])  # fmt: skip

    emit({"weights": found}, as_json, human)


@app.command("verify")
def verify(name: Name, as_json: JsonOption = False) -> None:
    """Hash every file of the weights and compare with their bill of materials."""
    from tasks import weights as tasks
    from tasks.settings import Settings

    found = tasks.verify_weights(name, Settings.load().weights)

    def human() -> None:
        if found.holds:
            stdout.print(f"[b]{found.name}[/] {found.weights_hash[:12]}: {found.files} files hold")
        for kind in ("missing", "changed", "unlisted"):
            for path in getattr(found.differences, kind):
                stdout.print(f"{kind:9}{path}", markup=False)

    emit(found, as_json, human)
    if not found.holds:
        raise typer.Exit(1)


@app.command("declare")
def declare(
    name: Name,
    origin: Annotated[str, typer.Option(help="Where they come from.")],
    licence: Annotated[str | None, typer.Option(help="SPDX name of their licence.")] = None,
    commercial: Annotated[
        bool | None,
        typer.Option(
            "--commercial/--no-commercial", help="Whether it allows commercial use, if not by name."
        ),
    ] = None,
    component: Annotated[
        list[str] | None, typer.Option(help="Only this component (repeatable); else all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """State origin and licence of weights, and the hashes of their files, on their bill."""
    from tasks import weights as tasks
    from tasks.settings import Settings

    shown = tasks.declare_weights(
        name,
        Settings.load().weights,
        origin=origin,
        licence=licence,
        commercial_use=commercial,
        only=component or (),
    )
    emit(shown, as_json, lambda: _print(shown.name, shown.obstacles))


@app.command("import")
def import_(
    checkpoint: Annotated[
        str, typer.Argument(help="The released checkpoint: file, folder or hub id.")
    ],
    base: Annotated[str, typer.Option(help="Stable Diffusion: U-Net configuration and tokenizer.")],
    text_encoder: Annotated[
        str, typer.Option(help="Whose text encoder to use; it is not in the checkpoint.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    vae: Annotated[str, typer.Option(help="The autoencoder.")] = "stabilityai/sd-vae-ft-mse",
    image_encoder: Annotated[str, typer.Option(help="The image encoder.")] = "h94/IP-Adapter",
    dtype: Annotated[str, typer.Option(help="float16, bfloat16 or float32.")] = "float16",
    licence: Annotated[
        str | None, typer.Option(help="SPDX name of the checkpoint's licence, if known.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is on disk.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the authors' released checkpoint as a diffusers-format folder.

    No pickled code runs; keys that are missing, surplus or of another shape are listed by name.
    """
    from tasks import weights as tasks

    release = tasks.Release(checkpoint, base, text_encoder, vae, image_encoder, licence)
    shown = tasks.import_release(release, out, dtype, offline=offline)
    emit(shown, as_json, lambda: _print(shown.path, shown.obstacles))


def _print(what: str, obstacles: tuple[str, ...]) -> None:
    stdout.print(f"[b]{what}[/]: bill of materials written")
    for line in obstacles:
        stdout.print(f"not known to be free for commercial use: {line}", markup=False)
