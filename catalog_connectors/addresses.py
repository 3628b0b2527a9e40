"""Which network addresses a feed may make adloom fetch from.

A feed is outside input, and so is every address in it: without this check a row could point at
the cloud's metadata service or at a machine behind the firewall. The name is resolved once, all
its addresses are checked, and the connection goes to a checked address, so that a name which
resolves differently a moment later changes nothing.
"""

import ipaddress
import socket

import httpcore
import httpx

from adloom.errors import AddressRefusedError, InvalidInputError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def checked_addresses(url: httpx.URL, *, allow_private: bool) -> list[str]:
    """The IP addresses of the URL's host, all of them allowed.

    Raises AddressRefusedError if any is private, loopback, link-local, multicast or otherwise not
    public and `allow_private` is false; httpx.ConnectError if the name does not resolve.
    """
    require_http(url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        return checked_host(url.host, port, allow_private=allow_private)
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error)) from error


def require_http(url: httpx.URL) -> None:
    """Raises InvalidInputError for anything but http(s) with a host."""
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInputError(
            f"'{shown(url)}' is not an http(s) address", hint="write it out: https://host/path"
        )


def checked_host(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The IP addresses of a host, as `checked_addresses`; httpcore.ConnectError if it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name '{host}' does not resolve: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not allow_private and not is_public(address):
            raise AddressRefusedError(
                f"'{host}' is the private address {address}",
                hint="allow private addresses for this source if it is your own network",
            )
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also when wrapped in an IPv6 one."""
    ip: IpAddress = ipaddress.ip_address(address.partition("%")[0])
    return all(a.is_global and not a.is_multicast for a in (ip, *_inside(ip)))


def _inside(ip: IpAddress) -> list[IpAddress]:
    """IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    wrapped: list[IpAddress | None] = [ip.ipv4_mapped, ip.sixtofour]
    wrapped.extend(ip.teredo or ())
    if ip in _NAT64:
        wrapped.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [a for a in wrapped if a is not None]


def shown(url: httpx.URL | str) -> str:
    """The URL as it may be told: without user, password and query."""
    parsed = httpx.URL(url)
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None))
