"""From an address to an object store."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adloom.catalog import Blob
from adloom.errors import ConfigurationError
from storage.local import LocalStore
from storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """Where the objects are, as plain values. Credentials are never part of it."""

    url: str
    endpoint: str | None = None
    region: str | None = None

    def open(self) -> ObjectStore:
        """Raises ConfigurationError."""
        return open_store(self.url, endpoint=self.endpoint, region=self.region)


def open_store(url: str, *, endpoint: str | None = None, region: str | None = None) -> ObjectStore:
    """The store at `file:///folder`, `/folder` or `s3://bucket/prefix`; asks no server yet.

    `endpoint` is the address of an S3-compatible server (none: AWS). S3 credentials come from the
    standard AWS environment and configuration only. Raises ConfigurationError.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return _open_s3(url, endpoint, region)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if not parts.scheme and Path(url).is_absolute():
        return LocalStore(Path(url))
    raise ConfigurationError(
        f"an address of the kind '{parts.scheme or url[:40]}' is none of an object store",
        where="ADLOOM_STORAGE_URL",
        hint="use file:///absolute/folder or s3://bucket/prefix",
    )


def open_blob(url: str, *, endpoint: str | None = None) -> Blob:
    """The file at `s3://bucket/key`, in anybody's bucket. Raises ConfigurationError."""
    from storage.blobs import open_s3_blob  # boto3 takes half a second to import

    return open_s3_blob(url, endpoint=endpoint)


def _open_s3(url: str, endpoint: str | None, region: str | None) -> ObjectStore:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.port or not parts.hostname:
        raise ConfigurationError(
            "an S3 address is s3://bucket/prefix and nothing more",
            where="ADLOOM_STORAGE_URL",
            hint="credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if endpoint is not None and urlsplit(endpoint).scheme not in {"http", "https"}:
        raise ConfigurationError(f"{endpoint!r} is no http(s) address", where="ADLOOM_S3_ENDPOINT")
    from storage.s3 import S3Store  # boto3 takes half a second to import

    return S3Store.open(parts.netloc, parts.path, endpoint=endpoint, region=region)
