"""One batch, rendered, finished, scored."""

import asyncio
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from adloom.errors import ConflictError, HandedBackError
from tasks.environment import current
from tasks.generate import BatchReport, generate


@flow(name="generate-batch")
async def generate_batch(batch_id: int, model: str) -> BatchReport | State[Any]:
    """Renders what is left of a batch with the models of this process.

    Safe to run late or twice: a batch that has ended or that another worker holds is left alone. A
    batch handed back is submitted again by whoever coordinates its run.

    The flow run is all that Prefect keeps of a batch: a task run in it, and a name given by the
    flow, would double what its server has to do.
    """
    try:
        return await asyncio.to_thread(
            generate, current(), batch_id, model=model, flow_run_id=flow_run.id or None
        )
    except ConflictError as error:
        return Completed(name="Skipped", message=str(error))
    except HandedBackError as error:
        return Cancelled(message=str(error))
