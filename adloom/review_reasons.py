"""Why a person rejects a creative: codes, and the key under which each is at hand."""

import re
from dataclasses import dataclass

from adloom.errors import ConfigurationError

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEY = re.compile(r"[a-z]")


@dataclass(frozen=True, slots=True)
class ReviewReason:
    """`key`: the letter pressed after `r`."""

    key: str
    code: str
    label: str


DEFAULT_REASONS: tuple[ReviewReason, ...] = (
    ReviewReason("p", "product_altered", "Product altered"),
    ReviewReason("l", "label_illegible", "Label illegible"),
    ReviewReason("s", "scale_wrong", "Wrong size"),
    ReviewReason("f", "floating", "Floating or cut off"),
    ReviewReason("d", "duplicated", "Product twice"),
    ReviewReason("b", "background_poor", "Poor background"),
    ReviewReason("c", "colour_wrong", "Wrong colour"),
    ReviewReason("a", "artefacts", "Artefacts"),
    ReviewReason("u", "unsafe", "Unsafe or unsuitable"),
    ReviewReason("o", "other", "Other"),
)


def parse_reasons(text: str, *, where: str) -> tuple[ReviewReason, ...]:
    """Reasons of `p=product_altered:Product altered, o=other`; a label may be left out.

    Raises ConfigurationError, naming `where`.
    """
    reasons = [_reason(part.strip(), where) for part in text.split(",") if part.strip()]
    for name, values in (
        ("key", [r.key for r in reasons]),
        ("code", [r.code for r in reasons]),
    ):
        twice = {v for v in values if values.count(v) > 1}
        if twice:
            raise ConfigurationError(f"the {name} '{min(twice)}' is given twice", where=where)
    if not reasons:
        raise ConfigurationError("no reason is given", where=where, hint="such as o=other")
    return tuple(reasons)


def _reason(part: str, where: str) -> ReviewReason:
    key, _, rest = part.partition("=")
    code, _, label = rest.partition(":")
    key, code, label = key.strip(), code.strip(), label.strip()
    if not _KEY.fullmatch(key) or not _CODE.fullmatch(code):
        raise ConfigurationError(
            f"'{part[:60]}' is no reason",
            where=where,
            hint="a letter, =, a code of a-z, 0-9 and _, then perhaps a colon and words for people",
        )
    return ReviewReason(key, code, label or code.replace("_", " ").capitalize())
