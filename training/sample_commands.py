"""`python -m training` about samples: drawn, cut from ads, packed to be carried."""

from pathlib import Path
from typing import Annotated

import typer

from training import shards as sample_shards
from training.packing import pack, unpack

Folder = Annotated[Path, typer.Argument(file_okay=False)]


def shards(
    out: Folder,
    count: int = 16000,
    split: str = "train",
    seed: int = 0,
    workers: int = 2,
    scale: Annotated[int, typer.Option(help="1 for 128 px, 2 for 256 px")] = 1,
) -> None:
    """Draw samples with the scene generator into OUT."""
    counts = {
        (w * scale, h * scale): round(count * share)
        for (w, h), share in sample_shards.SHARES.items()
    }
    drawn = sample_shards.draw_shards(
        out, counts, split=split, seed=seed, workers=workers, scale=scale
    )
    for line in drawn:
        typer.echo(line)


def adprod(
    dataset: Folder,
    out: Folder,
    count: int = 16000,
    split: str = "train",
    seed: int = 0,
    annotated_masks: Annotated[
        bool, typer.Option(help="a novel view's own mask, as released, not the ad's")
    ] = False,
    native: Annotated[
        str, typer.Option(help="WxH px, one for all: 512x640 as the paper; else mini's four")
    ] = "",
    frame: Annotated[str, typer.Option(help="canonical, or aligned as the paper")] = "canonical",
) -> None:
    """Cut samples from an AdProd DATASET (`adloom adprod build`) into OUT, as `shards` does."""
    from training.adprod.released import list_triplets
    from training.adprod.samples import write_samples

    listing = list_triplets(dataset, split)
    for name in listing.missing:
        typer.echo(f"missing: {name}", err=True)
    for size, share in ({native_size(native): 1.0} if native else sample_shards.SHARES).items():
        problems = write_samples(
            listing.triplets,
            out,
            size,
            round(count * share),
            seed=seed,
            mask_of="annotated" if annotated_masks else "ad",
            aligned=frame == "aligned",
        )
        for problem in problems:
            typer.echo(f"left out: {problem}", err=True)
        typer.echo(f"{size[0]}x{size[1]}: {round(count * share)} samples")


def native_size(written: str) -> tuple[int, int]:
    """(width, height) px of `512x640`; a usage error for anything else."""
    width, _, height = written.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise typer.BadParameter(f"{written!r} is no size such as 512x640")
    return int(width), int(height)


def pack_samples(samples: Folder, out: Path) -> None:
    """Write SAMPLES to the zip file OUT, pictures as WebP, to carry to another machine."""
    typer.echo(f"{pack(samples, out)} rows, {out.stat().st_size / 1e6:.1f} MB")


def unpack_samples(packed: Path, out: Folder) -> None:
    """Write PACKED samples to the folder OUT."""
    typer.echo(f"{unpack(packed, out)} rows")
