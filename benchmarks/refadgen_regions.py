"""What it is worth to sample the product and its scene differently (`models.refadgen.regions`).

    python -m training adprod-mini HELDOUT --count 64 --split heldout-families --size 256 --seed 11
    python -m benchmarks.refadgen_regions HELDOUT [--scenes TRACED] [--weights weights/mini-256]

Each row renders the same held-out samples from the same seeds; measures as `training evaluate` has
them. The first row samples all alike; each of the others changes one thing more.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from models.refadgen.pipeline import RefAdGenPipeline
from training.judging.heldout import SAMPLED_ALIKE, Sampling, Truth, read_truths, render_all
from training.judging.measuring import Judges, measure
from training.judging.run import check_enough, judges_of, load_pipeline

ALIKE: Final[dict[str, Any]] = {"noise_scale": 0.85, "detail_below": 0.0, **SAMPLED_ALIKE}
SHOWN: Final = ("identity", "retrieval@1", "scene: surface", "scene: light", "KID-EffLite0")
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "all alike, noise 0.85": {},
    "noise 1": {"noise_scale": 1.0},
    "product: noise 0.85": {"product_noise_scale": 0.85},
    "product: guidance 0.2": {"product_guidance": 0.2},
    "scene: η 0.6": {"scene_eta": 0.6},
    "scene: η 1": {"scene_eta": 1.0},
    "a third of the guidance below 0.5": {"detail_guidance": 1 / 3, "detail_below": 0.5},
}


def row_of(
    pipeline: RefAdGenPipeline,
    judges: Judges,
    truths: list[Truth],
    settings: dict[str, Any],
    how: Sampling,
    seeds: int,
) -> dict[str, str]:
    """Measures with their intervals, of renders under the settings."""
    pipeline.register_to_config(**settings)
    found = measure(judges, truths, [render_all(pipeline, truths, s, how) for s in range(seeds)])
    return {name: str(found[name]) for name in SHOWN if name in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--weights", type=Path, default=Path("weights/mini-256"))
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    asked = parser.parse_args()
    truths = read_truths(asked.samples, asked.count)
    check_enough(truths, asked.seeds, asked.samples)
    judges = judges_of(asked.scenes)
    pipeline = load_pipeline(asked.weights)
    how = Sampling(asked.steps, asked.guidance)
    settings = dict(ALIKE)
    for name, changed in CHANGES.items():
        settings |= changed
        row = row_of(pipeline, judges, truths, settings, how, asked.seeds)
        print(json.dumps({"sampled": name, **row}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
