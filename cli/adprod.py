"""`adloom adprod …`: training triplets from ad pictures, after the paper's AdProd-100K."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import JsonOption, emit, stderr, stdout, table

app = typer.Typer(help="Training data: triplets of text, product and ad.", no_args_is_help=True)


@app.command("build")
def build(
    images: Annotated[Path, typer.Argument(help="A folder of ad pictures.")],
    out: Annotated[Path, typer.Argument(help="The data set's folder.")],
    captions: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV or JSON: image, caption, and if known category, product."),
    ] = None,
    captioner: Annotated[
        str | None, typer.Option(help="A vision-language model (folder or hub id) that captions.")
    ] = None,
    extractor: Annotated[
        str, typer.Option(help="u2netp, grounded:DETECTOR,SEGMENTER, or module:factory.")
    ] = "u2netp",
    text: Annotated[
        str, typer.Option(help="Text check: strokes, ocr, none, or module:factory.")
    ] = ("strokes"),
    depth: Annotated[
        str,
        typer.Option(help="A depth model (folder or hub id) for novel views; else silhouettes."),
    ] = "",
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda, cuda:1 …")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    seed: Annotated[int, typer.Option(help="Of all that is drawn at random.")] = 0,
    shorter_px: Annotated[int, typer.Option(help="Least shorter side of a picture.")] = 512,
    keep_px: Annotated[int, typer.Option(help="Shorter side that pictures are kept at.")] = 768,
    confidence: Annotated[float, typer.Option(help="Least confidence of a mask.")] = 0.5,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is on disk.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build triplets from a folder of ads: masks, filters, five variants of each product, split
    nine to one by product. Started again, it goes on where it stopped."""
    from training.adprod.build import Build
    from training.adprod.build import build as run
    from training.adprod.captioning import VisionLanguageCaptioner
    from training.adprod.example import Making
    from training.adprod.filters import Limits

    limits = Limits(shorter_px=shorter_px, confidence=confidence)
    task = Build(
        images, out, captions, extractor, text, depth, device, workers, offline,
        Making(limits, shorter_px=max(keep_px, shorter_px), seed=seed),
    )  # fmt: skip
    model = (
        VisionLanguageCaptioner.load(captioner, device=device, offline=offline)
        if captioner
        else None
    )
    shown = stderr.is_terminal and not as_json
    with stderr.status("looking for pictures") as status:
        report = run(
            task,
            model,
            (lambda done, of: status.update(f"{done} of {of} pictures")) if shown else None,
        )

    def human() -> None:
        stdout.print(f"[b]{report.accepted}[/] of {report.pictures} pictures accepted: {out}")
        rows = [(name, counts) for name, counts in report.left_out.items()]
        if rows:
            table(None, ("left out because", "pictures"), rows)
        splits = ((n, *c.values()) for n, c in report.splits.items())
        table(None, ("split", "products", "pictures", "triplets"), list(splits))

    emit(report, as_json, human)


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="The authors' data set, or one built here.")],
    split: Annotated[str, typer.Option(help="train or test; by default all.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Count the triplets of a folder and name the files that are missing."""
    from training.adprod.released import categories, list_triplets

    found = list_triplets(folder, split)
    counted = dict(categories(found.triplets))

    def human() -> None:
        table(f"{len(found)} triplets", ("category", "triplets"), list(counted.items()))
        for kind, names in (("missing", found.missing), ("no caption", found.uncaptioned)):
            for name in names:
                stdout.print(f"{kind:11}{name}", markup=False)

    emit(
        {
            "triplets": len(found),
            "categories": counted,
            "missing": found.missing,
            "uncaptioned": found.uncaptioned,
        },
        as_json,
        human,
    )
    if found.missing:
        raise typer.Exit(1)
