"""One batch, rendered, finished, scored."""

from prefect import flow
from prefect.runtime import flow_run

from tasks import steps
from tasks.batching import record_flow_run
from tasks.environment import current
from tasks.generate import BatchReport


@flow(name="generate-batch", flow_run_name="batch-{batch_id}")
async def generate_batch(batch_id: int, model: str) -> BatchReport:
    """Renders what is left of a batch with the models of this process."""
    if flow_run.id:
        record_flow_run(current(), batch_id, str(flow_run.id))
    return await steps.render_batch(batch_id, model)
