"""Mutated photos: each must be a picture or a reason, soon.

    python -m tests.fuzz_photos --cases 10000

Valid small files of each format are bitten, scratched, cut, spliced and lied about (sizes in
headers); the command fails on the first exception of another family, or case that takes too long.
"""

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import dataclass

from catalog_connectors.photo_decoding import PhotoLimits, decode_photo
from catalog_connectors.photo_errors import PhotoRefusedError
from tests.unit.intake.odd_photos import FORMATS

LIMITS = PhotoLimits(max_bytes=1 << 20, max_pixels=1_000_000)
LONGEST_S = 5.0
_TELLING = (0, 1, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`end`: `picture` or the reason; `fault`: an error that is none of ours."""

    end: str
    seconds: float
    fault: Exception | None = None


def mutated(data: bytes, seed: int) -> bytes:
    """The file with one to eight injuries; the same seed, the same injuries."""
    rng, body = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(body)) if rng.random() < 0.5 else rng.randrange(min(len(body), 200))
        match rng.randrange(7):
            case 0:
                body[at] ^= 1 << rng.randrange(8)
            case 1:
                body[at] = rng.choice(_TELLING)
            case 2:
                body[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            case 3:
                del body[at : at + rng.randint(1, 64)]
            case 4:
                body[at:at] = rng.randbytes(rng.randint(1, 64))
            case 5:
                body = body[: max(at, 1)] if rng.random() < 0.3 else body
            case 6:
                start = rng.randrange(len(body))
                body[at:at] = body[start : start + rng.randint(1, 256)]
        if not body:
            body = bytearray(b"\0")
    return bytes(body)


def outcome(data: bytes) -> Outcome:
    begun = time.perf_counter()
    end, fault = "picture", None
    try:
        decode_photo(data, LIMITS, "fuzz")
    except PhotoRefusedError as error:
        end = error.reason.value
    except Exception as error:
        end, fault = type(error).__name__, error
    return Outcome(end, time.perf_counter() - begun, fault)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = [(kind, make()) for kind, make in FORMATS.items()]
    ends, longest = Counter[str](), 0.0
    for n in range(options.cases):
        kind, data = files[n % len(files)]
        found = outcome(mutated(data, options.seed + n))
        if found.fault is not None or found.seconds > LONGEST_S:
            raise SystemExit(
                f"case {options.seed + n} ({kind}): {found.end} after {found.seconds:.1f} s: "
                f"{found.fault!r}"
            )
        ends[found.end] += 1
        longest = max(longest, found.seconds)
    print(json.dumps({
        "fuzz": "photos", "cases": options.cases, "longest_s": round(longest, 3),
        "ends": dict(ends.most_common()),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
