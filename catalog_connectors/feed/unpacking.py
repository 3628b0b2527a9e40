"""A feed's file -> its content and format, told by its bytes: names lie.

gzip and ZIP are taken off (ZIP around gzip too); what is left is one of the formats.
"""

import gzip
import io
import tempfile
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, cast

from adloom.errors import FeedError
from catalog_connectors.feed.errors import FeedDamagedError, truncated
from catalog_connectors.feed.streams import CHUNK_BYTES, MAX_RATIO, RATIO_FROM_BYTES, BoundedStream

HEAD_BYTES = 4096
MAX_SHARED_TEXT_BYTES = 256 << 20
_MAX_WRAPPERS = 2
_GZIP, _ZIP, _EMPTY_ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06", b"PAR1"
_NOT_FEEDS = (
    (b"\xd0\xcf\x11\xe0", "an Excel file of before 2007", "save it as XLSX or CSV"),
    (b"PARE", "an encrypted Parquet file", "export it unencrypted"),
    (b"7z\xbc\xaf", "a 7z archive", "pack it with gzip or ZIP"),
    (b"BZh", "packed with bzip2", "pack it with gzip or ZIP"),
    (b"\xfd7zXZ", "packed with xz", "pack it with gzip or ZIP"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "pack it with gzip or ZIP"),
    (b"Rar!", "a RAR archive", "pack it with gzip or ZIP"),
    (b"%PDF", "a PDF document", "export the products as TSV, CSV, XML or JSON"),
    (b"\xff\xd8\xff", "a photo", "give the address of the feed itself"),
    (b"\x89PNG", "a picture", "give the address of the feed itself"),
    (b"\x7fELF", "a program", "give the address of the feed itself"),
)


class FeedFormat(StrEnum):
    TEXT = "text"  # delimited, XML or JSON: told apart when its characters are known
    PARQUET = "parquet"
    XLSX = "xlsx"


@dataclass(slots=True)
class Content:
    """A feed's content. `file` can be sought in where the format asks for it.

    `proven`: its length is vouched for, by the server or by a checksum. `downloaded`: it came over
    a connection, which may have ended early. `by_lines` is set by who reads lines, which unlike XML
    or a JSON list have no end of their own; `open_end` where such a text ends within a line.
    """

    file: BinaryIO
    format: FeedFormat
    where: str
    proven: bool
    downloaded: bool = False
    by_lines: bool = False
    open_end: bool = False

    @property
    def certain(self) -> bool:
        """Whether the end is known to be the end."""
        return self.proven or not (self.open_end or (self.downloaded and self.by_lines))


def _spool() -> BinaryIO:
    return cast(BinaryIO, tempfile.TemporaryFile())


