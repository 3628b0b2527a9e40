"""Reasons to reject: as they come, and as an installation gives them."""

import pytest

from adloom.errors import ConfigurationError
from adloom.review_reasons import DEFAULT_REASONS, ReviewReason, parse_reasons


def test_each_has_a_key_and_a_code_of_its_own() -> None:
    for values in ([r.key for r in DEFAULT_REASONS], [r.code for r in DEFAULT_REASONS]):
        assert len(set(values)) == len(values)
    written = ", ".join(f"{r.key}={r.code}:{r.label}" for r in DEFAULT_REASONS)
    assert parse_reasons(written, where="X") == DEFAULT_REASONS


def test_a_label_may_be_left_out() -> None:
    assert parse_reasons("b=too_busy", where="X") == (ReviewReason("b", "too_busy", "Too busy"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no reason"),
        ("busy", "'busy' is no reason"),
        ("B=busy", "is no reason"),
        ("b=Too busy", "is no reason"),
        ("b=busy, b=dull", "key 'b' is given twice"),
        ("b=busy, c=busy", "code 'busy' is given twice"),
    ],
)
def test_what_is_none_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as error:
        parse_reasons(text, where="ADLOOM_REVIEW_REASONS")
    assert error.value.where == "ADLOOM_REVIEW_REASONS"
