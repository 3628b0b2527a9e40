"""What this process cannot render: models that are not here, or with other weights than planned.

One campaign's missing weights are no fault of the others: the process goes on, hands such batches
back, and says in its worker's row what it refuses, so that a coordinator knows when nobody is left.
"""

import threading

import structlog

from adloom.errors import ModelError

log = structlog.get_logger(__name__)


class Refusals:
    """Pairs of a model's name and planned weights that this process met and could not serve."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[tuple[str, str], ModelError] = {}

    def check(self, model: str, weights_hash: str) -> None:
        """Raises the ModelError for which the pair was refused before."""
        with self._lock:
            before = self._reasons.get((model, weights_hash))
        if before is not None:
            raise ModelError(before.message, where=before.where, hint=before.hint)

    def add(self, model: str, weights_hash: str, reason: ModelError) -> None:
        with self._lock:
            known = (model, weights_hash) in self._reasons
            self._reasons.setdefault((model, weights_hash), reason)
        if not known:
            log.warning("batches of this model are left to other workers", model=model,
                        weights=weights_hash[:12], reason=str(reason))  # fmt: skip

    def listed(self) -> list[dict[str, str]]:
        """As they stand in the worker's row (`stats.refuses`)."""
        with self._lock:
            return [
                {"model": model, "weights": weights, "reason": str(reason)}
                for (model, weights), reason in self._reasons.items()
            ]


_of_process = Refusals()


def refusals() -> Refusals:
    """Those of this process."""
    return _of_process
