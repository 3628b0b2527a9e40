import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.prompts import ProductWords, category_word, fill, fit, placeholders_of

MUG = ProductWords("Blue Mug {x}", "Kitchen > Mugs & Cups > Mug", "Acme", ("blue", "white"))


def _count(text: str) -> int:
    return len(text.split())


def test_placeholders_are_filled_and_braces_in_data_are_harmless() -> None:
    text = fill("a {colours} {category} by {brand}: {title}, on sand", MUG)
    assert text == "a blue and white mug by Acme: blue mug {x}, on sand"


def test_empty_data_leaves_no_double_blanks() -> None:
    words = ProductWords("t", "", "", ())
    assert fill("a {colours} {category} {brand}, on sand", words) == "a product, on sand"


@pytest.mark.parametrize("text", ["a {colour}", "a {0}", "a {", "a }"])
def test_unknown_or_broken_placeholders_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|braces"):
        placeholders_of(text)


@given(st.lists(st.sampled_from(["a", "b,", "c"]), min_size=1, max_size=30), st.integers(1, 12))
def test_a_fitted_prompt_fits_and_what_was_dropped_is_named(words: list[str], limit: int) -> None:
    text = " ".join(words)
    prompt = fit(text, count_tokens=_count, max_tokens=limit)
    assert _count(prompt.text) <= limit
    assert text.startswith(prompt.text)
    assert (prompt.warning is None) == (prompt.text == text)


def test_whole_phrases_are_dropped_before_words() -> None:
    prompt = fit("a mug on sand, soft light, palms", count_tokens=_count, max_tokens=6)
    assert prompt.text == "a mug on sand, soft light"
    assert prompt.dropped == "palms"


def test_a_prompt_of_which_no_word_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="not one word"):
        fit("word", count_tokens=lambda _: 9, max_tokens=3)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("Apparel > Sneakers", "sneakers"),
        ("Mug", "mug"),
        ("", "product"),
        ("A/B|T-Shirt", "t-shirt"),
    ],
)
def test_the_category_word_is_the_last_of_the_path(path: str, word: str) -> None:
    assert category_word(path) == word
