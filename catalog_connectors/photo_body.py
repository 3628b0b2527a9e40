"""The bytes of a photo's response, never more than its limit, packed or unpacked."""

import zlib

import httpx

from catalog_connectors.http import declared_bytes
from catalog_connectors.photo_decoding import PhotoLimits
from catalog_connectors.photo_errors import PhotoReason, PhotoRefusedError


def read_body(response: httpx.Response, limits: PhotoLimits, where: str) -> bytes:
    """The photo's file. httpx would unpack a coding to any size, so it is taken raw.

    Raises PhotoRefusedError, and httpx.TransportError for one that breaks off.
    """
    declared = declared_bytes(response)
    if declared is not None and declared > limits.max_bytes:
        raise too_large(declared, limits, where)
    packed = _is_packed(response, where)
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > limits.max_bytes:
            raise too_large(len(data), limits, where)
    if declared is not None and len(data) < declared:
        raise httpx.RemoteProtocolError(f"{len(data)} bytes came of {declared}")
    return _unpacked(data, limits, where) if packed else bytes(data)


def too_large(size: int, limits: PhotoLimits, where: str) -> PhotoRefusedError:
    return PhotoRefusedError(
        PhotoReason.TOO_LARGE,
        f"the photo has {size} bytes or more; {limits.max_bytes} are allowed",
        where=where,
        hint="give a smaller file",
    )


def _is_packed(response: httpx.Response, where: str) -> bool:
    """Whether it comes as gzip, which some servers send unasked; other codings are refused."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise PhotoRefusedError(
            PhotoReason.WRONG_TYPE,
            f"the server sent the photo in the coding '{coding[:40]}', unasked",
            where=where,
            hint="let it send the file as it is",
        )
    return coding.endswith("gzip")


def _unpacked(data: bytearray, limits: PhotoLimits, where: str) -> bytes:
    """One layer of gzip taken off, never beyond the limit of bytes."""
    unpacking = zlib.decompressobj(31)
    try:
        content = unpacking.decompress(data, limits.max_bytes + 1)
    except zlib.error as error:
        raise PhotoRefusedError(
            PhotoReason.BROKEN, f"its gzip coding is damaged: {error}", where=where
        ) from error
    if len(content) > limits.max_bytes:
        raise too_large(len(content), limits, where)
    if not unpacking.eof:
        raise httpx.RemoteProtocolError("its gzip coding breaks off")
    return content
