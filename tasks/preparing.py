"""What a batch needs and no device: its photos and masks, and which of its renders are stored.

Read without a lease. A lease is taken only when the batch is to render: a worker that dies then
loses one batch and not the next as well, whose deaths would be counted against it, and a batch
that waits behind a slow one is not held from a worker that is free. The text encoder and the
reference U-Net run on the device, and wait for their turn.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from adloom.errors import AdloomError, DatabaseUnavailableError, ModelError
from adloom.keys import render_key
from adloom.records import PendingBatch
from adloom.render_spec import RENDERER_VERSION
from db.queries import batches, submissions
from tasks import resident
from tasks.environment import Environment
from tasks.pictures import ProductPictures
from tasks.refusals import refusals

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """`absent`: the fingerprints whose object was not there at the batch's `epoch`; they need not
    be asked for again by who claims it next."""

    batch_id: int
    epoch: int
    pictures: ProductPictures
    absent: frozenset[str]

    def absent_at(self, epoch: int) -> frozenset[str]:
        """The same for a claim: nothing if another worker had the batch in between."""
        return self.absent if epoch == self.epoch + 1 else frozenset()


@contextmanager
def let_go_unless_begun(env: Environment, batch_id: int) -> Iterator[None]:
    """If the block fails before the batch was claimed, the batch is submitted again.

    Where the database is away as well, the flow run's end says the same (tasks/dispatching.py).
    """
    try:
        yield
    except BaseException:
        with suppress(DatabaseUnavailableError), env.database.transaction() as tx:
            submissions.let_go(tx, batch_id, env.owner)
        raise


def prepare(
    env: Environment, batch_id: int, model: str, flow_run_id: str | None = None
) -> PreparedBatch:
    """Loads models and pictures for a batch, and notes who will begin it.

    Raises ModelError if the models of this process are not those that the batch was planned with.
    A picture that cannot be read is left for the render that needs it to report.
    """
    with env.database.transaction() as tx:
        batch = batches.pending(tx, batch_id)
        submissions.take(tx, batch_id, env.owner, flow_run_id)
    pictures = ProductPictures(env.store, env.workspace)
    if not batch.renders:
        return PreparedBatch(batch_id, batch.epoch, pictures, frozenset())
    _require_models(env, model, batch)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="prepare") as pool:
        absent = pool.submit(_absent, env, [r.fingerprint for r in batch.renders])
        for cutout in batch.cutouts[: pictures.capacity]:
            try:
                pictures.get(*cutout)
            except AdloomError as error:
                if error.retryable or error.of_installation:
                    raise
        return PreparedBatch(batch_id, batch.epoch, pictures, absent.result())


def _require_models(env: Environment, model: str, batch: PendingBatch) -> None:
    planned, version = batch.renders[0].weights_hash, batch.renders[0].renderer_version
    if version != RENDERER_VERSION:
        raise ModelError(
            f"was planned for renderer version {version}; this is version {RENDERER_VERSION}",
            where=f"batch {batch.id}",
            hint="run its campaign again with this version: it is planned anew",
        )
    refusals().check(model, planned)
    try:
        at_hand = resident.renderer(model, env.rendering).weights_hash
        resident.saliency_extractor(env.rendering)
        resident.scorer(env.rendering)
        resident.require_pinned(planned, at_hand, where=f"batch {batch.id}")
    except AdloomError as error:
        if error.retryable:
            raise
        cannot = (
            error
            if isinstance(error, ModelError)
            else ModelError(f"cannot render here: {error}", where=f"batch {batch.id}")
        )
        refusals().add(model, planned, cannot)
        raise cannot from error


def _absent(env: Environment, fingerprints: Sequence[str]) -> frozenset[str]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="head") as pool:
        there = pool.map(lambda f: env.store.exists(render_key(env.workspace, f)), fingerprints)
        return frozenset(f for f, found in zip(fingerprints, there, strict=True) if not found)
