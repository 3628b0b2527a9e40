"""Which of a run's failed items a page or an act means."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from pydantic import Field

from adloom.records import FailureFilter

MOST_ITEMS = 200
ItemId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Items = Annotated[list[ItemId] | None, Query(max_length=MOST_ITEMS)]


def failure_filter(
    run: int, error_class: str | None, reason: str | None, items: Sequence[int] | None
) -> FailureFilter:
    """All given conditions must hold; an empty one holds for all."""
    return FailureFilter(
        run_id=run,
        run_item_ids=tuple(items) if items else None,
        error_class=error_class or None,
        reason=reason or None,
    )


def retry_arguments(chosen: FailureFilter) -> list[str]:
    """The arguments of `adloom` that retry what was chosen."""
    arguments = ["retry", str(chosen.run_id)]
    if chosen.error_class is not None:
        arguments.append(f"--error-class={chosen.error_class}")
    if chosen.reason is not None:
        arguments.append(f"--reason={chosen.reason}")
    return arguments + [f"--item={item}" for item in chosen.run_item_ids or ()]


def in_words(chosen: FailureFilter) -> str:
    """`of run 3, with RenderError, …`."""
    parts = [f"of run {chosen.run_id}"]
    if chosen.error_class:
        parts.append(f"with {chosen.error_class}")
    if chosen.reason:
        parts.append(f"whose error says “{chosen.reason}”")
    if chosen.run_item_ids:
        parts.append(f"of the {len(chosen.run_item_ids)} chosen")
    return ", ".join(parts)
