"""The tables, by subject. `metadata` is what the migrations must amount to."""

from db.schema import campaigns, catalog, recalls, renders, runs
from db.schema.base import Base

metadata = Base.metadata

__all__ = ["Base", "campaigns", "catalog", "metadata", "recalls", "renders", "runs"]
