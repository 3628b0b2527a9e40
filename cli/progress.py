"""A progress bar for a run that goes on in this process, read from the database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adloom.errors import AdloomError
from cli.console import stderr
from tasks.environment import Environment
from tasks.runs import ENDED, list_runs

EVERY_S = 1.0


@contextmanager
def shown_progress(env: Environment, *, quiet: bool) -> Iterator[None]:
    """Shows how far the latest run is, while the block runs; nothing where it is not a terminal."""
    if quiet or not stderr.is_terminal:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_follow, args=(env, done), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _follow(env: Environment, done: threading.Event) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=stderr, transient=True) as progress:
        bar = progress.add_task("planning", total=None)
        while not done.wait(EVERY_S):
            try:
                latest = list_runs(env, 1)
            except AdloomError:
                continue  # the run itself reports it; the bar tries again
            if latest and latest[0].state not in ENDED:
                line = latest[0]
                progress.update(
                    bar, description=line.state, total=line.items, completed=line.rendered
                )
