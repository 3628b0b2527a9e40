"""`adloom scenes …`: scene templates."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

app = typer.Typer(help="Scene templates.", no_args_is_help=True)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the scene templates, newest version of each."""
    from tasks import scenes as tasks

    with environment() as env:
        scenes = tasks.list_scenes(env)

    def human() -> None:
        table(None, ("slug", "version", "title", "categories", "tags"), [
            (s.slug, s.version, s.title, ", ".join(s.categories) or "all", ", ".join(s.tags))
            for s in scenes
        ])  # fmt: skip

    emit({"scenes": scenes}, as_json, human)


@app.command("show")
def show(
    slug: Annotated[str, typer.Argument(help="The template's slug.")], as_json: JsonOption = False
) -> None:
    """Show one scene template in full."""
    from tasks import scenes as tasks

    with environment() as env:
        scene = tasks.show_scene(env, slug)

    def human() -> None:
        place, sampler = scene.placement, scene.sampler
        stdout.print(f"[b]{scene.slug}[/] version {scene.version}: {scene.title}")
        stdout.print(f"prompt     {scene.prompt}", markup=False)
        stdout.print(f"negative   {scene.negative_prompt}", markup=False)
        stdout.print(
            f"placement  {place.anchor.value} at x {place.center_x}, y {place.baseline_y}; "
            f"fits in {place.max_width} × {place.height} of the canvas"
        )
        stdout.print(
            f"sampler    {sampler.name}, {sampler.steps} steps, guidance {sampler.guidance}, "
            f"reference scale {sampler.reference_scale}"
        )

    emit(scene, as_json, human)


@app.command("add")
def add(
    pack: Annotated[Path, typer.Argument(help="A scene pack (YAML).")], as_json: JsonOption = False
) -> None:
    """Add a scene pack, or new versions of its templates."""
    from tasks import scenes as tasks

    with environment() as env:
        added = tasks.add_pack(env, pack)
    emit(added, as_json, lambda: stdout.print(
        f"pack [b]{added.pack}[/]: {added.added} templates added, {added.unchanged} unchanged"
    ))  # fmt: skip
