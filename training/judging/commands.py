"""`python -m training evaluate` (also `adloom evaluate`), `ablate`, `joins` and `showcase`."""

from pathlib import Path
from typing import Annotated

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
        typer.Option(help="clip-score, dino, fid, image-reward, lpips, mp-lpips; or =SOURCE"),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="ip-adapter, controlnet, t2i-adapter, instruct-pix2pix; or =SOURCE"),
    ] = None,
    base: Annotated[str, typer.Option(help="the Stable Diffusion 1.5 of baselines")] = "",
    baseline_steps: int = 50,
) -> None:
    """Judge MODEL's renders of held-out SAMPLES; JSON, a table and a sheet go to OUT."""
    from training.judging.heldout import Sampling
    from training.judging.run import Evaluation, Peers, run_evaluation

    how = Sampling(steps, guidance, reference_scale)
    peers = Peers(tuple(baseline or ()), base, baseline_steps)
    asked = Evaluation(
        model, samples, out, scenes, count, seeds, view, how, tuple(hub or ()), peers
    )
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


def joins(
    model: Folder,
    samples: Annotated[Path, typer.Argument(help="of `adprod-mini`, held out")],
    out: Folder,
    also: Annotated[list[Path] | None, typer.Option(help="a further folder of samples")] = None,
    count: Annotated[int, typer.Option(help="samples of each folder, at most")] = 64,
    seeds: int = 3,
    steps: int = 12,
) -> None:
    """How finished pictures join product and scene, beside the photo pasted on a background:
    errors of seam and contact shadow against the true ads, and a picture, go to OUT."""
    from training.judging.heldout import Sampling
    from training.judging.joining import Joining, run_joining

    folders = (samples, *(also or ()))
    typer.echo(run_joining(Joining(model, folders, out, count, seeds, Sampling(steps))))


def showcase(
    model: Folder,
    out: Annotated[Path, typer.Argument(help="a picture")],
    samples: Annotated[Path | None, typer.Option(help="of `adprod-mini`, held out")] = None,
    photos: Annotated[Path | None, typer.Option(help="product photos, with --alphas")] = None,
    alphas: Annotated[Path | None, typer.Option(help="their masks, NAME.png each")] = None,
    count: Annotated[int, typer.Option(help="products")] = 8,
) -> None:
    """A sheet of products, the raw renders and the finished ones in six scenes each."""
    from training.judging import showcase as sheets

    if samples is not None and photos is None and alphas is None:
        products = sheets.products_of_samples(samples, count)
    elif samples is None and photos is not None and alphas is not None:
        products = sheets.products_of_photos(photos, alphas, count)
    else:
        raise typer.BadParameter("give either --samples, or --photos and --alphas")
    sheets.write_showcase(model, out, products)
