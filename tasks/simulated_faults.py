"""Faults that simulated renders suffer, to see what becomes of them.

A file beside the journal of the simulation, `JOURNAL.faults`, holds one JSON object a line:
`{"seed": 7, "fault": "out of memory", "times": 1}`. The journal tells, across processes, how
often a seed was begun; the first `times` suffer the fault.
"""

import json
import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Any

from adloom.errors import AdloomError, OutOfMemoryError, RenderError


class Fault(StrEnum):
    OUT_OF_MEMORY = "out of memory"
    BROKEN = "broken"  # what no repetition mends, as weights that give NaN
    DEADLY = "deadly"  # the process ends as one that the kernel kills


def suffered(journal: Path, seed: int) -> AdloomError | None:
    """What a render whose beginning is in the journal fails with; None if it does not. Does not
    return from a deadly fault."""
    fault = _fault(journal, seed)
    if fault is Fault.DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if fault is Fault.OUT_OF_MEMORY:
        return OutOfMemoryError("a simulated device ran out of memory")
    if fault is Fault.BROKEN:
        return RenderError("the simulated weights give NaN")
    return None


def _fault(journal: Path, seed: int) -> Fault | None:
    of_seed = [line for line in _lines(Path(f"{journal}.faults")) if line["seed"] == seed]
    if not of_seed:
        return None
    begun = sum(line["seed"] == seed for line in _lines(journal))
    return next((Fault(f["fault"]) for f in of_seed if begun <= f["times"]), None)


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
