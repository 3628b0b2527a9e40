"""What S3 and boto3 say when something is wrong, as the errors of adloom."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as S3ConnectionError

from adloom.errors import (
    AdloomError,
    BucketMissingError,
    ObjectMissingError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)

_KEYS_HINT = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)"
_BUSY = {"SlowDown", "Throttling", "RequestTimeout", "ServiceUnavailable", "InternalError"}
_EXPIRED = {"ExpiredToken", "InvalidToken", "ExpiredTokenException"}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"}


def http_status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raises what boto3 raises within the block as an AdloomError that names `where`."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, where) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageDeniedError(
            "there are no S3 credentials", where=where, hint=_KEYS_HINT
        ) from error
    except (S3ConnectionError, HTTPClientError) as error:
        raise StorageUnavailableError(
            f"the S3 server does not answer: {_first_line(error)}",
            where=where,
            hint="check ADLOOM_S3_ENDPOINT and the network",
        ) from error
    except BotoCoreError as error:
        raise StorageError(f"S3 cannot be used: {_first_line(error)}", where=where) from error


def _from_answer(error: ClientError, where: str) -> AdloomError:
    code, status = error_code(error), http_status(error)
    if code == "NoSuchBucket":
        bucket = where.removeprefix("s3://").partition("/")[0]
        return BucketMissingError(
            f"the bucket {bucket!r} does not exist",
            where=where,
            hint="make it, or set ADLOOM_STORAGE_URL to one that exists",
        )
    if code in {"NoSuchKey", "404"} or status == 404:
        return ObjectMissingError(where=where)
    if code in _ELSEWHERE or status == 301:
        return StorageError(
            "the bucket is in another region", where=where, hint="set AWS_REGION to it"
        )
    if code in _EXPIRED:
        return StorageDeniedError("the S3 credentials have expired", where=where)
    if code == "RequestTimeTooSkewed":
        return StorageDeniedError(
            "this machine's clock is too far off the S3 server's",
            where=where,
            hint="set it by NTP (timedatectl set-ntp true)",
        )
    if status in {401, 403}:
        return StorageDeniedError(
            f"the S3 server refused the credentials ({code})", where=where, hint=_KEYS_HINT
        )
    if status >= 500 or code in _BUSY:
        return StorageUnavailableError(f"the S3 server is busy ({code})", where=where)
    return StorageError(f"the S3 server refused: {_first_line(error)}", where=where)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
