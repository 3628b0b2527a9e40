"""Samples that the machine's cores draw while its GPU trains, taken up as they come."""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from training.latents import Bucket, encode_shard, joined
from training.shards import SHARES, Shard, by_native, draw_and_write, read_shards, words_of

QUEUED = 4000
"""Blocks that wait to be drawn."""

SEED_STEP = 100_000
"""Between the seeds of two runs' blocks."""


class Blocks:
    """Blocks of samples, drawn without end in a pool's processes, written to a folder. Where one
    fails, no more are begun, and what is drawn is gone on with."""

    def __init__(
        self, pool: ProcessPoolExecutor, folder: Path, scale: int, size: int, seed: int
    ) -> None:
        self.pool, self.folder = pool, folder
        self.scale, self.size, self.seed = scale, size, seed
        self._numbers = itertools.count()
        self._pending: set[Future[Path]] = set()
        self._done: list[Path] = []
        self._failed: BaseException | None = None
        for _ in range(QUEUED):  # while nobody looks, training, they go on
            self._submit()

    def until(self, deadline: float) -> None:
        """Has them drawn until then (`time.monotonic`)."""
        while self._pending and (left := deadline - time.monotonic()) > 0:
            self._collect(left)

    def stop(self) -> None:
        """No more are begun; what is under way is waited for."""
        for future in self._pending:
            future.cancel()
        while self._pending:
            self._collect(None, again=False)

    def wait_for_one(self) -> None:
        """Until a block at least is done. ModelError where none can be drawn."""
        while not self._done:
            if self._failed is not None or not self._pending:
                raise ModelError(
                    f"no samples can be drawn: {self._failed!r}",
                    where=str(self.folder),
                    hint="fewer workers, or more room there",
                ) from self._failed
            self.wait_for_next()

    def wait_for_next(self) -> None:
        """Until one more is."""
        self._collect(None)

    @property
    def is_drawing(self) -> bool:
        """Whether more are to come."""
        return bool(self._pending)

    def count_done(self) -> int:
        """How many blocks are drawn by now."""
        self._collect(0.0)
        return len(self._done)

    def shards(self, first: int = 0, last: int | None = None) -> list[Shard]:
        """The blocks [first, last) of those that are drawn, joined by native size."""
        folders = self._done[first:last]
        return by_native([shard for folder in folders for shard in read_shards(folder)])

    def _collect(self, patience_s: float | None, *, again: bool = True) -> None:
        done, self._pending = wait(self._pending, patience_s, FIRST_COMPLETED)
        for future in done:
            if future.cancelled():
                continue
            if (error := future.exception()) is not None:
                self._give_up(error)
                continue
            self._done.append(future.result())
            if again and self._failed is None:
                self._try_to_submit()

    def _try_to_submit(self) -> None:
        try:
            self._submit()
        except BrokenProcessPool as error:
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        if self._failed is None:
            print(f"no more samples are drawn: {error!r}", flush=True)
            self._failed = error
            for future in self._pending:
                future.cancel()

    def _submit(self) -> None:
        number = next(self._numbers)
        rng = np.random.default_rng([self.seed, number])
        width, height = list(SHARES)[int(rng.choice(len(SHARES), p=list(SHARES.values())))]
        self._pending.add(
            self.pool.submit(
                draw_and_write,
                self.folder / f"{number:05d}",
                (width * self.scale, height * self.scale),
                self.seed * SEED_STEP + number,
                self.size,
            )
        )


class Mixture:
    """A model's samples, encoded: traced ones and their mirror images, repeated until they are
    about `share` of all rows (once at least, where it is not 0), and drawn ones, of which there are
    always more. smaller: what is done to drawn samples first."""

    def __init__(
        self,
        pipeline: RefAdGenPipeline,
        blocks: Blocks,
        traced: Sequence[Shard],
        share: float,
        smaller: Callable[[Shard], Shard],
    ) -> None:
        self.pipeline, self.blocks, self.share, self.smaller = pipeline, blocks, share, smaller
        self.samples = 0
        """Drawn ones among the rows."""
        self.words = words_of(traced)
        """Of all captions."""
        self._traced = [b for mirror in (False, True) for b in self._encoded(traced, mirror)]
        self._drawn: list[Bucket] = []
        self.taken = 0
        """Blocks among the rows."""

    def buckets(self) -> list[Bucket]:
        """One for each native size, with all that is drawn by now, a block at least."""
        self.blocks.wait_for_one()
        taken, self.taken = self.taken, self.blocks.count_done()
        shards = [self.smaller(s) for s in self.blocks.shards(taken, self.taken)]
        self.samples += sum(len(s) for s in shards)
        self.words |= words_of(shards)
        self._drawn = joined([*self._drawn, *self._encoded(shards)])
        traced, drawn = (sum(map(len, part)) for part in (self._traced, self._drawn))
        wanted = self.share / (1 - self.share) * drawn
        repeats = max(1, round(wanted / traced)) if traced and self.share else 0
        print(f"{self.samples} samples drawn; traced ones {repeats} times", flush=True)
        return joined([*self._drawn, *(self._traced * repeats)])

    def _encoded(self, shards: Sequence[Shard], mirror: bool = False) -> list[Bucket]:
        pipeline = self.pipeline
        return [encode_shard(pipeline, s, mirror=mirror).to(pipeline.device) for s in shards]
