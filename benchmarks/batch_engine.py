"""What the batch engine keeps, and what that saves: bytes and times per product and per prompt.

    python -m benchmarks.batch_engine [--images 8] [--steps 20]

`mini` on this machine's CPU in float32; Stable Diffusion 1.5 counted on shapes alone. The last line
is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from adloom.geometry import Box
from benchmarks.sd15_shapes import HEIGHT, UNET, WIDTH
from models.refadgen.caches import MB
from models.refadgen.engine import BatchEngine
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceUNet, reference_features
from models.refadgen.render_items import RenderItem
from models.refadgen.unet import GenerationUNet

MINI = Path(__file__).parents[1] / "weights" / "mini"
PROMPT = "a red bottle on a white marble table, soft morning light"
NEGATIVE = "blurry product, text, watermark"
MICRO_BATCH = 4


def counted_sd15_bytes(dtype: torch.dtype = torch.bfloat16) -> int:
    """Of one product's K_ref and V_ref, both guidance halves, aligned at 512x640."""
    with torch.device("meta"):
        unet = GenerationUNet(in_channels=5, **UNET).to(dtype)
        reference_unet = ReferenceUNet(**UNET).to(dtype)
        latent = torch.empty(1, 4, HEIGHT // 8, WIDTH // 8, dtype=dtype)
        tokens = torch.empty(1, 16, UNET["cross_attention_dim"], dtype=dtype)
        with torch.no_grad():
            return reference_features(reference_unet, unet, latent, (tokens, tokens)).nbytes


def items(count: int, steps: int) -> list[RenderItem]:
    """Two products in turns of four, one prompt, a seed each."""
    mask = np.zeros((160, 128), np.uint8)
    mask[60:140, 40:88] = 255
    frame = Box(40, 60, 48, 80).product_frame
    return [
        RenderItem(f"product-{i // MICRO_BATCH % 2}", PROMPT, NEGATIVE, mask, frame, i, steps)
        for i in range(count)
    ]


def seconds_per_image(engine: BatchEngine, work: list[RenderItem]) -> float:
    rng = np.random.default_rng(0)
    pictures = {i.reference: rng.integers(0, 256, (128, 128, 3), np.uint8) for i in work}
    started = time.perf_counter()
    made = list(engine.render(work, pictures.__getitem__, MICRO_BATCH))
    return (time.perf_counter() - started) / len(made)


def best_ms(call: Callable[[], object], rounds: int = 5) -> float:
    times: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    asked = parser.parse_args()
    pipeline = RefAdGenPipeline.from_pretrained(str(MINI))
    pipeline.set_progress_bar_config(disable=True)
    picture = torch.rand(1, 3, pipeline.reference_size, pipeline.reference_size)
    work = items(asked.images, asked.steps)
    warm = BatchEngine(pipeline, 256 * MB)
    seconds_per_image(warm, work[:MICRO_BATCH])
    figures = {
        "mini_product_mb": pipeline.encode_references(picture).nbytes / MB,
        "mini_product_ms": best_ms(lambda: pipeline.encode_references(picture)),
        "mini_prompt_kb": pipeline.encode_prompts([PROMPT]).nbytes / 1024,
        "mini_prompt_ms": best_ms(lambda: pipeline.encode_prompts([PROMPT])),
        "sd15_product_mb": counted_sd15_bytes() / MB,
        "sd15_prompt_kb": 77 * UNET["cross_attention_dim"] * 2 / 1024,
        "image_ms_kept": 1000 * seconds_per_image(warm, work),
        "image_ms_nothing_kept": 1000 * seconds_per_image(BatchEngine(pipeline, 0), work),
    }
    for name, value in figures.items():
        print(f"{name:24}{value:10.2f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
