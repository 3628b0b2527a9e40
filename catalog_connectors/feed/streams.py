"""Bounded byte streams: a feed is never read past its limit, packed or unpacked."""

import io
import zipfile
import zlib
from collections.abc import Callable
from gzip import BadGzipFile
from typing import BinaryIO

from adloom.errors import AdloomError, FeedError
from catalog_connectors.feed.errors import FeedDamagedError, too_large, truncated

CHUNK_BYTES = 1 << 16
MAX_RATIO = 200
RATIO_FROM_BYTES = 64 << 20
"""Unpacked bytes from which on the ratio counts: short texts may well pack better."""


class BoundedStream(io.RawIOBase):
    """Reads `source` up to `max_bytes`, in this project's errors.

    `packed_bytes` tells how much of the archive was read so far; what unpacks beyond MAX_RATIO of
    it is taken for a bomb.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        where: str,
        max_bytes: int,
        packed_bytes: Callable[[], int] | None = None,
    ) -> None:
        super().__init__()
        self._source = source
        self._where = where
        self._max_bytes = max_bytes
        self._packed_bytes = packed_bytes
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._read(len(buffer))
        self._count += len(data)
        self._check()
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except AdloomError:
            raise
        except EOFError as error:
            raise truncated(self._where, "the compressed feed breaks off") from error
        except (zlib.error, BadGzipFile, zipfile.BadZipFile) as error:
            raise FeedDamagedError(
                f"the compressed feed is damaged: {error}", where=self._where, hint="pack it again"
            ) from error
        except (OSError, RuntimeError, NotImplementedError) as error:
            raise FeedError(
                f"the feed cannot be read: {getattr(error, 'strerror', None) or error}",
                where=self._where,
            ) from error

    def _check(self) -> None:
        if self._count > self._max_bytes:
            raise too_large(self._where, self._max_bytes)
        if self._packed_bytes is not None and self._count > RATIO_FROM_BYTES:
            packed = max(self._packed_bytes(), 1)
            if self._count > MAX_RATIO * packed:
                raise FeedError(
                    f"{packed} bytes unpack to more than {self._count}, over {MAX_RATIO}-fold",
                    where=self._where,
                    hint="this is no feed; if it is one, give it unpacked",
                )