class Unpacking:
    """Unpacks one feed file; closes what it opened with `stack`."""

    def __init__(
        self, stack: ExitStack, *, where: str, max_bytes: int, member: str | None = None
    ) -> None:
        self._stack = stack
        self._where = where
        self._max_bytes = max_bytes
        self._member = member

    def content(self, file: BinaryIO, *, proven: bool, wrappers: int = 0) -> Content:
        """The content of a file that can be sought in. Raises FeedError, FeedTruncatedError."""
        head = file.read(8)
        file.seek(0)
        if head.startswith(_GZIP):
            self._check_depth(wrappers)
            return self._gunzipped(file, wrappers)
        if head.startswith((_ZIP, _EMPTY_ZIP)):
            return self._unzipped(file, proven, wrappers)
        if head.startswith(_PARQUET):
            self._check_parquet_end(file)
            return Content(file, FeedFormat.PARQUET, self._where, proven)
        stream = self._bounded(file, self._max_bytes)
        return self._text(stream, proven)

    def _text(self, stream: "io.BufferedReader[BoundedStream]", proven: bool) -> Content:
        head = stream.peek(HEAD_BYTES)
        for sign, what, hint in _NOT_FEEDS:
            if head.startswith(sign):
                raise FeedError(f"the feed is {what}", where=self._where, hint=hint)
        return Content(stream, FeedFormat.TEXT, self._where, proven)

    def _gunzipped(self, file: BinaryIO, wrappers: int) -> Content:
        unzip = self._stack.enter_context(gzip.GzipFile(fileobj=file))
        stream = self._bounded(cast(BinaryIO, unzip), self._max_bytes, file)
        return self._inner(stream, wrappers)

    def _inner(self, stream: "io.BufferedReader[BoundedStream]", wrappers: int) -> Content:
        """What was packed. A format that is read from its end needs it whole, on disk."""
        head = stream.peek(8)
        if not head.startswith((_GZIP, _ZIP, _EMPTY_ZIP, _PARQUET)):
            return self._text(stream, True)
        whole = self._stack.enter_context(_spool())
        while chunk := stream.read(CHUNK_BYTES):
            whole.write(chunk)
        whole.seek(0)
        return self.content(whole, proven=True, wrappers=wrappers + 1)

    def _unzipped(self, file: BinaryIO, proven: bool, wrappers: int) -> Content:
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(file))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise truncated(
                self._where, f"the ZIP archive has no readable directory; it breaks off ({error})"
            ) from error
        names = archive.namelist()
        if "[Content_Types].xml" in names and any(n.startswith("xl/") for n in names):
            self._check_sizes(archive.infolist())
            self._check_texts(archive.infolist())
            file.seek(0)
            return Content(file, FeedFormat.XLSX, self._where, proven)
        self._check_depth(wrappers)
        member = self._chosen(archive)
        self._check_sizes([member])
        try:
            opened = self._stack.enter_context(archive.open(member))
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError) as error:
            raise FeedDamagedError(
                f"'{member.filename[:80]}' in the ZIP archive cannot be read: {error}",
                where=self._where,
                hint="pack it again, without a password",
            ) from error
        return self._inner(self._bounded(cast(BinaryIO, opened), self._max_bytes), wrappers)

    def _chosen(self, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        files = [
            i
            for i in archive.infolist()
            if not i.is_dir()
            and not i.filename.startswith("__MACOSX/")
            and not i.filename.rpartition("/")[2].startswith(".")
        ]
        if self._member is not None:
            files = [i for i in files if i.filename == self._member]
        if len(files) == 1:
            return files[0]
        shown = ", ".join(i.filename[:60] for i in archive.infolist()[:10]) or "nothing"
        if self._member is not None:
            raise FeedError(
                f"the ZIP archive has no file '{self._member[:80]}'",
                where=self._where,
                hint=f"it holds {shown}",
            )
        raise FeedError(
            f"the ZIP archive holds {len(files)} files: {shown}",
            where=self._where,
            hint="name the feed by the source's option member",
        )

    def _check_sizes(self, members: list[zipfile.ZipInfo]) -> None:
        """Refuses bombs by the directory; no member can be read beyond what it says there."""
        unpacked = sum(m.file_size for m in members)
        packed = sum(m.compress_size for m in members)
        if unpacked > self._max_bytes or (
            unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * max(packed, 1)
        ):
            raise FeedError(
                f"{packed} bytes would unpack to {unpacked}",
                where=self._where,
                hint="this is no feed, or raise the source's option max_bytes",
            )

    def _check_texts(self, members: list[zipfile.ZipInfo]) -> None:
        """A workbook's texts lie in one part, which is read into memory whole."""
        size = sum(m.file_size for m in members if m.filename.endswith("sharedStrings.xml"))
        if size > MAX_SHARED_TEXT_BYTES:
            raise FeedError(
                f"the workbook holds {size} bytes of text of {MAX_SHARED_TEXT_BYTES} at most",
                where=self._where,
                hint="save it as CSV",
            )

    def _check_parquet_end(self, file: BinaryIO) -> None:
        size = file.seek(0, io.SEEK_END)
        if size > self._max_bytes:
            raise FeedError(
                f"the feed has {size} bytes of {self._max_bytes} at most", where=self._where,
                hint="raise the source's option max_bytes",
            )  # fmt: skip
        file.seek(max(0, size - 4))
        if size < 12 or file.read(4) != _PARQUET:
            raise truncated(self._where, "the Parquet file breaks off before its footer")
        file.seek(0)

    def _check_depth(self, wrappers: int) -> None:
        if wrappers >= _MAX_WRAPPERS:
            raise FeedError(
                f"the feed is packed more than {_MAX_WRAPPERS} times",
                where=self._where,
                hint="pack it once",
            )

    def _bounded(
        self, source: BinaryIO, max_bytes: int, packed: BinaryIO | None = None
    ) -> "io.BufferedReader[BoundedStream]":
        bounded = BoundedStream(
            source,
            where=self._where,
            max_bytes=max_bytes,
            packed_bytes=packed.tell if packed is not None else None,
        )
        return self._stack.enter_context(io.BufferedReader(bounded, CHUNK_BYTES))
