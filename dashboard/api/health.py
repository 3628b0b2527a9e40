"""Whether what adloom needs answers; asked by open pages every few seconds."""

import time
from enum import StrEnum
from threading import Lock

from fastapi import APIRouter
from pydantic import BaseModel

from dashboard.access import Viewer
from dashboard.database import Reading, TheDashboard
from services.prefect_server import answers

router = APIRouter(tags=["installation"])
_FRESH_S = 5.0


class Answer(StrEnum):
    RUNNING = "running"
    FAILING = "failing"
    UNKNOWN = "unknown"
    """None was named."""


class Health(BaseModel):
    """A database that does not answer is a `503` instead."""

    database: Answer
    prefect: Answer


@router.get("/health")
def health(person: Viewer, tx: Reading, dashboard: TheDashboard) -> Health:
    """What answers of the servers that adloom needs."""
    del person, tx  # that they could be had shows that the database answers
    return Health(database=Answer.RUNNING, prefect=_PREFECT.answer(dashboard.prefect_api_url))


class _Remembered:
    """One question to Prefect every few seconds, however many pages are open."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[str, tuple[float, Answer]] = {}

    def answer(self, url: str | None) -> Answer:
        if url is None:
            return Answer.UNKNOWN
        with self._lock:
            at, known = self._known.get(url, (0.0, Answer.UNKNOWN))
            if time.monotonic() - at > _FRESH_S or known is Answer.UNKNOWN:
                known = Answer.RUNNING if answers(url) else Answer.FAILING
                self._known[url] = (time.monotonic(), known)
            return known


_PREFECT = _Remembered()
