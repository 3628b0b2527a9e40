"""One evaluation, from a model's folder to its report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.segmentation import MaskExtractor
from training.judging.asked import LeftOut, named
from training.judging.baselines import BASELINES, STEPS, baseline_named
from training.judging.baselines import GUIDANCE as BASELINE_GUIDANCE
from training.judging.frechet import Features
from training.judging.heldout import (
    Sampling,
    Truth,
    filled_silhouettes,
    pasted,
    read_truths,
    render_all,
    round_trips,
)
from training.judging.hub import FID, MEASURES, Measure, measure_named, set_features
from training.judging.lite0 import Lite0
from training.judging.measuring import Judges, measure
from training.judging.report import write_comparison, write_report
from training.judging.scene_classifier import learn_scenes
from training.judging.statistics import Interval

TOLD = ("surface", "light")
SCENE_SAMPLES = 4000
SHEET_ROWS = 12
LEAST_SAMPLES = 2
OF_PLACE = {"identity", "retrieval@1", "matched-patch", "mask IoU", "scene: detail", "lpips"}
"""Measures that look where the product is to stand."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Baselines to judge beside the model, NAME or NAME=SOURCE each; base: their Stable Diffusion
    1.5, the usual one if empty."""

    names: tuple[str, ...] = ()
    base: str = ""
    steps: int = STEPS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is judged by what."""

    model: Path
    samples: Path
    out: Path
    scenes: Path | None = None
    count: int = 64
    seeds: int = 3
    view: int = 0
    how: Sampling = field(default_factory=Sampling)
    hub: tuple[str, ...] = ()
    peers: Peers = field(default_factory=Peers)


def run_evaluation(asked: Evaluation) -> str:
    """Renders, judges, writes the report and the sheet; the table."""
    peers = named(asked.peers.names, BASELINES)
    hub = named(asked.hub, [*MEASURES, FID])
    truths = read_truths(asked.samples, asked.count, asked.view)
    check_enough(truths, asked.seeds, asked.samples)
    left_out = LeftOut()
    judges = judges_of(asked.scenes, hub, left_out)
    pipeline = load_pipeline(asked.model)
    renders = [render_all(pipeline, truths, seed, asked.how) for seed in range(asked.seeds)]
    columns = {
        "model": measure(judges, truths, renders),
        "round trip": measure(judges, truths, [round_trips(pipeline, truths)]),
        "pasted photo": measure(judges, truths, [[pasted(t.ad, t) for t in truths]]),
        "mean colour": measure(judges, truths, [filled_silhouettes(truths)]),
        "true ad": measure(judges, truths, [[t.ad for t in truths]]),
    }
    written = write_report(asked.out, columns, facts_of(asked, truths, left_out))
    rows = min(SHEET_ROWS, len(truths))
    write_comparison(asked.out / "sheet.png", truths[:rows], renders[0][:rows], judges.extractor)
    del pipeline
    for name, source in peers.items():  # one at a time: each is gigabytes
        work = partial(_of_peer, asked, judges, truths, name, source)
        judged = left_out.loaded(name, work)
        if judged is not None:
            columns[name] = judged
        written = write_report(asked.out, columns, facts_of(asked, truths, left_out))
    return written


def check_enough(truths: list[Truth], seeds: int, where: Path | str) -> None:
    """ModelError where there is too little to judge by."""
    if len(truths) < LEAST_SAMPLES or seeds < 1:
        raise ModelError(
            f"{len(truths)} samples and {seeds} seeds are too few to judge by",
            where=str(where),
            hint="at least two samples and a seed",
        )


def _of_peer(
    asked: Evaluation, judges: Judges, truths: list[Truth], name: str, source: str
) -> dict[str, Interval]:
    """A baseline's measures; where the product stands is no question to one that is not told."""
    peers = asked.peers
    peer = baseline_named(name, source, peers.base, steps=peers.steps, device=device())
    found = measure(judges, truths, [peer.render(truths, seed) for seed in range(asked.seeds)])
    return {m: value for m, value in found.items() if peer.is_placed or m not in OF_PLACE}


def load_pipeline(model: Path) -> RefAdGenPipeline:
    """On a GPU where there is one, without progress bars."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device())


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def judges_of(
    scenes: Path | None, hub: Mapping[str, str] | None = None, left_out: LeftOut | None = None
) -> Judges:
    """The networks, those of a `hub` by name and source, and classifiers of scenes learned from
    training samples."""
    left_out = left_out or LeftOut()
    lite0 = Lite0()
    told: dict[str, Any] = {}
    if scenes is not None:
        known = read_truths(scenes, SCENE_SAMPLES)
        pictures, masks = [t.ad for t in known], [t.mask for t in known]
        for what in TOLD:
            told[what] = learn_scenes(lite0, pictures, masks, [t.shown[what] for t in known])
    measures: dict[str, Measure] = {}
    inception: Features | None = None
    for name, source in (hub or {}).items():
        if name == FID:
            inception = left_out.loaded(name, partial(set_features, source, device()))
            continue
        found = left_out.loaded(name, partial(measure_named, name, source, device()))
        if found is not None:
            measures[name] = found
    return Judges(lite0, MaskExtractor.load(), told, measures, inception)


def facts_of(asked: Evaluation, truths: list[Truth], left_out: LeftOut) -> dict[str, Any]:
    """What the report says beside the measures."""
    return {
        "model": asked.model.name,
        "samples": len(truths),
        "seeds": asked.seeds,
        "view": asked.view,
        "steps": asked.how.steps,
        "guidance": asked.how.guidance,
        "families": sorted({t.shown["family"] for t in truths}),
        "hub": list(asked.hub),
        "baselines": asdict(asked.peers) | {"guidance": BASELINE_GUIDANCE},
        "left out": left_out.reasons,
    }
