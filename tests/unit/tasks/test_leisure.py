"""What is slow to look at is looked at rarely."""

from contextlib import suppress

import pytest

from tasks.leisure import RAREST_S, Leisure


@pytest.mark.parametrize(
    ("took_s", "fails", "again_after_s"),
    [
        (0.0, False, 10.0),
        (0.4, False, 10.0),
        (2.0, False, 40.0),
        (900.0, False, RAREST_S),
        (2.0, True, 10.0),
    ],
)
def test_a_look_takes_at_most_a_twentieth_of_the_time(
    took_s: float, fails: bool, again_after_s: float
) -> None:
    now = 100.0
    leisure = Leisure(10.0, clock=lambda: now)
    assert leisure.is_due
    with suppress(OSError), leisure.look():
        now += took_s
        if fails:
            raise OSError
    now = 100.0 + again_after_s - 0.1
    assert not leisure.is_due
    now = 100.0 + again_after_s
    assert leisure.is_due
