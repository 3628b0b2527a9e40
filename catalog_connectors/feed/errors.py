"""What can be wrong with a feed as a file."""

from adloom.errors import FeedError, FeedTruncatedError, UnavailableError

AGAIN = "nothing was taken as missing; fetch it again and sync"


class FeedUnavailableError(FeedError, UnavailableError):
    """The feed's server does not answer."""

    retryable = True
    exit_code = UnavailableError.exit_code


class FeedTooLargeError(FeedError):
    """The feed is larger than its limit."""


class FeedDamagedError(FeedError):
    """The feed's file is damaged."""


def too_large(where: str, max_bytes: int) -> FeedTooLargeError:
    return FeedTooLargeError(
        f"the feed is larger than {max_bytes} bytes",
        where=where,
        hint="raise the source's option max_bytes or split the feed",
    )


def truncated(where: str, what: str) -> FeedTruncatedError:
    return FeedTruncatedError(what, where=where, hint=AGAIN)
