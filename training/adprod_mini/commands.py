"""`python -m training adprod-mini`."""

from pathlib import Path
from typing import Annotated

import typer


def adprod_mini(
    out: Annotated[Path, typer.Argument(file_okay=False)],
    count: Annotated[int, typer.Option(help="ads")] = 500,
    views: Annotated[int, typer.Option(help="references per ad, the first from its own side")] = 2,
    size: Annotated[int, typer.Option(help="px of references; native sizes grow along")] = 128,
    split: Annotated[str, typer.Option(help="train, heldout-families or heldout-scenes")] = "train",
    heldout: Annotated[
        int, typer.Option(help="ads of each held-out split, in folders of OUT of their names")
    ] = 0,
    seed: int = 0,
    workers: int = 2,
    samples: Annotated[int, typer.Option(help="of light per pixel")] = 8,
    silhouette: Annotated[
        int | None, typer.Option(help="a number: all products share one shape of that number")
    ] = None,
    hdri: Annotated[Path | None, typer.Option(help="a folder of HDRIs to light scenes by")] = None,
    variant: Annotated[str, typer.Option(help="mitsuba's; scalar_rgb if none is given")] = "",
) -> None:
    """Render samples of AdProd-mini into OUT, as `shards` draws them, and beside them what is never
    trained on. Goes on where it stopped."""
    from training.adprod_mini.variants import choose_variant

    variant = choose_variant(variant)
    from training.adprod_mini.dataset import make_dataset
    from training.adprod_mini.lights import find_hdris
    from training.adprod_mini.photograph import Quality
    from training.adprod_mini.samples import Recipe, check_recipe
    from training.adprod_mini.scenes import Split, split_named

    quality = Quality(samples, max(2, samples // 2))
    lit = find_hdris(hdri)
    wanted = [(out, split, count)]
    if heldout:
        wanted += [(out / s, s, heldout) for s in (Split.HELDOUT_FAMILIES, Split.HELDOUT_SCENES)]
    for folder, part, ads in wanted:
        recipe = Recipe(seed, split_named(part), views, size, quality, lit, silhouette)
        check_recipe(recipe)
        for line in make_dataset(folder, recipe, ads, workers, variant):
            typer.echo(line)


def show_samples(
    samples: Annotated[Path, typer.Argument(file_okay=False)],
    out: Path,
    rows: Annotated[int, typer.Option(help="ads, spread over all")] = 24,
    columns: int = 4,
) -> None:
    """Write ads of SAMPLES, each beside its references, into the picture OUT."""
    import numpy as np

    from training.shards import read_shards
    from training.sheets import write_rows

    shown: list[list[np.ndarray]] = []
    for shard in read_shards(samples):
        ads: dict[bytes, list[np.ndarray]] = {}
        for ad, product in zip(shard.ads, shard.products, strict=True):
            ads.setdefault(ad.tobytes(), [np.array(ad)]).append(np.array(product))
        shown += ads.values()
    chosen = np.linspace(0, len(shown) - 1, min(rows, len(shown))).round().astype(int)
    write_rows([shown[i] for i in chosen], out, columns)
