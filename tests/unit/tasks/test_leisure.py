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
    for _ in range(2):
        now = 100.0
        with suppress(OSError), leisure.look():
            now += took_s
            if fails:
                raise OSError
    now = 100.0 + again_after_s - 0.1
    assert not leisure.is_due
    now = 100.0 + again_after_s
    assert leisure.is_due


def test_a_single_slow_look_makes_the_next_no_rarer() -> None:
    now = 0.0
    leisure = Leisure(1.0, clock=lambda: now)
    for took_s, again_after_s in ((0.8, 1.0), (0.1, 2.0), (0.8, 2.0), (0.8, 16.0)):
        began = now
        with leisure.look():
            now += took_s
        now = began + again_after_s - 0.01
        assert not leisure.is_due
        now = began + again_after_s + 0.01
        assert leisure.is_due
