"""One file of anybody's bucket, read as a stream: a product feed, say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError

from adloom.catalog import BlobVersion
from adloom.errors import (
    ConfigurationError,
    ConflictError,
    ObjectMissingError,
    StorageUnavailableError,
)
from storage.s3 import connect
from storage.s3_errors import http_status, translated

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class S3Blob:
    """A `Blob` in a bucket."""

    client: Any
    bucket: str
    key: str

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def version(self) -> BlobVersion:
        """Raises ObjectMissingError, StorageDeniedError, StorageUnavailableError, StorageError."""
        with translated(self.location):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=self.key)
            except ClientError as error:
                if http_status(error) == 404:
                    raise ObjectMissingError(
                        "there is no such object", where=self.location, hint="check the address"
                    ) from error
                raise
        return BlobVersion(answer["ContentLength"], answer["ETag"])

    def chunks(self, version: BlobVersion, start: int) -> Iterator[bytes]:
        """Raises also ConflictError where the object is another by now."""
        if start >= version.bytes:
            return
        with translated(self.location):
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.key, IfMatch=version.tag, Range=f"bytes={start}-"
                )
                with answer["Body"]:  # which enters as the bare connection
                    yield from answer["Body"].iter_chunks(CHUNK_BYTES)
            except IncompleteReadError as error:
                raise StorageUnavailableError(
                    f"the download broke off: {error}", where=self.location
                ) from error
            except ClientError as error:
                if http_status(error) == 412:
                    raise ConflictError(
                        "the object changed while it was read",
                        where=self.location,
                        hint="sync again",
                    ) from error
                raise


def open_s3_blob(url: str, *, endpoint: str | None = None, region: str | None = None) -> S3Blob:
    """The file at `s3://bucket/key`, the key as it is, nothing quoted; asks no server yet.

    Raises ConfigurationError.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not re.fullmatch(r"[A-Za-z0-9._-]+", bucket) or not key:
        raise ConfigurationError(
            "the address of a file in S3 is s3://bucket/key and nothing more",
            hint="credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    try:
        return S3Blob(connect(endpoint, region), bucket, key)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"S3 cannot be used: {error}",
            where=url,
            hint="see AWS_PROFILE, AWS_REGION and the AWS configuration files",
        ) from error
