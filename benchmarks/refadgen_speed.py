"""RefAdGen's speed against the released way, plain text-to-image and the hardware's floor.

    python -m benchmarks.refadgen_speed                              # mini on this CPU
    python -m benchmarks.refadgen_speed --levers all                 # and each lever by itself
    python -m benchmarks.refadgen_speed --shapes sd15 --device cuda --dtype bfloat16 \
        --batches 1,8,16,32                                          # a GPU at SD1.5's shapes

Weights are random. Contenders take turns in every round; times are those of the fastest round,
which other work on the machine disturbs least (the median stands beside them). They hold everything
from prompt and picture to decoded pixels, but for `ours`, whose product's references are cached
(`ours, new products` encodes them too). SD1.5's shapes take aligned
references of the canvas' size, as the paper does. Peak memory includes the networks of all
contenders: RefAdGen's and the plain U-Net lie in it together.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from diffusers.utils import logging as diffusers_logging

from adloom.render_spec import Shortcuts
from benchmarks import refadgen_contenders as contenders
from benchmarks.refadgen_contenders import Job, Lever, Render
from benchmarks.refadgen_limits import flops, matrix_rate, synchronize
from benchmarks.refadgen_shapes import BY_NAME, build
from benchmarks.sd15_shapes import peak_gb
from models.device import keep_freed_memory
from models.refadgen.acceleration import NONE, Acceleration
from models.refadgen.dtypes import DTYPES
from models.refadgen.pipeline import RefAdGenPipeline

OURS, COLD, RELEASED, PLAIN = "ours", "ours, new products", "released way", "plain SD"
MAKERS: dict[str, Callable[[RefAdGenPipeline, Job], Render]] = {
    OURS: contenders.ours,
    COLD: contenders.ours_cold,
    RELEASED: contenders.released,
    PLAIN: contenders.plain,
}
LEVERS: dict[str, Lever] = {
    "channels last": Lever(Acceleration(channels_last=True)),
    "compiled": Lever(Acceleration(compile="default")),
    "channels last, compiled": Lever(Acceleration(True, "default")),
    "channels last, autotuned": Lever(Acceleration(True, "max-autotune-no-cudagraphs")),
    "CUDA graphs": Lever(Acceleration(compile="reduce-overhead")),
    "product tokens only": Lever(options={"shortcuts": Shortcuts(product_tokens_only=True)}),
    "guidance above 0.3": Lever(options={"shortcuts": Shortcuts(guided_above=0.3)}),
    "deep features every 2nd step": Lever(options={"shortcuts": Shortcuts(reuse_every=2)}),
    "DPM-Solver++, 12 steps": Lever(options={"sampler": "dpm++"}, steps=12),
    "all that change nothing, product tokens only": Lever(
        Acceleration(True, "max-autotune-no-cudagraphs"),
        {"shortcuts": Shortcuts(product_tokens_only=True)},
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One contender at one batch size. ms_per_image: of the fastest round, all ratios too;
    median_ms: of all rounds; mfu: share of the measured matrix rate; peak_gib: with the networks of
    all contenders."""

    contender: str
    batch: int
    ms_per_image: float
    median_ms: float
    images_per_hour: float
    over_plain: float
    released_over: float
    mfu: float
    tflop_per_image: float
    peak_gib: float


def main() -> None:
    options = _options()
    shapes, dtype = BY_NAME[options.shapes], DTYPES[options.dtype]
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.device == "cpu":
        keep_freed_memory()  # as every process that renders on a CPU does
    diffusers_logging.set_verbosity_error()
    started = time.monotonic()
    pipeline = build(shapes, options.device, dtype)
    print(f"built in {time.monotonic() - started:.0f} s", flush=True)
    pipeline.set_progress_bar_config(disable=True)
    job = Job(shapes, options.steps, options.guidance, options.products)
    rate = matrix_rate(options.device, dtype)
    levers = chosen_levers(options.levers)
    renders = {name: make(pipeline, job) for name, make in MAKERS.items()}
    renders |= {name: contenders.pulled(lever)(pipeline, job) for name, lever in levers.items()}
    print(
        f"{shapes.described}, {options.steps} steps, guidance, "
        f"{options.dtype} on {options.device}; matrix products {rate / 1e12:.3f} TFLOP/s; "
        "peak memory includes all contenders' networks",
        flush=True,
    )
    batches = [int(b) for b in options.batches.split(",")]
    first = {name: _seconds(render, batches[0], options.device) for name, render in renders.items()}
    print("first call, s: " + ", ".join(f"{name} {s:.2f}" for name, s in first.items()), flush=True)
    timed = {b: measure(renders, b, options.rounds, options.device) for b in batches}
    # Counting takes longer than measuring where the CPU is slow: times are printed before it.
    work = counted(levers, pipeline, job)
    rows = [row for b, times in timed.items() for row in rows_of(times, b, rate, work)]
    for batch in batches:
        print_rows([row for row in rows if row.batch == batch])
    best = min((r for r in rows if r.contender == OURS), key=lambda r: r.ms_per_image)
    print(
        f"\nbest batch of ours: {best.batch}, {best.ms_per_image:.1f} ms/image, "
        f"{best.images_per_hour:.0f} images/h; share of the counted saving that is realised, by "
        f"batch: {saving_realised(rows, work)}"
    )
    print(json.dumps({
        "first_call_s": {k: round(s, 3) for k, s in first.items()}, "best_batch": best.batch,
        "benchmark": "refadgen_speed", "shapes": shapes.name,
        "reference_frame": shapes.reference_frame, "reference": shapes.reference,
        "device": options.device, "dtype": options.dtype, "steps": options.steps,
        "matrix_tflops": round(rate / 1e12, 4),
        "saving_realised": saving_realised(rows, work), "rows": [asdict(r) for r in rows],
    }))  # fmt: skip


