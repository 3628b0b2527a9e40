"""What every object store promises.

Objects are written once. The first put of a key wins; a later put of the same content is told so
and adopts the object; a later put of other content is refused. So a worker that repeats a finished
step does no harm, and two workers that race cannot overwrite one another.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adloom.errors import ObjectExistsError, StorageError

_SEGMENT = re.compile(r"[A-Za-z0-9_=+@-][A-Za-z0-9._=+@-]{0,199}")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_=+@-][A-Za-z0-9._=+@-]*(?:/|$))*")
_MAX_KEY_CHARS = 900


@dataclass(frozen=True, slots=True)
class PutResult:
    """`created` is False when an object of the same content was there already and was adopted."""

    created: bool
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object. `sha256` is None where asking for it would mean reading the object."""

    key: str
    bytes: int
    sha256: str | None
    modified: datetime


class ObjectStore(Protocol):
    """Write-once objects under keys such as `default/renders/3f…`.

    Every method may raise StorageUnavailableError (try again later), StorageDeniedError,
    BucketMissingError or StorageError. Implementations may be used from several threads.
    """

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        """Stores `data` unless the key is taken; whoever reads sees all of it or nothing.

        An object that is adopted is young again (`modified`), so that no clean-up takes it before
        its row is there. Raises ObjectExistsError when an object with other content has this key.
        """
        ...

    def get(self, key: str) -> bytes:
        """The object's content. Raises ObjectMissingError."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size, sha256 and time, or None when there is no such object."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Streams the objects whose keys start with `prefix` in key order, without their sha256."""
        ...

    def delete(self, key: str) -> None:
        """Removes the object; one that is not there is no error."""
        ...

    def check(self) -> None:
        """Writes, reads and removes a probe; raises if anything the others rely on fails."""
        ...

    def location(self, key: str) -> str:
        """Where the object is, for people: a path or an `s3://` address."""
        ...


def checked_key(key: str) -> str:
    """`key` itself, if it can be kept the same way in a folder and in S3.

    Raises StorageError for empty, hidden, relative or overlong parts and for characters that some
    file system or URL would change.
    """
    if len(key) <= _MAX_KEY_CHARS and all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        return key
    raise StorageError(
        f"{key[:100]!r} cannot be an object's key",
        hint="parts of letters, digits and ._=+@- that do not start with a dot, joined by /",
    )


def checked_prefix(prefix: str) -> str:
    """`prefix` itself, if keys could start with it. Raises StorageError."""
    if _PREFIX.fullmatch(prefix):
        return prefix
    raise StorageError(f"{prefix[:100]!r} cannot be the start of an object's key")


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def adopt(stored: ObjectInfo, data: bytes, sha256: str, location: str) -> PutResult:
    """The result of a put that found `stored` under its key. Raises ObjectExistsError."""
    if (stored.bytes, stored.sha256) == (len(data), sha256):
        return PutResult(created=False, sha256=sha256, bytes=len(data))
    raise ObjectExistsError(
        f"an object of other content is stored already (sha256 {stored.sha256}, not {sha256})",
        where=location,
    )
