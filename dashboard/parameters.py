"""Parameters of paths and queries, as routes take them: within what the database can hold."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

_BIGINT = 2**63 - 1


def _storable(text: str) -> str:
    if "\x00" in text or not text.isprintable():
        raise ValueError("must be printable text")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Any short text from outside; give it a `max_length` by Query or Path."""

IdPath = Annotated[int, Path(ge=1, le=_BIGINT)]
SlugPath = Annotated[Text, Path(min_length=1, max_length=200)]
After = Annotated[int | None, Query(ge=0, le=_BIGINT, description="Go on after this id.")]
Limit = Annotated[int, Query(ge=1, le=200, description="At most this many.")]
Search = Annotated[Text | None, Query(max_length=200)]
