"""Objects in an S3 bucket, on AWS or any server that honours `If-None-Match` on a put."""

import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from adloom.errors import (
    ConfigurationError,
    ObjectMissingError,
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
from storage.s3_errors import error_code, http_status, translated

_TAKEN, _BEING_WRITTEN = 412, 409
_PUT_ATTEMPTS = 8
_YOUNG = timedelta(hours=1)
_DEFAULT_REGION = "us-east-1"  # what S3-compatible servers sign for unless told otherwise


def connect(endpoint: str | None, region: str | None) -> Any:
    """A client of boto3's, with this project's timeouts and retries; connects lazily."""
    session = boto3.Session(region_name=region)
    checksums = "when_supported" if endpoint is None else "when_required"
    return session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=session.region_name or (_DEFAULT_REGION if endpoint else None),
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=48,
            retries={"mode": "standard", "total_max_attempts": 4},
            s3={"addressing_style": "path" if endpoint else "auto"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )


@dataclass(frozen=True, slots=True)
class S3Store:
    """An ObjectStore in `bucket`, its keys below `prefix` (empty, or ending in a slash).

    An adopted object that is older than `young` is copied onto itself, which renews its time.
    """

    client: Any
    bucket: str
    prefix: str
    young: timedelta = _YOUNG

    @classmethod
    def open(
        cls, bucket: str, prefix: str, *, endpoint: str | None, region: str | None
    ) -> "S3Store":
        """Connects lazily. Raises ConfigurationError when the AWS configuration is unusable."""
        prefix = prefix.strip("/")
        if prefix:
            prefix = checked_key(prefix) + "/"
        try:
            return cls(connect(endpoint, region), bucket, prefix)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(
                f"S3 cannot be used: {error}",
                where=f"s3://{bucket}",
                hint="see AWS_PROFILE, AWS_REGION and the AWS configuration files",
            ) from error

    def put(self, key: str, data: bytes, *, content_type: str) -> PutResult:
        sha256 = sha256_of(data)
        for attempt in range(_PUT_ATTEMPTS):
            status = self._put_if_absent(key, data, content_type, sha256)
            if status is None:
                return PutResult(created=True, sha256=sha256, bytes=len(data))
            if status == _TAKEN and (stored := self.head(key)):
                adopted = adopt(stored, data, sha256, self.location(key))
                is_young = datetime.now(UTC) - stored.modified <= self.young
                if is_young or self._renewed(key, content_type, sha256):
                    return adopted
            time.sleep(min(2.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.0))
        raise StorageUnavailableError(
            "other writers keep the object busy", where=self.location(key)
        )

    def get(self, key: str) -> bytes:
        """See ObjectStore. Raises StorageError when the content is not what was put."""
        with translated(self.location(key)):
            answer = self.client.get_object(Bucket=self.bucket, Key=self._name(key))
            with answer["Body"] as body:
                data = body.read()
        recorded = answer["Metadata"].get("sha256")
        if recorded is not None and recorded != sha256_of(data):
            raise StorageError(
                "the object's content does not match its recorded sha256",
                where=self.location(key),
                hint="delete the object; what made it can make it again",
            )
        return data

    def head(self, key: str) -> ObjectInfo | None:
        with translated(self.location(key)):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=self._name(key))
            except ClientError as error:
                if http_status(error) == 404:
                    return None
                raise
        sha256 = answer["Metadata"].get("sha256") or sha256_of(self.get(key))
        return ObjectInfo(key, answer["ContentLength"], sha256, answer["LastModified"])

    def exists(self, key: str) -> bool:
        return self.head(key) is not None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._pages(checked_prefix(prefix))

    def delete(self, key: str) -> None:
        with translated(self.location(key)):
            self.client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def check(self) -> None:
        key = f"adloom-check/{uuid.uuid4().hex}"
        where = f"s3://{self.bucket}/{self.prefix}"
        first = self._put_if_absent(key, b"adloom", "text/plain", sha256_of(b"adloom"))
        again = self._put_if_absent(key, b"other", "text/plain", sha256_of(b"other"))
        try:
            if first is not None or again is None:
                raise StorageError(
                    "the server does not honour If-None-Match, so writers could overwrite "
                    "one another",
                    where=where,
                    hint="use AWS S3, SeaweedFS, MinIO or another server that does",
                )
            if self.get(key) != b"adloom":
                raise StorageError("the bucket does not keep what is written", where=where)
        finally:
            self.delete(key)

    def location(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._name(key)}"

    def _name(self, key: str) -> str:
        return self.prefix + checked_key(key)

    def _put_if_absent(self, key: str, data: bytes, content_type: str, sha256: str) -> int | None:
        """None when the object was created, else the status that says why not: 412 or 409."""
        with translated(self.location(key)):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self._name(key),
                    Body=data,
                    ContentType=content_type,
                    Metadata={"sha256": sha256},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                status = http_status(error)
                if error_code(error) == "PreconditionFailed" or status in (_TAKEN, _BEING_WRITTEN):
                    return _BEING_WRITTEN if status == _BEING_WRITTEN else _TAKEN
                raise
        return None

    def _renewed(self, key: str, content_type: str, sha256: str) -> bool:
        """Makes an object young by copying it onto itself; False if it has just been deleted."""
        try:
            with translated(self.location(key)):
                self.client.copy_object(
                    Bucket=self.bucket,
                    Key=self._name(key),
                    CopySource={"Bucket": self.bucket, "Key": self._name(key)},
                    MetadataDirective="REPLACE",
                    Metadata={"sha256": sha256},
                    ContentType=content_type,
                )
        except ObjectMissingError:
            return False
        return True

    def _pages(self, prefix: str) -> Iterator[ObjectInfo]:
        where = f"s3://{self.bucket}/{self.prefix}{prefix}"
        pages = iter(
            self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
        )
        while True:
            with translated(where):
                page = next(pages, None)
            if page is None:
                return
            for row in page.get("Contents", ()):
                key = row["Key"][len(self.prefix) :]
                yield ObjectInfo(key, row["Size"], None, row["LastModified"])
