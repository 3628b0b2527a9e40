"""Masks for photos that have none yet."""

from prefect import flow

from tasks import steps
from tasks.cutouts import CutoutsReport


@flow(name="extract-cutouts")
async def extract_cutouts() -> CutoutsReport:
    """Extracts the product masks of all photos without one of this extractor's version."""
    return await steps.extract_cutouts()
