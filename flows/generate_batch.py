"""One batch, rendered, finished, scored."""

from prefect import flow
from prefect.runtime import flow_run

from tasks import steps
from tasks.generate import BatchReport


@flow(name="generate-batch", flow_run_name="batch-{batch_id}")
async def generate_batch(batch_id: int, model: str) -> BatchReport:
    """Renders what is left of a batch with the models of this process."""
    return await steps.render_batch(batch_id, model, flow_run.id or None)
