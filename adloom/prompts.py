"""From a template's prompt to the words the text encoder gets."""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from adloom.errors import PromptTooLongError

PLACEHOLDERS = ("title", "category", "brand", "colours")


@dataclass(frozen=True, slots=True)
class ProductWords:
    """What a product lends to a prompt."""

    title: str
    category: str
    brand: str
    colours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A final prompt, and whether words had to be dropped to fit the text encoder."""

    text: str
    dropped: str = ""

    @property
    def warning(self) -> str | None:
        if not self.dropped:
            return None
        return f"prompt cut to the text encoder's length; dropped: '{self.dropped}'"


def placeholders_of(text: str) -> tuple[str, ...]:
    """The placeholders a prompt uses. Raises ValueError for one that does not exist."""
    try:
        names = tuple(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)
    except ValueError as error:
        raise ValueError(f"unbalanced braces in '{text}': {error}") from error
    for name in names:
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{p}}}" for p in PLACEHOLDERS)
            raise ValueError(f"unknown placeholder '{{{name}}}'; there are {known}")
    return names


def category_word(category: str) -> str:
    """The last part of a category path, lower case: 'Apparel > Sneakers' -> 'sneakers'."""
    last = re.split(r"\s*[>/|]\s*", category.strip())[-1]
    return " ".join(re.findall(r"[\w'-]+", last.lower())) or "product"


def fill(template: str, words: ProductWords) -> str:
    """The template with its placeholders filled; white space folded, braces in data harmless."""
    values = {
        "title": words.title.lower(),
        "category": category_word(words.category),
        "brand": words.brand,
        "colours": " and ".join(words.colours[:2]),
    }
    parts: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            parts.append(values[name])
    return " ".join("".join(parts).split()).replace(" ,", ",")


def fit(text: str, *, count_tokens: Callable[[str], int], max_tokens: int) -> Prompt:
    """The longest run of leading words that the text encoder takes, and what was dropped.

    Comma-separated phrases are dropped from the end first; a single phrase too long is cut by
    words. Raises PromptTooLongError if not even one word fits.
    """
    if count_tokens(text) <= max_tokens:
        return Prompt(text)
    for separator in (", ", " "):
        parts = text.split(separator)
        for keep in range(len(parts) - 1, 0, -1):
            kept = separator.join(parts[:keep])
            if count_tokens(kept) <= max_tokens:
                return Prompt(kept, separator.join(parts[keep:]))
    raise PromptTooLongError(f"not one word of '{text}' fits into {max_tokens} tokens")
