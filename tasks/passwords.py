"""Passwords: hashed by Argon2id, never kept."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from adloom.errors import InvalidInputError

SHORTEST, LONGEST = 12, 1024
_HASHER = PasswordHasher()
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each takes 64 MB and some tens of milliseconds of several cores."""


def hashed(password: str) -> str:
    """What is kept of a password. Raises InvalidInputError if it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInputError(
            f"a password has {SHORTEST} to {LONGEST} characters",
            hint="several words in a row are easy to remember",
        )
    with _AT_ONCE:
        return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def holds(kept: str | None, password: str) -> bool:
    """Whether it is the password of which `kept` was kept.

    Takes as long where there is none (None), so that nobody learns which names exist.
    """
    with _AT_ONCE:
        try:
            _HASHER.verify(kept or _nobodys(), password[:LONGEST].encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _HASHER.hash("checked where there is no account")
