"""Rows as values: what the database hands out and takes in beyond the core's own types.

All times are UTC. A `finish hash` is `FinishingSpec.finish_hash`.
"""

from adloom.records.batches import (
    AttemptRecord,
    BatchRecord,
    Lease,
    ReapCounts,
    RenderWork,
    StoredRender,
    Submission,
)
from adloom.records.campaigns import CampaignApplied, CampaignRecord, Change
from adloom.records.catalogue import (
    PhotoProblem,
    PhotoSharing,
    PhotoValidators,
    ProductPhoto,
    ProductView,
    StoredSource,
    SyncRecord,
    SyncState,
    UpsertCounts,
)
from adloom.records.creatives import CreativeFilter, CreativeView, ProductSummary, ReviewRecord
from adloom.records.judging import (
    FinishPage,
    FinishPlace,
    FinishWork,
    ItemVerdict,
    JudgeItem,
    RejectedItem,
    Rendition,
)
from adloom.records.recalls import RecallCounts, RecallFilter, RecallRecord
from adloom.records.runs import (
    CancelCounts,
    Conservation,
    FailedItem,
    FailureFilter,
    KnownCounts,
    Pace,
    PlanCounts,
    ReopenCounts,
    RunLease,
    RunRecord,
    RunSummary,
)
from adloom.records.workers import WorkerRecord

__all__ = [
    "AttemptRecord",
    "BatchRecord",
    "CampaignApplied",
    "CampaignRecord",
    "CancelCounts",
    "Change",
    "Conservation",
    "CreativeFilter",
    "CreativeView",
    "FailedItem",
    "FailureFilter",
    "FinishPage",
    "FinishPlace",
    "FinishWork",
    "ItemVerdict",
    "JudgeItem",
    "KnownCounts",
    "Lease",
    "Pace",
    "PhotoProblem",
    "PhotoSharing",
    "PhotoValidators",
    "PlanCounts",
    "ProductPhoto",
    "ProductSummary",
    "ProductView",
    "ReapCounts",
    "RecallCounts",
    "RecallFilter",
    "RecallRecord",
    "RejectedItem",
    "RenderWork",
    "Rendition",
    "ReopenCounts",
    "ReviewRecord",
    "RunLease",
    "RunRecord",
    "RunSummary",
    "StoredRender",
    "StoredSource",
    "Submission",
    "SyncRecord",
    "SyncState",
    "UpsertCounts",
    "WorkerRecord",
]
