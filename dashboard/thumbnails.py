"""Smaller copies of pictures, made once and kept in a folder of bounded size."""

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.imaging.sheets import thumbnail
from tasks.pictures import flatten

SUFFIX = ".webp"
_QUALITY = 82
_UNFINISHED = ".unfinished"
_TOUCH_EVERY_S = 3600
_ABANDONED_S = 3600


def smaller(content: bytes, side_px: int) -> bytes:
    """A WebP of the picture that fits into side_px², never enlarged; alpha is laid on white.

    Raises InvalidInputError where `content` is no whole picture.
    """
    return encode(thumbnail(flatten(decode(content)), side_px), ImageFormat.WEBP, _QUALITY)


@dataclass(slots=True)
class _Maker:
    """The lock under which one copy is made, and how many wait for it."""

    lock: threading.Lock
    users: int = 0


class ThumbnailCache:
    """Files in `folder`, at most `limit_bytes` in all: those asked for least recently go first.

    Safe for several threads, and for several processes on one folder: a file is whole or absent.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = 2 << 30) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._makers: dict[str, _Maker] = {}
        self._size: int | None = None

    def get(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The copy called `name`; `make` makes it, once, where it is not kept.

        What `make` raises is raised, and nothing is kept. Where the folder cannot be written the
        copy is made and handed out all the same.
        """
        path = self._path(name)
        if (kept := self._kept(path)) is not None:
            return kept
        with self._making(name):
            if (kept := self._kept(path)) is not None:
                return kept
            made = make()
            with suppress(OSError):
                self._keep(path, made)
            return made

    @property
    def size_bytes(self) -> int:
        """What the files take; measured when first asked for, kept up to date from then on."""
        with self._lock:
            return self._measured()

    def _path(self, name: str) -> Path:
        hashed = hashlib.sha256(name.encode()).hexdigest()
        return self._folder / hashed[:2] / f"{hashed}{SUFFIX}"

    def _kept(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
            now = time.time()
            if now - path.stat().st_mtime > _TOUCH_EVERY_S:
                os.utime(path)
        except OSError:
            return None
        return content or None

    @contextmanager
    def _making(self, name: str):
        with self._lock:
            maker = self._makers.setdefault(name, _Maker(threading.Lock()))
            maker.users += 1
        try:
            with maker.lock:
                yield
        finally:
            with self._lock:
                maker.users -= 1
                if not maker.users:
                    self._makers.pop(name, None)

    def _keep(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{_UNFINISHED}-{uuid.uuid4().hex}"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        with self._lock:
            self._size = self._measured() + len(content)
            if self._size > self._limit:
                self._shrink()

    def _measured(self) -> int:
        if self._size is None:
            self._size = sum(size for _, size, _ in self._files())
        return self._size

    def _files(self) -> list[tuple[float, int, Path]]:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob(f"??/*{SUFFIX}"):
            with suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return found

    def _shrink(self) -> None:
        """Down to nine tenths, so that not every new file has the folder read."""
        files = sorted(self._files(), key=lambda f: f[0])
        size = sum(bytes_ for _, bytes_, _ in files)
        for _, bytes_, path in files:
            if size <= self._limit * 0.9:
                break
            with suppress(OSError):
                path.unlink()
                size -= bytes_
        self._size = size
        for path in self._folder.glob(f"{_UNFINISHED}-*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
