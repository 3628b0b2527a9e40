"""The thirty product categories of AdProd-100K, with the number of product variants of each."""

import re
from typing import Final

VARIANTS: Final[dict[str, int]] = {
    "backpack": 25000,
    "bench": 21855,
    "body wash": 25000,
    "bottle": 25000,
    "car": 25000,
    "cell phone": 25000,
    "chargers": 21095,
    "clothing": 24995,
    "coffee": 24275,
    "cup": 16860,
    "eyeshadow": 13960,
    "fork": 18115,
    "foundation": 10715,
    "handbag": 25000,
    "hats": 36740,
    "headphones": 22645,
    "kite": 13030,
    "lipstick": 10585,
    "motorcycle": 24995,
    "notebooks": 24995,
    "pens": 14650,
    "pillows": 14595,
    "rugs": 8760,
    "shampoo": 22990,
    "snacks": 24990,
    "sneakers": 24995,
    "sports ball": 7045,
    "toothbrush": 7105,
    "umbrella": 15675,
    "wine glass": 24990,
}
"""By the category's name as annotations write it (`image_type`)."""

FALLBACK: Final = "product"
"""The category of a picture whose own is none of the thirty."""


def category_of(name: str) -> str:
    """The category that a folder or a table calls `name` (case, separators and a plural's s do not
    count), else FALLBACK."""
    return _BY_KEY.get(_key(name), FALLBACK)


def _key(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower()).removesuffix("s")


_BY_KEY: Final = {_key(name): name for name in VARIANTS}