def chosen_levers(names: str) -> dict[str, Lever]:
    """Of a list parted by `;`, or `all`; ends the program with those that there are."""
    wanted = list(LEVERS) if names == "all" else [n.strip() for n in names.split(";") if n.strip()]
    unknown = [n for n in wanted if n not in LEVERS]
    if unknown:
        raise SystemExit(f"no lever {unknown[0]!r}; there are: {'; '.join(LEVERS)}")
    return {name: LEVERS[name] for name in wanted}


def counted(levers: dict[str, Lever], pipeline: RefAdGenPipeline, job: Job) -> dict[str, float]:
    """FLOPs of one picture by contender and lever."""
    work = {name: counted_flops(make, pipeline, job) for name, make in MAKERS.items()}
    for name, lever in levers.items():
        plainly = replace(lever, acceleration=NONE)  # compiled code cannot be counted
        work[name] = counted_flops(contenders.pulled(plainly), pipeline, job, every=True)
    return work


def counted_flops(
    make: Callable[[RefAdGenPipeline, Job], Render],
    pipeline: RefAdGenPipeline,
    job: Job,
    *,
    every: bool = False,
) -> float:
    """Of one picture: what the first step costs with all around it, plus the other steps. Where
    steps differ from one another (`every` one) all of them are counted."""
    if every or job.steps <= 2:
        render = make(pipeline, job)  # which encodes what is kept from render to render
        return flops(lambda: render(1))
    renders = [make(pipeline, replace(job, steps=steps)) for steps in (1, 2)]
    one, two = (flops(lambda render=render: render(1)) for render in renders)
    return one + (job.steps - 1) * (two - one)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of one contender's rounds at a batch size, and the memory's peak in GiB."""

    seconds: list[float]
    peak_gib: float


def measure(renders: dict[str, Render], batch: int, rounds: int, device: str) -> dict[str, Timed]:
    """Every contender's times; each round's are printed at once, so that a session that ends
    early has them."""
    for render in renders.values():
        render(batch)  # warm-up: pictures are drawn, kernels chosen
    times: dict[str, list[float]] = {name: [] for name in renders}
    peaks: dict[str, float] = {}
    for number in range(rounds):
        for name, render in renders.items():
            _reset_peak(device)
            times[name].append(_seconds(render, batch, device))
            peaks[name] = _peak_gib(device)
        each = ", ".join(f"{name} {1000 * t[-1] / batch:.1f}" for name, t in times.items())
        print(f"batch {batch}, round {number + 1}, ms/image: {each}", flush=True)
    return {name: Timed(times[name], peaks[name]) for name in renders}


def rows_of(timed: dict[str, Timed], batch: int, rate: float, work: dict[str, float]) -> list[Row]:
    each = {name: min(t.seconds) / batch for name, t in timed.items()}
    return [
        Row(
            contender=name,
            batch=batch,
            ms_per_image=1000 * each[name],
            median_ms=1000 * statistics.median(t.seconds) / batch,
            images_per_hour=3600 / each[name],
            over_plain=each[name] / each[PLAIN],
            released_over=each[RELEASED] / each[name],
            mfu=work[name] / each[name] / rate,
            tflop_per_image=work[name] / 1e12,
            peak_gib=t.peak_gib,
        )
        for name, t in timed.items()
    ]


def print_rows(rows: list[Row]) -> None:
    print(f"\nbatch {rows[0].batch:<20} ms/image  median  images/h  /plain  released/  TFLOP   "
          "MFU  peak GiB")  # fmt: skip
    for r in rows:
        print(
            f"{r.contender:26} {r.ms_per_image:8.1f} {r.median_ms:7.1f} {r.images_per_hour:9.0f} "
            f"{r.over_plain:7.3f} {r.released_over:10.3f} {r.tflop_per_image:6.3f} {r.mfu:5.2f} "
            f"{r.peak_gib:9.2f}"
        )


def saving_realised(rows: list[Row], work: dict[str, float]) -> dict[int, float]:
    """By batch: the time that ours saves of the released way's, over the FLOPs that it saves."""
    counted = 1 - work[OURS] / work[RELEASED]
    ours = {r.batch: 1 - 1 / r.released_over for r in rows if r.contender == OURS}
    return {batch: round(saved / counted, 3) for batch, saved in ours.items()}


def _seconds(render: Render, batch: int, device: str) -> float:
    synchronize(device)
    started = time.perf_counter()
    render(batch)
    synchronize(device)
    return time.perf_counter() - started


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def _peak_gib(device: str) -> float:
    """Of the GPU's memory; on a CPU of the whole process so far."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**30
    return peak_gb() * 1e9 / 2**30


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", choices=sorted(BY_NAME), default="mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="float32")
    parser.add_argument("--batches", default="1,4,8", help="comma-separated")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--products", type=int, default=1, help="different ones in a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--levers", default="", help=f"'all', or some by name, parted by ;: {'; '.join(LEVERS)}"
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    return parser.parse_args()


if __name__ == "__main__":
    main()
