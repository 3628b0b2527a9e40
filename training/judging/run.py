"""One evaluation, from a model's folder to its report."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.segmentation import MaskExtractor
from training.judging.asked import to_be_had
from training.judging.baselines import BASELINES, STEPS, Baseline, baseline_named
from training.judging.heldout import (
    Sampling,
    Truth,
    filled_silhouettes,
    read_truths,
    render_all,
    round_trips,
)
from training.judging.hub import FID, MEASURES, measure_named, set_features
from training.judging.lite0 import Lite0
from training.judging.measuring import Judges, measure
from training.judging.report import write_comparison, write_report
from training.judging.scene_classifier import learn_scenes

TOLD = ("surface", "light")
SCENE_SAMPLES = 4000
SHEET_ROWS = 12
LEAST_SAMPLES = 2


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
    truths = read_truths(asked.samples, asked.count, asked.view)
    if len(truths) < LEAST_SAMPLES or asked.seeds < 1:
        raise ModelError(
            f"{len(truths)} samples and {asked.seeds} seeds are too few to judge by",
            where=str(asked.samples),
            hint="at least two samples and a seed",
        )
    peers = baselines(asked.peers)
    judges = judges_of(asked.scenes, asked.hub)
    pipeline = load_pipeline(asked.model)
    renders = [render_all(pipeline, truths, seed, asked.how) for seed in range(asked.seeds)]
    columns = {
        "model": measure(judges, truths, renders),
        "round trip": measure(judges, truths, [round_trips(pipeline, truths)]),
        "mean colour": measure(judges, truths, [filled_silhouettes(truths)]),
        "true ad": measure(judges, truths, [[t.ad for t in truths]]),
    }
    for name, peer in peers.items():
        made = [peer.render(truths, seed) for seed in range(asked.seeds)]
        columns[name] = measure(judges, truths, made)
    rows = min(SHEET_ROWS, len(truths))
    write_comparison(asked.out / "sheet.png", truths[:rows], renders[0][:rows], judges.extractor)
    return write_report(asked.out, columns, facts_of(asked, truths))


def load_pipeline(model: Path) -> RefAdGenPipeline:
    """On a GPU where there is one, without progress bars."""
    pipeline = RefAdGenPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device())


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def baselines(asked: Peers) -> dict[str, Baseline]:
    """Those that are to be had."""

    def load(name: str, source: str) -> Baseline:
        return baseline_named(name, source, asked.base, steps=asked.steps, device=device())

    return to_be_had(asked.names, BASELINES, load)


def judges_of(scenes: Path | None, hub: tuple[str, ...] = ()) -> Judges:
    """The networks, and classifiers of scenes learned from training samples."""
    lite0 = Lite0()
    told: dict[str, Any] = {}
    if scenes is not None:
        known = read_truths(scenes, SCENE_SAMPLES)
        pictures, masks = [t.ad for t in known], [t.mask for t in known]
        for what in TOLD:
            told[what] = learn_scenes(lite0, pictures, masks, [t.shown[what] for t in known])
    sets = [name for name in hub if name == FID]
    single = [name for name in hub if name != FID]
    inception = to_be_had(sets, [FID], lambda *_: set_features(device()))
    measures = to_be_had(single, [*MEASURES, FID], partial(measure_named, device=device()))
    return Judges(lite0, MaskExtractor.load(), told, measures, inception.get(FID))


def facts_of(asked: Evaluation, truths: list[Truth]) -> dict[str, Any]:
    """What the report says beside the measures."""
    return {
        "model": asked.model.name,
        "samples": len(truths),
        "seeds": asked.seeds,
        "view": asked.view,
        "steps": asked.how.steps,
        "guidance": asked.how.guidance,
        "families": sorted({t.shown["family"] for t in truths}),
    }
