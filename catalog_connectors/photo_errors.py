"""Why a photo cannot be used."""

from enum import StrEnum

from adloom.errors import AddressRefusedError, PhotoError


class PhotoReason(StrEnum):
    """Stable codes, for counting and selecting."""

    EMPTY = "EMPTY"
    TRUNCATED = "TRUNCATED"
    BROKEN = "BROKEN"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"
    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    WRONG_TYPE = "WRONG_TYPE"
    TOO_NARROW = "TOO_NARROW"
    TRANSPARENT = "TRANSPARENT"
    NOT_FOUND = "NOT_FOUND"
    UNREADABLE = "UNREADABLE"
    HTTP_STATUS = "HTTP_STATUS"
    BAD_ADDRESS = "BAD_ADDRESS"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    TOO_SLOW = "TOO_SLOW"
    THROTTLED = "THROTTLED"
    UNREACHABLE = "UNREACHABLE"


class PhotoRefusedError(PhotoError):
    """The photo cannot be used."""

    def __init__(
        self,
        reason: PhotoReason,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.reason, self.message, self.where, self.hint))


class PhotoUnavailableError(PhotoRefusedError):
    """The photo's server does not answer in time; it may later."""

    retryable = True


class PhotoAddressRefusedError(PhotoRefusedError, AddressRefusedError):
    """The photo's address is private or not allowed."""


def _rebuild(
    cls: type[PhotoRefusedError],
    reason: PhotoReason,
    message: str,
    where: str | None,
    hint: str | None,
) -> PhotoRefusedError:
    return cls(reason, message, where=where, hint=hint)
