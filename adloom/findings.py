"""What a check found: well, doubtful or wrong, and how to mend it."""

from dataclasses import dataclass
from enum import StrEnum

from adloom.errors import AdloomError


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and somebody should look."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is what to do, empty where nothing is to be done."""

    level: Level
    detail: str
    mend: str = ""


def well(detail: str) -> Finding:
    return Finding(Level.OK, detail)


def doubtful(detail: str, mend: str) -> Finding:
    return Finding(Level.WARN, detail, mend)


def wrong(detail: str, mend: str) -> Finding:
    return Finding(Level.FAIL, detail, mend)


def of_error(error: AdloomError) -> Finding:
    """What an error says of what it was raised by."""
    detail = f"{error.where}: {error.message}" if error.where else error.message
    return wrong(detail, error.hint or "")
