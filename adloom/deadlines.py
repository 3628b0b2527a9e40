"""When a run is expected to be done: a time of day in a zone, or so long after its start. Pure."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from adloom.durations import duration_s
from adloom.errors import InvalidInputError

_TIME = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s+(?P<zone>\S+))?")


def checked_deadline(text: str) -> str:
    """The text, if it is a deadline. Raises ValueError, whose text says why."""
    _parsed(text)
    return text.strip()


def deadline_after(text: str, begun: datetime) -> datetime:
    """The moment a deadline means for a run that began at `begun` (of any zone): the next time that
    it is so late there, or `begun` and so long. Raises ValueError."""
    when = _parsed(text)
    if isinstance(when, timedelta):
        return begun + when
    local = begun.astimezone(when.tzinfo)
    today = datetime.combine(local.date(), when)
    return today if today > begun else datetime.combine(local.date() + timedelta(days=1), when)


def checked_zone(name: str) -> ZoneInfo:
    """The time zone. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:  # folders and paths raise all of these
        raise ValueError(
            f"there is no time zone '{name[:60]}'; write one like Europe/Berlin or UTC"
        ) from error


def _parsed(text: str) -> time | timedelta:
    plain = text.strip()
    found = _TIME.fullmatch(plain)
    if found is None:
        try:
            return timedelta(seconds=duration_s(plain))
        except InvalidInputError as error:
            raise ValueError(
                f"'{plain[:60]}' is no time; write '05:00', '05:00 Europe/Berlin', or 6h"
            ) from error
    zone = checked_zone(found["zone"] or "UTC")
    hour, minute = int(found["hour"]), int(found["minute"])
    if hour > 23 or minute > 59:
        raise ValueError(f"'{plain}' is no time of day")
    return time(hour, minute, tzinfo=zone)
