"""A product feed at one location, read as a stream of product records."""

import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from adloom.catalog import Blob, Delivery, Ending, ProductRecord, RejectedRow
from adloom.errors import FeedError
from adloom.feed_rows import FeedRow, is_web_address, product_record
from catalog_connectors.addresses import shown
from catalog_connectors.feed.delimited import delimited_rows
from catalog_connectors.feed.download import (
    Downloaded,
    DownloadLimits,
    HttpDownload,
    blob_download,
    options_known,
)
from catalog_connectors.feed.json_items import json_rows
from catalog_connectors.feed.locations import (
    addressed_photo,
    local_path,
    local_photo,
    remote_photo,
)
from catalog_connectors.feed.options import FeedOptions
from catalog_connectors.feed.text import decoded, detected_encoding, lines
from catalog_connectors.feed.unpacking import HEAD_BYTES, Content, FeedFormat, Unpacking
from catalog_connectors.feed.xml_items import xml_rows
from catalog_connectors.references import Referenced

READER = 1
"""Moves when rows come to be read differently: a feed that has not changed is then read again."""


class FeedSource:
    """A feed; a `CatalogSource`. `blob` reads one at an `s3://` address.

    `cursor` is what the last complete reading ended with: a remote feed that has not changed since
    is not read.
    """

    def __init__(
        self,
        location: str,
        *,
        allow_private: bool,
        options: FeedOptions,
        blob: Blob | None = None,
        cursor: Mapping[str, Any] | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._options = options
        self._blob = blob
        self._cursor = cursor or {}
        self._ending = Ending(certain=False)
        self._url: Referenced | None = None
        self._path: Path | None = None
        self._base = ""
        if location.lower().startswith(("http://", "https://", "${")):
            self._url = Referenced(location)
            self._url.refuse_secrets()
            self._where = _shown(self._url)
        elif blob is not None:
            self._where = blob.location
        else:
            self._path = local_path(location)
            self._where = str(self._path)

    @property
    def delivery(self) -> Delivery:
        return self._options.delivery

    @property
    def ending(self) -> Ending:
        return self._ending

    def records(self) -> Iterator[ProductRecord | RejectedRow]:
        """Products and rejected rows in the feed's order; reads while the caller takes."""
        self._ending = Ending(certain=False)
        mapping = self._options.fields
        with ExitStack() as stack:
            file = self._opened(stack)
            got = self._fetched(file)
            if got.unchanged:
                self._ending = Ending(unchanged=True, cursor=self._cursor)
                return
            file.seek(0)
            unpacking = Unpacking(
                stack,
                where=self._where,
                max_bytes=self._options.max_bytes,
                member=self._options.member,
            )
            content = unpacking.content(file, proven=got.proven)
            content.downloaded = self._path is None
            for row in self._rows(content):
                if isinstance(row, RejectedRow):
                    yield row
                else:
                    yield product_record(row, mapping, self._resolve_photo)
            known = content.certain and got.validators  # what may be cut off is to be read again
            cursor = {**got.validators, "reader": READER} if known else {}
            self._ending = Ending(certain=content.certain, cursor=cursor)

    def _opened(self, stack: ExitStack) -> BinaryIO:
        if self._path is None:
            return cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):  # a pipe would be waited for
                raise FeedError("the feed is no file", where=self._where, hint="give a file's path")
            return stack.enter_context(self._path.open("rb"))
        except (OSError, ValueError) as error:
            raise FeedError(
                f"the feed cannot be read: {getattr(error, 'strerror', None) or error}",
                where=self._where,
                hint="give the path of a feed that adloom may read",
            ) from error

    def _fetched(self, file: BinaryIO) -> Downloaded:
        limits = DownloadLimits(self._options.max_bytes, self._options.max_seconds)
        known = options_known(self._cursor) if self._cursor.get("reader") == READER else {}
        if self._url is not None:
            url = self._url.resolved()
            if not is_web_address(url):
                raise FeedError("this is not a complete http(s) address", where=self._where)
            self._base = str(httpx.URL(url).copy_with(userinfo=b"", query=None, fragment=None))
            return HttpDownload(
                url,
                file,
                where=self._where,
                allow_private=self._allow_private,
                limits=limits,
                known=known,
            ).run()
        if self._blob is not None:
            return blob_download(self._blob, file, limits=limits, known=known)
        return Downloaded(False, False, {})

    def _rows(self, content: Content) -> Iterator[FeedRow | RejectedRow]:
        mapping, encoding = self._options.fields, self._options.encoding
        if content.format is FeedFormat.PARQUET:
            from catalog_connectors.feed.parquet import parquet_rows  # 40 MB that few feeds need

            return parquet_rows(content, mapping)
        if content.format is FeedFormat.XLSX:
            from catalog_connectors.feed.workbook import workbook_rows

            return workbook_rows(content, mapping)
        head = content.file.peek(HEAD_BYTES)  # pyright: ignore[reportAttributeAccessIssue]
        begins = _beginning(head, encoding)
        if begins.lower().startswith(("<!doctype html", "<html")):
            raise FeedError(
                "the feed is a web page",
                where=self._where,
                hint="give the address of the feed itself",
            )
        if begins.startswith("<"):
            return xml_rows(content.file, content, mapping, encoding)
        chunks = decoded(content.file, head, encoding=encoding, where=self._where)
        if begins.startswith(("{", "[")):
            first = next(chunks, "")
            return json_rows(chain([first], chunks), first, content, mapping)
        text = lines(chunks, where=self._where)
        return delimited_rows(text, content, mapping, self._options.delimiter)

    def _resolve_photo(self, written: str) -> str:
        """A photo location that is not an http(s) address, resolved against the feed's own."""
        if self._url is not None:
            return remote_photo(written, self._base)
        if self._path is not None:
            return local_photo(written, self._path.parent, self._options.allow_outside)
        return addressed_photo(written)


def _shown(url: Referenced) -> str:
    """The address as it may be told. Raises FeedError for one that is not complete."""
    if url.text.startswith("${"):
        return url.text
    plain = url.without_references()
    if not is_web_address(plain):
        raise FeedError(f"'{url.text}' is not a complete http(s) address")
    return shown(plain)


def _beginning(head: bytes, encoding: str | None) -> str:
    """The first characters that are not blank."""
    name, mark = detected_encoding(head)
    return head[mark:].decode(encoding or name or "utf-8", "replace").lstrip()[:200]
