"""What a run says of itself: `loss.csv`, a line on the screen, TensorBoard."""

import csv
from pathlib import Path
from typing import Final

from accelerate import Accelerator

LOSSES: Final = "loss.csv"
HEADER: Final = ("step", "seconds", "loss")


class RunLog:
    """Rank 0's log in `folder`."""

    def __init__(self, folder: Path, accelerator: Accelerator | None = None) -> None:
        self.path, self._accelerator = folder / LOSSES, accelerator

    def write(self, step: int, seconds: float, loss: float, rate: float, speed: str) -> None:
        with self.path.open("a", newline="") as f:
            writer = csv.writer(f)
            if f.tell() == 0:
                writer.writerow(HEADER)
            writer.writerow((step, round(seconds, 1), round(loss, 5)))
        print(f"step {step} {seconds:.0f}s loss {loss:.4f}, {speed}", flush=True)
        if self._accelerator is not None:
            self._accelerator.log({"loss": loss, "learning rate": rate}, step=step)

    def forget_after(self, step: int) -> None:
        """Drops the rows that a resumed run will write again."""
        if not self.path.is_file():
            return
        with self.path.open(newline="") as f:
            rows = list(csv.reader(f))
        kept = [r for r in rows[1:] if len(r) == len(HEADER) and int(r[0]) <= step]
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as f:
            csv.writer(f).writerows([HEADER, *kept])
        temporary.replace(self.path)
