"""What a run shows on Prefect's pages: progress, yield table, contact sheet."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from uuid import UUID

import httpx
import structlog
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectException

from adloom.errors import AdloomError
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.imaging.sheets import SheetRow, contact_sheet
from adloom.keys import photo_key
from adloom.records import RunRecord
from adloom.states import Outcome
from db.queries import creatives
from tasks.environment import Environment
from tasks.leisure import Leisure
from tasks.pictures import flatten
from tasks.reports import RunReport
from tasks.runs import in_flight

log = structlog.get_logger(__name__)
SHEET_ROWS = 8
MOVE_EVERY_S = 5.0


class RunArtifacts:
    """The artifacts of one run; `start` makes its progress bar.

    They are for looking at: a Prefect server that does not answer leaves them out and stops no run.
    """

    def __init__(self, env: Environment, run: RunRecord) -> None:
        self._env, self._run = env, run
        self._bar: UUID | None = None
        self._total = 0
        self._leisure = Leisure(MOVE_EVERY_S)

    async def start(self) -> None:
        """Makes the progress bar."""
        with _only_for_looking():
            self._total = await asyncio.to_thread(in_flight, self._env, self._run.id)
            self._bar = await acreate_progress_artifact(
                progress=0.0 if self._total else 100.0,
                key=f"run-{self._run.id}-progress",
                description=f"{self._total} renders to make for run {self._run.id}",
            )

    async def progress(self) -> None:
        """Moves the bar to the share of renders that are there, every few seconds."""
        if self._bar is None or not self._leisure.is_due:
            return
        with _only_for_looking(), self._leisure.look():
            left = await asyncio.to_thread(in_flight, self._env, self._run.id)
            self._total = max(self._total, left)
            if not self._total:
                return
            await aupdate_progress_artifact(
                self._bar, progress=100.0 * (self._total - left) / self._total
            )

    async def report(self, made: RunReport) -> None:
        """The yield table and a contact sheet of some of the run's creatives."""
        run = self._run.id
        rows = [
            {
                "scene": y.scene,
                "items": y.items,
                "approved": y.approved,
                "needs review": y.needs_review,
                "rejected": y.rejected,
                "failed": y.failed,
                "yield": f"{100 * y.share:.0f} %",
            }
            for y in made.yields
        ]
        with _only_for_looking():
            await acreate_table_artifact(
                rows,
                key=f"run-{run}-yield",
                description=f"Yield by scene of run {run} of {self._run.campaign}",
            )
        with _only_for_looking():
            sheet = await asyncio.to_thread(_contact_sheet, self._env, run)
            if sheet is None:
                return
            await acreate_image_artifact(
                "data:image/jpeg;base64," + base64.b64encode(sheet).decode(),
                key=f"run-{run}-contact-sheet",
                description=f"photo | raw | finished, from run {run} of {self._run.campaign}",
            )


@contextmanager
def _only_for_looking() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, PrefectException, AdloomError) as error:
        log.warning("an artifact is left out", error=str(error))


def _contact_sheet(env: Environment, run_id: int) -> bytes | None:
    """A small JPEG: photo | raw | finished of some creatives; None if there is none."""
    rows: list[SheetRow] = []
    with env.database.transaction() as tx:
        judged = (Outcome.APPROVED, Outcome.NEEDS_REVIEW, Outcome.REJECTED)
        views = list(islice(creatives.of_run(tx, run_id, outcomes=judged), SHEET_ROWS * 20))
    step = max(1, len(views) // SHEET_ROWS)
    for view in views[::step][:SHEET_ROWS]:
        if view.render is None or view.rendition is None:
            continue
        photo = flatten(decode(env.store.get(photo_key(env.workspace, view.spec.photo_sha256))))
        raw = decode(env.store.get(view.render.object_key))
        finished = flatten(decode(env.store.get(view.rendition.object_key)))
        label = f"{view.product.external_id} · {view.slot.scene_slug} · {view.outcome}"
        rows.append(SheetRow(label, photo, raw, finished))
    return encode(contact_sheet(rows), ImageFormat.JPEG, 82) if rows else None
