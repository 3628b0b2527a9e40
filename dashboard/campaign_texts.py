"""A campaign's text in an editor: what is wrong with it, and what a run of it would do."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends

from adloom.catalog import Price
from adloom.errors import ConflictError, Problem, SpecError
from tasks import campaigns
from tasks.environment import Environment

WHERE = "campaign"
PLAN_TIMEOUT_S = 300.0
Command = Callable[..., dict[str, Any]]
_planning = Lock()


def problems_of(env: Environment, text: str) -> tuple[Problem, ...]:
    """Everything that keeps a campaign's text from being applied; empty where nothing does."""
    try:
        campaigns.checked_text(env, text, where=WHERE)
    except SpecError as error:
        return error.problems or (Problem(None, "(file)", error.message),)
    return ()


def runner() -> Command:
    """What runs a command to its end; tests put another in its place."""
    from services.background import run_command

    return run_command


Run = Annotated[Command, Depends(runner)]


def planned(env: Environment, run: Command, text: str, price: Price | None) -> dict[str, Any]:
    """The dry run of a campaign's text, in a process of its own; one at a time.

    Raises SpecError for a text that cannot work, ConflictError while another plan is made, and what
    the command says.
    """
    campaigns.checked_text(env, text, where=WHERE)
    if not _planning.acquire(blocking=False):
        raise ConflictError("another plan is being made", hint="wait until it is there")
    try:
        with tempfile.TemporaryDirectory(prefix="adloom-plan-") as folder:
            file = Path(folder) / "campaign.yaml"
            file.write_text(text, encoding="utf-8")
            arguments = ["campaign", "plan", f"--file={file}"]
            if price is not None:
                arguments.append(f"--price-per-hour={price.amount} {price.currency}")
            return run(arguments, timeout_s=PLAN_TIMEOUT_S)
    finally:
        _planning.release()
