"""The learning rate rises, falls and never reaches zero."""

import pytest

from training.schedule import FLOOR, warmup_cosine


def test_it_rises_over_the_warmup_and_falls_with_progress() -> None:
    assert warmup_cosine(0, 10, 0.0) == pytest.approx(0.1)
    assert warmup_cosine(9, 10, 0.0) == pytest.approx(1.0)
    falling = [warmup_cosine(50, 10, p / 10) for p in range(11)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(FLOOR)
    assert warmup_cosine(50, 10, 3.0) == pytest.approx(FLOOR)
