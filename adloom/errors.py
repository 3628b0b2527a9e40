"""The one family of errors.

Every error says what was wrong, where, and how to mend it. Whether trying again can help is part
of the class (`retryable`), and so is the command line's exit code.
"""

from dataclasses import dataclass
from typing import ClassVar


def first_line(error: BaseException) -> str:
    """What a library's error says, in a line; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class AdloomError(Exception):
    """Something went wrong in adloom."""

    retryable: ClassVar[bool] = False
    """Whether trying the same again can help."""

    of_installation: ClassVar[bool] = False
    """Whether the installation is at fault (keys, settings, services, weights) and not the picture
    or row at hand: it ends the work, and is never recorded as the picture's own fault."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str | None = None, *, where: str | None = None, hint: str | None = None
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.where = where
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.where, self.hint))

    @property
    def error_class(self) -> str:
        """The stable name under which a failure is recorded and selected for a retry."""
        return type(self).__name__


def _rebuild(
    cls: type[AdloomError], message: str, where: str | None, hint: str | None
) -> AdloomError:
    return cls(message, where=where, hint=hint)


class InvalidInputError(AdloomError):
    """The input cannot be used."""

    exit_code = 2


class FeedError(InvalidInputError):
    """The product feed cannot be read."""


class FeedTruncatedError(FeedError):
    """The product feed ended before its end."""

    retryable = True


class ShrinkRefusedError(FeedError):
    """The feed would deactivate too many products."""


class AddressRefusedError(InvalidInputError):
    """The address is private or not allowed."""


class PhotoError(InvalidInputError):
    """The photo cannot be used."""


class MaskError(InvalidInputError):
    """The mask cannot be used."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a specification: where and what."""

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.field}: {self.message}"


class SpecError(InvalidInputError):
    """The specification cannot be used."""

    def __init__(
        self,
        message: str | None = None,
        *,
        where: str | None = None,
        hint: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self.problems = problems
        if problems:
            message = "; ".join(str(p) for p in problems)
        super().__init__(message, where=where, hint=hint)


class SceneError(SpecError):
    """The scene pack cannot be used."""


class PromptTooLongError(InvalidInputError, ValueError):
    """Not one word of the prompt fits the text encoder."""


class NotFoundError(AdloomError):
    """There is no such thing."""

    exit_code = 3


class ConfigurationError(AdloomError):
    """A setting is missing or wrong."""

    of_installation = True
    exit_code = 4


class UnavailableError(AdloomError):
    """A service that adloom needs does not answer."""

    retryable = True
    of_installation = True
    exit_code = 4


class DeviceError(UnavailableError):
    """The device that renders failed; its process has to be replaced."""


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""


class SchemaMismatchError(ConfigurationError):
    """The database's schema is not the one this version of adloom needs."""


class AccessError(AdloomError):
    """This is not allowed."""


class SignInNeededError(AccessError):
    """You are not signed in."""


class SignInRefusedError(AccessError):
    """The name or the password is wrong."""


class TooManyAttemptsError(AccessError):
    """There were too many failed attempts to sign in; wait a quarter of an hour."""

    retryable = True


class ConflictError(AdloomError):
    """The stored state has changed or contradicts what was asked."""


class ImageChangedError(ConflictError):
    """The creative has another image by now than the one that was seen."""


class DecidedMeanwhileError(ConflictError):
    """Somebody else has decided meanwhile."""


class LeaseLostError(AdloomError):
    """The lease is held by another process; nothing was written."""


class HandedBackError(AdloomError):
    """The work was handed back: its process stops, or somebody asked it to."""

    retryable = True


class StorageError(AdloomError):
    """The object store refused."""

    exit_code = 4


class StorageUnavailableError(UnavailableError):
    """The object store does not answer."""


class StorageDeniedError(StorageError):
    """The object store refused the credentials."""

    of_installation = True


class BucketMissingError(StorageError):
    """The bucket does not exist."""

    of_installation = True


class ObjectMissingError(StorageError):
    """The object does not exist."""


class ObjectExistsError(StorageError):
    """An object of that key exists already, with other content."""


class ModelError(AdloomError):
    """The model or its weights cannot be used."""

    of_installation = True
    exit_code = 4


class CheckpointError(ModelError):
    """The checkpoint is not of this network."""


class RenderError(AdloomError):
    """The render failed."""


class RenderArgumentError(RenderError, ValueError):
    """An argument of the renderer cannot be used."""


class OutOfMemoryError(RenderError):
    """The device ran out of memory."""

    retryable = True


class DeadlyRenderError(RenderError):
    """The render ends every process that makes it."""


def as_render_error(error: Exception) -> AdloomError:
    """An error of ours as it is; any other as a RenderError that names its class."""
    if isinstance(error, AdloomError):
        return error
    return RenderError(f"{type(error).__name__}: {error}")


def ends_the_work(error: AdloomError) -> bool:
    """Whether an error speaks against the work as a whole (an outage, a faulty installation, a
    lost lease) and not only against the picture at hand."""
    return error.retryable or error.of_installation or isinstance(error, LeaseLostError)
