"""RefAdGen at Stable Diffusion 1.5's shapes: built, saved, loaded, one denoising step.

    python -m benchmarks.sd15_shapes [--device cpu] [--dtype bfloat16] [--folder DIR]

Weights are random: neither memory nor time depends on their values. One product and one canvas of
512x640, both guidance halves. About 5 GB of disk are needed for the saved folder, which is removed.
Peak memory is the process's own (on a GPU also the device's); the last line is JSON.
"""

import argparse
import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models.refadgen.components import parameter_count
from models.refadgen.dtypes import DTYPES, dtype_named
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceUNet
from models.refadgen.resampler import Resampler
from models.refadgen.schedules import own_schedule
from models.refadgen.tokens import word_tokenizer
from models.refadgen.unet import GenerationUNet

WIDTH, HEIGHT = 512, 640
LIMIT_GB = 12
UNET: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
Made = TypeVar("Made")

PROMPT = "a red bottle on a white marble table"


@dataclass(frozen=True)
class Phase:
    """A part of the run, and the process's peak memory at its end."""

    name: str
    seconds: float
    peak_gb: float


@contextmanager
def numbers_in(dtype: torch.dtype) -> Iterator[None]:
    """New networks get their weights in `dtype` from the start."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def build(reference_frame: str = "aligned") -> RefAdGenPipeline:
    """Stable Diffusion 1.5's U-Net twice, its autoencoder and text encoder, CLIP ViT-H/14, and
    IP-Adapter-Plus' Resampler."""
    tokenizer = word_tokenizer(PROMPT.split(), 77)
    return RefAdGenPipeline(
        vae=AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        ),
        tokenizer=tokenizer,
        image_encoder=CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                patch_size=14,
                projection_dim=1024,
                hidden_act="gelu",
            )
        ),
        resampler=Resampler(),
        unet=GenerationUNet(in_channels=5, **UNET),
        reference_unet=ReferenceUNet(in_channels=4, **UNET),
        scheduler=own_schedule(),
        reference_frame=reference_frame,
    )


def one_step(pipeline: RefAdGenPipeline) -> torch.Tensor:
    """Latents after one guided step, references included."""
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., 240:560, 160:352] = 1
    picture = torch.ones(1, 3, HEIGHT, WIDTH)
    picture[..., 240:560, 160:352] = torch.rand(3, 320, 192)
    features = pipeline.encode_references(picture)
    return pipeline.render([PROMPT], [""], features, mask, None, [1], steps=1, decode=False)


def checksums(pipeline: RefAdGenPipeline) -> dict[str, float]:
    """One number per network that changes with any of its weights."""
    return {
        name: sum(float(p.detach().double().abs().sum()) for p in network.parameters())
        for name, network in pipeline.networks.items()
    }


def peak_gb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


class Run:
    """Phases in their order, each timed."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []

    def phase(self, name: str, work: Callable[[], Made]) -> Made:
        started = time.perf_counter()
        made = work()
        self.phases.append(Phase(name, time.perf_counter() - started, peak_gb()))
        last = self.phases[-1]
        print(f"{last.name:8}{last.seconds:8.1f} s   peak {last.peak_gb:5.2f} GB", flush=True)
        return made


def saved(run: Run, folder: Path, dtype: torch.dtype) -> tuple[int, dict[str, float]]:
    """Builds and saves; how many weights there are, and their checksums."""
    with numbers_in(dtype):
        pipeline = run.phase("build", build)
    run.phase("save", lambda: pipeline.save_pretrained(folder))
    return parameter_count(pipeline), checksums(pipeline)


def measure(folder: Path, device: str, dtype: torch.dtype) -> dict[str, Any]:
    run = Run()
    parameters, before = saved(run, folder, dtype)
    gc.collect()
    loaded = run.phase(
        "load", lambda: RefAdGenPipeline.from_pretrained(folder, dtype=dtype).to(device)
    )
    if checksums(loaded) != before:
        raise SystemExit("the loaded weights are not those that were saved")
    loaded.set_progress_bar_config(disable=True)
    latents = run.phase("step", lambda: one_step(loaded))
    return {
        "benchmark": "sd15_shapes",
        "device": device,
        "dtype": str(dtype).removeprefix("torch."),
        "size": [WIDTH, HEIGHT],
        "parameters": parameters,
        "finite": bool(torch.isfinite(latents.float()).all()),
        "peak_gb": round(peak_gb(), 2),
        "device_peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)
        if device.startswith("cuda")
        else None,
        "limit_gb": LIMIT_GB,
        "phases": [asdict(p) for p in run.phases],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=sorted(DTYPES))
    parser.add_argument("--folder", type=Path, help="where to save; default: a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        result = measure(Path(folder), given.device, dtype_named(given.dtype))
    print(json.dumps(result))
    if not result["finite"] or result["peak_gb"] >= LIMIT_GB:
        sys.exit(1)


if __name__ == "__main__":
    main()
