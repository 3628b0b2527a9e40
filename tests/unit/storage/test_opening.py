"""From an address to an object store."""

from pathlib import Path

import pytest

from adloom.errors import ConfigurationError, StorageDeniedError, StorageUnavailableError
from storage import StorageLocation, open_store
from storage.local import LocalStore


def test_a_folder_is_opened_by_address_and_by_path(tmp_path: Path) -> None:
    spaced = tmp_path / "my objects"
    for address in (spaced.as_uri(), str(spaced)):
        store = open_store(address)
        assert isinstance(store, LocalStore)
        store.put("w/k", b"x", content_type="text/plain")
        assert store.location("w/k") == str(spaced / "w" / "k")


def test_an_s3_address_names_bucket_and_prefix() -> None:
    store = StorageLocation("s3://ads/brand/a/", region="eu-central-1").open()
    assert store.location("w/k") == "s3://ads/brand/a/w/k"


@pytest.mark.parametrize(
    "address",
    [
        "objects",
        "ftp://host/x",
        "file://host/x",
        "s3://",
        "s3:///prefix",
        "s3://key:secret@ads/x",
        "s3://ads?region=x",
        "",
    ],
)
def test_unusable_addresses_are_refused_by_the_setting_s_name(address: str) -> None:
    with pytest.raises(ConfigurationError, match="ADLOOM_STORAGE_URL"):
        open_store(address)


def test_an_endpoint_without_a_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ADLOOM_S3_ENDPOINT"):
        open_store("s3://ads", endpoint="localhost:9000")


def test_a_server_that_does_not_listen_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store("s3://ads", endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageUnavailableError, match="ADLOOM_S3_ENDPOINT") as caught:
        store.check()
    assert "\n" not in str(caught.value)


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = open_store("s3://ads", endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageDeniedError, match="AWS_ACCESS_KEY_ID"):
        store.check()
