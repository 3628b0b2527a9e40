"""Train and test, nine to one, by product: no product is in both."""

import hashlib
from typing import Final

SPLITS: Final = ("train", "test")
TEST_SHARE: Final = 0.1


def split_of(product: str) -> str:
    """The split of a product's key; the same key always the same, whatever else is there."""
    digest = hashlib.sha256(f"adprod:{product}".encode()).digest()
    return "test" if int.from_bytes(digest[:8]) < TEST_SHARE * 2**64 else "train"
