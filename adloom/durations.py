"""Lengths of time as people write them."""

import re

from adloom.errors import InvalidInputError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"(\d+)([smhd])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST_S = 100 * 365 * 86_400


def duration_s(text: str) -> float:
    """`90s`, `30m`, `6h`, `2d`, `1d12h` -> seconds. Raises InvalidInputError."""
    written = text.replace(" ", "").lower()
    seconds = sum(int(n) * _UNITS_S[unit] for n, unit in _PART.findall(written[:40]))
    if len(written) > 40 or not _WHOLE.fullmatch(written) or seconds > _LONGEST_S:
        raise InvalidInputError(
            f"'{text[:40]}' is no length of time", hint="write 90s, 30m, 6h, 2d or 1d12h"
        )
    return float(seconds)
