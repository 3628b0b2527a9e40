"""How far half precision is from float32, on one device: one guided render of the same noise.

    python -m benchmarks.precision --shapes sd15 --device cuda     # bfloat16 against float32

Latents are compared, after a few steps, as a share of the float32 latents' deviation. Random
weights; exits 1 beyond --limit, or where a value is not finite.
"""

import argparse
import json
import sys

import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor

from benchmarks.refadgen_contenders import Job, masks_and_frames, pictures
from benchmarks.refadgen_shapes import BY_NAME, PROMPT, build
from models.refadgen.dtypes import DTYPES
from models.refadgen.pipeline import RefAdGenPipeline


def rendered(pipeline: RefAdGenPipeline, job: Job) -> Tensor:
    """Latents (1, C, h, w) of one picture, float32 on the CPU."""
    masks, frames = masks_and_frames(job, 1)
    features = pipeline.encode_references(pictures(job, 1, pipeline.device))
    made = pipeline.render(
        [PROMPT], [""], features, masks, frames, [0], steps=job.steps,
        guidance_scale=job.guidance, decode=False,
    )  # fmt: skip
    return made.float().cpu()


def difference(a: Tensor, b: Tensor) -> float:
    """Root mean square of a - b over the deviation of b."""
    return float((a - b).square().mean().sqrt() / b.std())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", choices=sorted(BY_NAME), default="mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bfloat16")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--limit", type=float, default=0.1)
    options = parser.parse_args()
    diffusers_logging.set_verbosity_error()
    shapes = BY_NAME[options.shapes]
    job = Job(shapes, options.steps, 4.0)
    pipeline = build(shapes, options.device, torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    exact = rendered(pipeline, job)
    half = rendered(pipeline.to(dtype=DTYPES[options.dtype]), job)  # the same weights, rounded
    off = difference(half, exact)
    print(f"{shapes.described}, {options.dtype} on {options.device}: off by {off:.4f} of the "
          f"deviation of float32's latents after {options.steps} steps")  # fmt: skip
    print(
        json.dumps(
            {
                "benchmark": "precision",
                "shapes": shapes.name,
                "device": options.device,
                "dtype": options.dtype,
                "difference": off,
                "limit": options.limit,
            }
        )
    )
    sys.exit(not off <= options.limit)


if __name__ == "__main__":
    main()
