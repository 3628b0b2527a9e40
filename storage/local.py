"""Objects as files below one folder.

A put writes a temporary file and then links it to its name, which fails if the name is taken:
readers see whole objects only, and of any number of writers exactly one creates the object.
"""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from adloom.errors import (
    AdloomError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from storage.protocol import (
    ObjectInfo,
    PutResult,
    adopt,
    checked_key,
    checked_prefix,
    sha256_of,
)

_UNFINISHED = ".unfinished"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNFINISHED_KEPT_S = 24 * 3600
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}
_GIVEN_UP_AFTER = 3
_NO_SUCH_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore:
    """An ObjectStore in the folder `root`, which is made when it is first needed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        """See ObjectStore. A folder keeps no content type; the picture's own header tells it."""
        del content_type
        path, sha256 = self._path(key), sha256_of(data)
        with _translated(path):
            for _ in range(_GIVEN_UP_AFTER):
                if self._create(path, data):
                    return PutResult(created=True, sha256=sha256, bytes=len(data))
                if stored := self.head(key):
                    adopted = adopt(stored, data, sha256, str(path))
                    with contextlib.suppress(FileNotFoundError):  # deleted just now: put it again
                        os.utime(path)
                        return adopted
        raise StorageUnavailableError("the object comes and goes", where=str(path))

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with _translated(path):
            try:
                return path.read_bytes()
            except _NO_SUCH_FILE as error:
                raise ObjectMissingError(where=str(path)) from error

    def head(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        with _translated(path):
            try:
                modified, data = path.stat().st_mtime, path.read_bytes()
            except _NO_SUCH_FILE:
                return None
        return ObjectInfo(key, len(data), sha256_of(data), datetime.fromtimestamp(modified, UTC))

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with _translated(path):
            return path.is_file()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = checked_prefix(prefix).rpartition("/")[0]
        return self._walk(self._root / folder, f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _translated(path):
            path.unlink(missing_ok=True)

    def check(self) -> None:
        """See ObjectStore. Also clears away what a crash left half-written a day ago."""
        key = f"adloom-check/{uuid.uuid4().hex}"
        first = self.put(key, b"adloom", content_type="text/plain")
        again = self.put(key, b"adloom", content_type="text/plain")
        try:
            if (first.created, again.created) != (True, False) or self.get(key) != b"adloom":
                raise StorageError(
                    "the folder does not keep what is written", where=str(self._root)
                )
        finally:
            self.delete(key)
        self._clear_unfinished()

    def location(self, key: str) -> str:
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _create(self, path: Path, data: bytes) -> bool:
        unfinished = self._root / _UNFINISHED / uuid.uuid4().hex
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(unfinished, path)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink(missing_ok=True)
        _sync_folder(path.parent)
        return True

    def _walk(self, folder: Path, start: str, prefix: str) -> Iterator[ObjectInfo]:
        with _translated(folder):
            try:
                entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
            except (FileNotFoundError, NotADirectoryError):
                return
            named = sorted((e.name + "/" * e.is_dir(follow_symlinks=False), e) for e in entries)
        for name, entry in named:
            key = start + name
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(Path(entry.path), key, prefix)
                continue
            if not key.startswith(prefix):
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted while we walk
                stat = entry.stat(follow_symlinks=False)
                modified = datetime.fromtimestamp(stat.st_mtime, UTC)
                yield ObjectInfo(key, stat.st_size, None, modified)

    def _clear_unfinished(self) -> None:
        oldest = time.time() - _UNFINISHED_KEPT_S
        with _translated(self._root):
            for file in (self._root / _UNFINISHED).glob("*"):
                with contextlib.suppress(FileNotFoundError):
                    if file.stat().st_mtime < oldest:
                        file.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """The file system's errors as ours."""
    try:
        yield
    except OSError as error:
        raise _storage_error(error, path) from error


def _storage_error(error: OSError, path: Path) -> AdloomError:
    reason, where = error.strerror or str(error), str(path)
    if error.errno in _NO_LINKS and error.filename2 is not None:
        return StorageError(
            f"the file system has no hard links ({reason})",
            where=where,
            hint="set ADLOOM_STORAGE_URL to a folder on a local disk, or to s3://bucket",
        )
    if error.errno in _FULL:
        return StorageUnavailableError(
            f"there is no room left ({reason})",
            where=where,
            hint="free some; what waits for it is stored then, and nothing is lost",
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return StorageDeniedError(
            f"the folder cannot be used: {reason}",
            where=where,
            hint="make it writable for this user, or set ADLOOM_STORAGE_URL",
        )
    if isinstance(error, NotADirectoryError | FileExistsError | IsADirectoryError):
        return StorageError(f"a file is in the way: {reason}", where=where)
    return StorageUnavailableError(f"the folder cannot be used: {reason}", where=where)
