"""A deadline is the next such moment after a run's start, in its zone."""

from datetime import UTC, datetime, timedelta

import pytest

from adloom.deadlines import checked_deadline, deadline_after

EVENING = datetime(2026, 3, 28, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("05:00", datetime(2026, 3, 29, 5, 0, tzinfo=UTC)),
        ("21:31", datetime(2026, 3, 28, 21, 31, tzinfo=UTC)),
        ("21:30", datetime(2026, 3, 29, 21, 30, tzinfo=UTC)),
        # Between the two, clocks there go forward: 22:30 that evening is UTC+1, 05:00 is UTC+2.
        ("05:00 Europe/Berlin", datetime(2026, 3, 29, 3, 0, tzinfo=UTC)),
        ("23:00 Europe/Berlin", datetime(2026, 3, 28, 22, 0, tzinfo=UTC)),
        ("6h", EVENING + timedelta(hours=6)),
    ],
)
def test_it_is_the_next_such_moment(text: str, at: datetime) -> None:
    assert deadline_after(checked_deadline(text), EVENING) == at


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "is no time"),
        ("25:00", "no time of day"),
        ("05:00 Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("05:00 ../etc/passwd", "no time zone"),
        ("", "is no time"),
    ],
)
def test_what_is_no_deadline_is_refused_with_an_example(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_deadline(text)
