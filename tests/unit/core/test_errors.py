"""What is told of an error that a library raises."""

import pytest

from adloom.errors import first_line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("no such file\nin any folder"), "no such file"),
        (MemoryError(), "MemoryError"),
        (ValueError("\n "), "ValueError"),
    ],
)
def test_an_error_is_told_in_one_line_even_if_it_says_nothing(error: Exception, told: str) -> None:
    assert first_line(error) == told
