"""A mask that a person uploads or paints, set as `adloom cutouts set` does."""

from typing import Annotated

from fastapi import Path, UploadFile

from adloom.errors import InvalidInputError
from adloom.records import MaskVersion
from tasks import masks
from tasks.environment import Environment

PhotoPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="The photo's sha256.")]
LARGEST_MASK = 24 << 20


def set_mask(
    env: Environment, photo: str, file: UploadFile, *, given_by: str, note: str
) -> MaskVersion:
    """Makes an uploaded picture the photo's mask, as its next version.

    Raises MaskError for a picture that is no mask of this photo, NotFoundError, and
    InvalidInputError for an empty or too large file.
    """
    content = file.file.read(LARGEST_MASK + 1)
    if not content:
        raise InvalidInputError("no mask was sent", hint="choose a file, or paint one")
    if len(content) > LARGEST_MASK:
        raise InvalidInputError(f"a mask has at most {LARGEST_MASK >> 20} MB")
    return masks.set_mask(env, photo, content, given_by=given_by, note=note)
