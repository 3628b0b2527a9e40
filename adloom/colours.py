"""The colour words of a product: what its photo shows, in plain English."""

import numpy as np
from numpy.typing import NDArray

OPAQUE = 128
"""A mask value from here on is product."""

MAX_WORDS = 3
LEAST_SHARE = 0.15
"""A colour that covers less of the product than this gets no word, but for the first."""

SAMPLES = 8_000
"""Product pixels looked at; more change no word."""

_PROTOTYPES: tuple[tuple[str, str], ...] = (
    ("black", "#0a0a0a"), ("black", "#262626"), ("black", "#1d1d24"),
    ("grey", "#565656"), ("grey", "#808080"), ("grey", "#a8a8a8"), ("grey", "#60666e"),
    ("silver", "#c4c6c9"), ("white", "#e6e6e6"), ("white", "#ffffff"), ("white", "#f2f0ea"),
    ("red", "#d6182b"), ("red", "#a81420"), ("red", "#ff3b30"), ("red", "#7c1218"),
    ("orange", "#f57c1f"), ("orange", "#ff9a3c"), ("orange", "#d9641e"),
    ("orange", "#d9944a"), ("orange", "#c98a4b"), ("orange", "#e8a868"),
    ("yellow", "#f8e033"), ("yellow", "#ffe985"), ("yellow", "#f5c71a"),
    ("gold", "#c9a227"), ("gold", "#a67c1e"),
    ("green", "#2f9e44"), ("green", "#1b5e2a"), ("green", "#7cc576"), ("green", "#a4c639"),
    ("green", "#5b6b2f"), ("green", "#bfe3b4"),
    ("teal", "#138f8c"), ("teal", "#0b5b5f"), ("turquoise", "#40d0c8"),
    ("blue", "#1f5fd0"), ("blue", "#3f8ee8"), ("blue", "#2a3fa8"), ("blue", "#8fc1ee"),
    ("blue", "#5c7fa6"), ("blue", "#c3dcf3"),
    ("navy", "#14204a"), ("navy", "#22305e"),
    ("purple", "#7a3aa8"), ("purple", "#4d2470"), ("purple", "#a98ad0"), ("purple", "#9b59d0"),
    ("pink", "#f27bb0"), ("pink", "#f9c1d4"), ("pink", "#e0459b"), ("pink", "#e8a0a8"),
    ("brown", "#6b4423"), ("brown", "#8b5a34"), ("brown", "#42291a"), ("brown", "#a5764d"),
    ("beige", "#dcc9a6"), ("beige", "#efe3cb"), ("beige", "#c7ad88"),
)  # fmt: skip


def lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(…, 3) sRGB bytes -> CIE L*a*b* (D65, 2°)."""
    c = rgb.astype(np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    t = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_words(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[str, ...]:
    """One to three colour words of the product, most frequent first.

    `rgb` is (H, W, 3) sRGB, `mask` (H, W) with 255 = product. Each product pixel votes for the
    word of its nearest prototype in L*a*b*; lightness counts for less than hue, so that folds and
    shade keep a product's word. A mask without product gives no word.
    """
    pixels = rgb[mask >= OPAQUE]
    if not len(pixels):
        return ()
    pixels = pixels[:: max(1, len(pixels) // SAMPLES)]
    votes = np.bincount(_nearest(pixels), minlength=len(_WORDS))
    _join_neutrals(votes)
    _join_families(votes)
    shares = sorted(zip(votes / votes.sum(), _WORDS, strict=True), key=lambda s: (-s[0], s[1]))
    words = [word for share, word in shares if share >= LEAST_SHARE] or [shares[0][1]]
    return tuple(words[:MAX_WORDS])


def _join_neutrals(votes: NDArray[np.intp]) -> None:
    """Gives silver's votes to grey or white where these are there: one product's light and shade.

    "Silver" is left to products that are hardly anything else.
    """
    silver, grey, white = (_WORDS.index(word) for word in ("silver", "grey", "white"))
    heir = grey if votes[grey] >= votes[white] else white
    if votes[heir] >= LEAST_SHARE / 2 * votes.sum():
        votes[heir] += votes[silver]
        votes[silver] = 0


def _join_families(votes: NDArray[np.intp]) -> None:
    """Orange juice is orange, brown and gold: shades too small each speak as their largest one."""
    least = LEAST_SHARE * votes.sum()
    for family in _FAMILIES:
        members = [_WORDS.index(word) for word in family]
        if votes[members].max() < least <= votes[members].sum():
            leader = members[int(votes[members].argmax())]
            total = votes[members].sum()
            votes[members] = 0
            votes[leader] = total


def _nearest(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """(N, 3) -> (N,) indices into `_WORDS`."""
    difference = lab(pixels)[:, None, :] - _LAB[None]
    return _WORD_OF[np.argmin((difference**2 * _WEIGHTS).sum(axis=-1), axis=1)]


_FAMILIES = (
    ("orange", "brown", "gold", "beige", "yellow"),
    ("red", "pink", "purple"),
    ("blue", "navy"),
    ("green", "teal", "turquoise"),
)
_WEIGHTS = np.array([0.5, 1.0, 1.0])
_WORDS = tuple(dict.fromkeys(word for word, _ in _PROTOTYPES))
_WORD_OF = np.array([_WORDS.index(word) for word, _ in _PROTOTYPES], dtype=np.intp)
_LAB = lab(np.array([list(bytes.fromhex(code[1:])) for _, code in _PROTOTYPES], dtype=np.uint8))
