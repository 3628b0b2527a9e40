"""What a run shows on Prefect's pages: progress, yield table, contact sheet."""

import asyncio
import base64
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import (
    acreate_image_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import decode, encode
from adloom.imaging.sheets import SheetRow, contact_sheet
from adloom.keys import photo_key
from adloom.records import RunRecord
from adloom.states import Outcome
from db.queries import creatives
from tasks.environment import Environment
from tasks.pictures import flatten
from tasks.reports import RunReport
from tasks.runs import in_flight

SHEET_ROWS = 8


class RunArtifacts:
    """The artifacts of one run; entering makes its progress bar."""

    def __init__(self, env: Environment, run: RunRecord) -> None:
        self._env, self._run = env, run
        self._bar: UUID | None = None
        self._total = 0

    async def __aenter__(self) -> Self:
        self._total = await asyncio.to_thread(in_flight, self._env, self._run.id)
        self._bar = await acreate_progress_artifact(
            progress=0.0 if self._total else 100.0,
            key=f"run-{self._run.id}-progress",
            description=f"{self._total} renders to make for run {self._run.id}",
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def progress(self) -> None:
        """Moves the bar to the share of renders that are there."""
        left = await asyncio.to_thread(in_flight, self._env, self._run.id)
        self._total = max(self._total, left)
        if self._bar is not None and self._total:
            await aupdate_progress_artifact(
                self._bar, progress=100.0 * (self._total - left) / self._total
            )

    async def report(self, made: RunReport) -> None:
        """The yield table and a contact sheet of some of the run's creatives."""
        run = self._run.id
        await acreate_table_artifact(
            [
                {
                    "scene": y.scene, "items": y.items, "approved": y.approved,
                    "needs review": y.needs_review, "rejected": y.rejected, "failed": y.failed,
                    "yield": f"{100 * y.share:.0f} %",
                }
                for y in made.yields
            ],
            key=f"run-{run}-yield",
            description=f"Yield by scene of run {run} of {self._run.campaign}",
        )  # fmt: skip
        sheet = await asyncio.to_thread(_contact_sheet, self._env, run)
        if sheet is not None:
            await acreate_image_artifact(
                "data:image/jpeg;base64," + base64.b64encode(sheet).decode(),
                key=f"run-{run}-contact-sheet",
                description=f"photo | raw | finished, from run {run} of {self._run.campaign}",
            )


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
