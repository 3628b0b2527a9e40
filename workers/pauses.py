"""How long a worker keeps a place free of work after a fault of the installation.

A batch that is given back is submitted again at once: hundreds of workers without keys to the store
would keep Prefect's server busy all night, which is one process.
"""

import random

from adloom.errors import AdloomError, ModelError

FIRST_S, LONGEST_S = 5.0, 120.0


class Pauses:
    """Pauses that double with each fault in a row."""

    def __init__(self) -> None:
        self._faults = 0

    def reset(self) -> None:
        """A flow run met no fault of the installation."""
        self._faults = 0

    def after(self, error: AdloomError) -> float:
        """Seconds, with jitter. Of weights that a worker lacks coordinators know, and other models'
        batches may come: such pauses stay short."""
        self._faults += 0 if isinstance(error, ModelError) else 1
        doublings = min(max(0, self._faults - 1), 20)
        return min(LONGEST_S, FIRST_S * 2.0**doublings) * random.uniform(0.8, 1.0)
