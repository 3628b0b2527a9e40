"""The states that rows go through. Enums here, enums in Postgres."""

from enum import StrEnum


class RenderState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    RENDERED = "rendered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunState(StrEnum):
    PLANNING = "planning"
    RENDERING = "rendering"
    JUDGING = "judging"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptEnding(StrEnum):
    """How an attempt at a batch ended. `crashed` and `lost` are the ends of a process."""

    FINISHED = "finished"
    RETURNED = "returned"  # after an error that trying again can mend; counts as an attempt
    DRAINED = "drained"  # the worker stops, or its installation is at fault; does not count
    FAILED = "failed"
    CRASHED = "crashed"  # the device failed, and the process had to end
    LOST = "lost"  # the worker died or fell silent
    EVICTED = "evicted"  # it was draining when it was ended; does not count


class WorkerState(StrEnum):
    WORKING = "working"
    DRAINING = "draining"
    STOPPED = "stopped"


class Trigger(StrEnum):
    MANUAL = "manual"
    SCHEDULE = "schedule"
    RETRY = "retry"


class Disposition(StrEnum):
    """Whether a run item's render had to be made or was there already."""

    NEW = "new"
    REUSED = "reused"


class Outcome(StrEnum):
    """How a run item stands. All but `open` are ends; only `failed` can be opened again."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a rejected draw that was followed by the next one


class ReviewDecision(StrEnum):
    """What a person said of an image. `undo` takes back the same person's word before it."""

    APPROVE = "approve"
    REJECT = "reject"
    UNDO = "undo"


class Role(StrEnum):
    """What an account may do, each role all that the ones before it may."""

    VIEWER = "viewer"  # looks
    REVIEWER = "reviewer"  # decides on creatives
    OPERATOR = "operator"  # starts, pauses, retries, changes campaigns and masks
    ADMIN = "admin"  # accounts, the audit log

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)
