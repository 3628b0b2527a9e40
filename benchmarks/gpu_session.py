"""One session on a GPU: builds SD1.5's shapes, checks that they are right, and times all of it.

    python -m benchmarks.gpu_session --out build/gpu       # under ten minutes on an H100 or H200

Each part is a process of its own with a time limit, so that one that fails or hangs costs the
others nothing. Writes <part>.txt and session.json into --out; exits 1 if a part failed.
--device cpu --tiny walks the same way on a CPU in small, to see that it is ready.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Part:
    """One command and how long it may take."""

    name: str
    arguments: tuple[str, ...]
    limit_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """rc: the command's exit status, -1 past its limit; result: the JSON line it ended with."""

    part: Part
    rc: int
    seconds: float
    result: object


def parts(device: str, *, tiny: bool) -> list[Part]:
    """In the order of their worth: what is cut off last is missed least."""
    shapes = "mini" if tiny else "sd15"
    dtype = "float32" if tiny else "bfloat16"
    speed = ("-m", "benchmarks.refadgen_speed", "--shapes", shapes, "--device", device,
             "--dtype", dtype)  # fmt: skip
    small = ("--steps", "2", "--rounds", "1", "--batches", "1") if tiny else ()
    usual = small or ("--rounds", "3")
    exact = "channels last"
    compiled = "channels last, compiled;channels last, autotuned;CUDA graphs;" \
        "all that change nothing, product tokens only"  # fmt: skip
    trading = "product tokens only;guidance above 0.3;deep features every 2nd step;" \
        "DPM-Solver++, 12 steps"  # fmt: skip
    made = [
        Part("precision", ("-m", "benchmarks.precision", "--shapes", shapes, "--device", device),
             90),
        Part("speed", (*speed, *usual, *(() if tiny else ("--batches", "1,8,16,32"))), 150),
        Part("levers", (*speed, *usual, *(() if tiny else ("--batches", "1,16")),
                        "--levers", f"{exact};{trading}"), 120),
    ]  # fmt: skip
    if not tiny:
        made.append(
            Part("compiled", (*speed, *usual, "--batches", "1,16", "--levers", compiled), 220)
        )
    return made


def run(part: Part, out: Path) -> Outcome:
    started = time.monotonic()
    with (out / f"{part.name}.txt").open("w", encoding="utf-8") as text:
        try:
            rc = subprocess.run(
                [sys.executable, *part.arguments],
                cwd=ROOT, stdout=text, stderr=subprocess.STDOUT, timeout=part.limit_s, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            rc = -1
    seconds = time.monotonic() - started
    return Outcome(part, rc, seconds, last_json(out / f"{part.name}.txt"))


def last_json(file: Path) -> object:
    """The last line of a benchmark's output that is JSON; None where there is none."""
    for line in reversed(file.read_text(encoding="utf-8").splitlines()):
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                continue
    return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="mini, two steps: is it ready?")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for part in parts(options.device, tiny=options.tiny):
        outcomes.append(run(part, options.out))
        ended = outcomes[-1]
        print(f"{part.name:10} exit {ended.rc:3} after {ended.seconds:5.0f} s", flush=True)
        session = {"benchmark": "gpu_session", "parts": [asdict(o) for o in outcomes]}
        (options.out / "session.json").write_text(json.dumps(session, indent=1), encoding="utf-8")
    sys.exit(any(o.rc for o in outcomes))


if __name__ == "__main__":
    main()
