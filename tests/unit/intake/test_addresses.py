import socket

import httpx
import pytest

from adloom.errors import AddressRefusedError, InvalidInputError
from catalog_connectors.addresses import checked_addresses, is_public, shown


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "2002:7f00:1::", "ff02::1",
    ],
)  # fmt: skip
def test_private_addresses_are_known_in_every_disguise(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://2130706433/", "http://[::1]:80/", "http://localhost/x"]
)
def test_spellings_of_loopback_are_refused(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        checked_addresses(httpx.URL(url), allow_private=False)


def test_one_private_address_among_public_ones_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.1"):
        checked_addresses(httpx.URL("http://rebound.example/"), allow_private=False)
    allowed = checked_addresses(httpx.URL("http://rebound.example/"), allow_private=True)
    assert allowed == ["8.8.8.8", "10.0.0.1"]


@pytest.mark.parametrize("url", ["ftp://host/a", "file:///etc/passwd", "/a.jpg"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="http"):
        checked_addresses(httpx.URL(url), allow_private=True)


def test_passwords_and_queries_are_not_told() -> None:
    assert shown("https://me:secret@shop.example/feed?token=1#x") == "https://shop.example/feed"
