import pytest

from adloom.durations import duration_s
from adloom.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21_600), ("2d", 172_800), ("1d 12H", 129_600), ("0s", 0)],
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "6", "-6h", "1.5h", "6h?", "yesterday", "6w", "99999999d", "1s" * 30]
)
def test_what_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInputError, match="write 90s, 30m"):
        duration_s(text)
