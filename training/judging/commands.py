"""`python -m training evaluate` and `adloom evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Folder = Annotated[Path, typer.Argument(file_okay=False)]


def evaluate(
    model: Folder,
    samples: Annotated[Path, typer.Argument(help="held-out ones of `adprod-mini`")],
    out: Folder,
    scenes: Annotated[
        Path | None, typer.Option(help="training samples: what a scene looks like is learned here")
    ] = None,
    count: Annotated[int, typer.Option(help="samples, at most")] = 64,
    seeds: Annotated[int, typer.Option(help="renders of each")] = 3,
    steps: int = 12,
    guidance: float = 4.0,
    reference_scale: float = 1.0,
    view: Annotated[int, typer.Option(help="0: the reference from the ad's own side")] = 0,
    hub: Annotated[
        list[str] | None,
        typer.Option(help="clip-score, dino, image-reward, lpips; =SOURCE for other weights"),
    ] = None,
) -> None:
    """Judge MODEL's renders of held-out SAMPLES; JSON, a table and a sheet go to OUT."""
    from training.judging.heldout import Sampling
    from training.judging.run import Evaluation, run_evaluation

    how = Sampling(steps, guidance, reference_scale)
    asked = Evaluation(model, samples, out, scenes, count, seeds, view, how, tuple(hub or ()))
    typer.echo(run_evaluation(asked))


def ablate(
    samples: Folder,
    heldout: Folder,
    out: Folder,
    start: Annotated[Path, typer.Option(help="the untrained model that every run starts from")],
    steps: Annotated[int, typer.Option(help="of each run")] = 7000,
    recipe: str = "mini",
    seeds: Annotated[int, typer.Option(help="runs of each kind")] = 3,
    count: int = 64,
    workers: int = 2,
) -> None:
    """Train full, without the mask and without dual augmentation, with the same budget, and judge
    each on HELDOUT; a table with intervals goes to OUT. Goes on where it stopped."""
    from training.judging.ablation import Ablation, run_ablation

    asked = Ablation(samples, heldout, out, start, steps, recipe, seeds, count, workers)
    typer.echo(run_ablation(asked))


def hub_measures(names: Sequence[str]) -> dict[str, Any]:
    """The measures asked for as NAME or NAME=SOURCE, and on stderr why some are not made."""
    from adloom.errors import ModelError
    from training.judging.hub import measure_named

    found: dict[str, Any] = {}
    for asked in names:
        name, _, source = asked.partition("=")
        try:
            found[name] = measure_named(name, source)
        except ModelError as error:
            typer.echo(f"left out: {error}", err=True)
    return found
