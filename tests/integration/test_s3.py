"""Objects on a real S3 server, with the same contract as a local folder."""

import time
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest

from adloom.errors import (
    BucketMissingError,
    ConfigurationError,
    ConflictError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
)
from catalog_connectors import open_source
from storage import ObjectStore, open_blob, open_store
from storage.s3 import S3Store
from tests.server_fixtures import S3Server
from tests.unit.intake.feeds import ROWS, rss
from tests.unit.storage.store_contract import StoreContract


@pytest.fixture
def store(s3_server: S3Server, s3_bucket: str) -> ObjectStore:
    return open_store(f"s3://{s3_bucket}/ads", endpoint=s3_server.endpoint)


class TestS3Store(StoreContract):
    pass


def test_content_type_and_hash_are_recorded_with_the_object(
    store: ObjectStore, s3_server: S3Server, s3_bucket: str
) -> None:
    sha256 = store.put("w/k", b"picture", content_type="image/webp").sha256
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    head = client.head_object(Bucket=s3_bucket, Key="ads/w/k")
    client.close()
    assert (head["ContentType"], head["Metadata"]["sha256"]) == ("image/webp", sha256)


def test_two_prefixes_of_one_bucket_do_not_meet(
    store: ObjectStore, s3_server: S3Server, s3_bucket: str
) -> None:
    other = open_store(f"s3://{s3_bucket}/ads2", endpoint=s3_server.endpoint)
    store.put("w/k", b"one", content_type="text/plain")
    other.put("w/k", b"two", content_type="text/plain")
    assert (store.get("w/k"), other.get("w/k")) == (b"one", b"two")
    assert [i.key for i in store.list("")] == ["w/k"]


def test_a_listing_longer_than_one_page_is_complete(store: ObjectStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    keys = [f"w/renders/{n:04d}" for n in range(1003)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"x", content_type="text/plain"), keys))
    assert [i.key for i in store.list("w/renders/")] == keys


def test_an_object_written_by_other_means_is_adopted_or_refused_by_its_content(
    store: ObjectStore, s3_server: S3Server, s3_bucket: str
) -> None:
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    client.put_object(Bucket=s3_bucket, Key="ads/w/k", Body=b"foreign")
    client.close()
    assert not store.put("w/k", b"foreign", content_type="text/plain").created
    with pytest.raises(StorageError, match="other content"):
        store.put("w/k", b"foreigm", content_type="text/plain")


def test_an_adopted_object_is_young_again_and_otherwise_as_it_was(
    store: ObjectStore, s3_server: S3Server, s3_bucket: str
) -> None:
    assert isinstance(store, S3Store)
    store.put("w/k", b"picture", content_type="image/webp")
    before = store.head("w/k")
    time.sleep(1.1)  # S3 keeps times in seconds
    assert not store.put("w/k", b"picture", content_type="image/webp").created
    assert store.head("w/k") == before, "an object of this hour needs no copy"

    eager = replace(store, young=timedelta(0))
    assert not eager.put("w/k", b"picture", content_type="image/webp").created

    after = store.head("w/k")
    assert before is not None
    assert after is not None
    assert after.modified > before.modified
    assert (after.sha256, store.get("w/k")) == (before.sha256, b"picture")
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    head = client.head_object(Bucket=s3_bucket, Key="ads/w/k")
    client.close()
    assert head["ContentType"] == "image/webp"


def test_content_that_is_not_what_was_put_is_noticed(
    store: ObjectStore, s3_server: S3Server, s3_bucket: str
) -> None:
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    client.put_object(Bucket=s3_bucket, Key="ads/w/k", Body=b"rot", Metadata={"sha256": "0" * 64})
    client.close()
    with pytest.raises(StorageError, match="does not match"):
        store.get("w/k")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_ACCESS_KEY_ID", "somebody-else"), ("AWS_SECRET_ACCESS_KEY", "wrong")],
)
def test_wrong_keys_are_one_clear_line(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    store = open_store(f"s3://{s3_bucket}", endpoint=s3_server.endpoint)
    with pytest.raises(StorageDeniedError, match="AWS_ACCESS_KEY_ID") as caught:
        store.check()
    assert "\n" not in str(caught.value)
    assert s3_server.secret_key not in str(caught.value)


def test_a_missing_bucket_is_one_clear_line(s3_server: S3Server, s3_bucket: str) -> None:
    store = open_store(f"s3://{s3_bucket}-gone", endpoint=s3_server.endpoint)
    with pytest.raises(BucketMissingError, match="does not exist") as caught:
        store.check()
    assert "\n" not in str(caught.value)
    assert list(open_store(f"s3://{s3_bucket}", endpoint=s3_server.endpoint).list("")) == []


def test_a_feed_in_a_bucket_is_read_once_and_never_half(
    s3_server: S3Server, s3_bucket: str
) -> None:
    body = rss(ROWS * 30)
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    client.put_object(Bucket=s3_bucket, Key="feeds/in %é?.xml", Body=body)
    blob = open_blob(f"s3://{s3_bucket}/feeds/in %é?.xml", endpoint=s3_server.endpoint)
    first = open_source("feed", blob.location, blob=blob)
    assert len(list(first.records())) == len(ROWS) * 30
    again = open_source("feed", blob.location, blob=blob, cursor=first.ending.cursor)
    assert list(again.records()) == []
    assert again.ending.unchanged

    version = blob.version()
    part = next(iter(blob.chunks(version, 0)))
    assert part + b"".join(blob.chunks(version, len(part))) == body
    client.put_object(Bucket=s3_bucket, Key="feeds/in %é?.xml", Body=rss(ROWS))
    client.close()
    with pytest.raises(ConflictError, match="changed while it was read"):
        list(blob.chunks(version, 0))
    changed = open_source("feed", blob.location, blob=blob, cursor=first.ending.cursor)
    assert len(list(changed.records())) == len(ROWS)
    missing = open_blob(f"s3://{s3_bucket}/none.tsv", endpoint=s3_server.endpoint)
    with pytest.raises(ObjectMissingError, match="no such object"):
        list(open_source("feed", missing.location, blob=missing).records())


@pytest.mark.parametrize("address", ["s3://", "s3://bucket", "s3://u:p@b/k"])
def test_an_address_of_a_file_in_s3_is_bucket_and_key(address: str) -> None:
    with pytest.raises(ConfigurationError, match="s3://bucket/key"):
        open_blob(address)
