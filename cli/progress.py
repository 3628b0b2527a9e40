"""A progress bar for a run that goes on in this process, read from the database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adloom.errors import AdloomError
from cli.console import stderr
from tasks.environment import Environment
from tasks.leisure import Leisure
from tasks.runs import own_run

EVERY_S = 1.0


@contextmanager
def shown_progress(env: Environment, *, quiet: bool) -> Iterator[None]:
    """Shows how far the run is that this process executes, while the block runs; nothing where
    stderr is no terminal."""
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
        leisure = Leisure(EVERY_S)
        while not done.wait(EVERY_S):
            if not leisure.is_due:
                continue
            try:
                with leisure.look():
                    line = own_run(env)
            except AdloomError:
                continue  # the run itself reports it; the bar tries again
            if line is not None:
                progress.update(
                    bar, description=line.state, total=line.items, completed=line.rendered
                )
