"""One batch, rendered, finished, scored."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from adloom.errors import ConflictError, HandedBackError
from tasks import steps
from tasks.generate import BatchReport


@flow(name="generate-batch", flow_run_name="batch-{batch_id}")
async def generate_batch(batch_id: int, model: str) -> BatchReport | State[Any]:
    """Renders what is left of a batch with the models of this process.

    Safe to run late or twice: a batch that has ended or that another worker holds is left alone. A
    batch handed back is submitted again by whoever coordinates its run.
    """
    try:
        return await steps.render_batch(batch_id, model, flow_run.id or None)
    except ConflictError as error:
        return Completed(name="Skipped", message=str(error))
    except HandedBackError as error:
        return Cancelled(message=str(error))
