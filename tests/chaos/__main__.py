"""`make chaos`: a run whose workers, Prefect server, Postgres and store are killed at random.

Real servers, real workers, real finishing and scoring; only the renderer is simulated. Ends with a
table, and with exit code 1 if anything does not hold.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos.killing import Killer
from tests.chaos.night import Night, journal
from tests.chaos.verdict import Verdict, judge

BATCHES_A_KILL, SECONDS_A_KILL = 2, 60
"""A night has to last longer than its killings, and a kill takes what was killed to come back."""


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="adloom-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        verdict = chaos(
            folder,
            workers=options.workers,
            batches=options.batches or max(60, BATCHES_A_KILL * options.kills),
            seconds=options.seconds,
            kills=options.kills,
            cut_s=options.cut,
            seed=options.seed,
            limit_s=options.limit or 600.0 + SECONDS_A_KILL * options.kills,
            all_kills=True,
        )
    for what, found in verdict.facts.items():
        print(f"{what:42}{found}")
    for line in verdict.wrong:
        print(f"DOES NOT HOLD: {line}")
    print("everything holds" if not verdict.wrong else "")
    return 1 if verdict.wrong else 0


def chaos(
    folder: Path,
    *,
    workers: int,
    batches: int,
    seconds: float,
    kills: int,
    cut_s: float,
    seed: int,
    limit_s: float,
    all_kills: bool,
) -> Verdict:
    """Begins a night, disturbs it, waits for its end, and judges.

    `all_kills`: a night that ends before every kill and cut is made does not hold.
    """
    night = Night(folder, workers)
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(night.store.server.env)
    started = time.monotonic()
    try:
        night.begin(batches, seconds)
        night.wait_until_rendering(limit_s / 2)
        killer = Killer(night, random.Random(seed))
        killer.disturb(kills, cut_s, stop_at=started + limit_s)
        night.up()
        while not night.has_ended() and time.monotonic() < started + limit_s:
            time.sleep(0.5)
        ended = night.has_ended()
        found = judge(night)
        facts: dict[str, Any] = {
            "kills": ", ".join(f"{n} × {what}" for what, n in sorted(killer.done.items())),
            "seconds": round(time.monotonic() - started),
            **found.facts,
            **pace(night, seconds),
        }
        wrong = [] if ended else [f"not over after {limit_s:.0f} s"]
        if all_kills:
            wrong += killer.missed(kills, cut_s)
        return Verdict(facts, [*wrong, *found.wrong])
    finally:
        night.end()


def pace(night: Night, seconds: float) -> dict[str, Any]:
    """How busy the workers were between the first and the last render, and their waits."""
    begun = [line["at"] for line in journal(night.journal)]
    span = max(begun) - min(begun) + seconds
    gaps = sorted(gap for gaps in night.gaps_ms() for gap in gaps)
    waits = f"median {gaps[len(gaps) // 2]:.0f}, most {gaps[-1]:.0f}" if gaps else "none"
    return {
        "workers busy": f"{100 * len(begun) * seconds / (night.workers * span):.1f} %",
        "device waits between batches, ms": waits,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--batches", type=int, help=f"else 60, or {BATCHES_A_KILL} a kill")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a simulated render")
    parser.add_argument("--cut", type=float, default=30.0, help="seconds without S3")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--limit", type=float, help=f"seconds in all; else 600 and {SECONDS_A_KILL} a kill"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
