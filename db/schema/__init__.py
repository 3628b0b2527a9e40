"""The tables, by subject. `metadata` is what the migrations must amount to."""

from db.schema import access, campaigns, catalog, figures, recalls, renders, runs, workers
from db.schema.base import Base

metadata = Base.metadata

__all__ = [
    "Base",
    "access",
    "campaigns",
    "catalog",
    "figures",
    "metadata",
    "recalls",
    "renders",
    "runs",
    "workers",
]
