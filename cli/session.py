"""From a command to an open environment: settings, running services, database, object store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from services.stack import connect
from tasks.environment import Environment, use
from tasks.opening import open_environment
from tasks.settings import Settings


@contextmanager
def environment() -> Iterator[Environment]:
    """The environment of the running installation, put in place for flows started within.

    Prefect reads its settings when it is imported: import flows inside the block. Raises
    UnavailableError with the mend (`adloom up`) when nothing runs.
    """
    settings = Settings.load()
    running = connect(settings)
    os.environ.update(running.prefect_environment)
    # Prefect's logs go to its server; the terminal is for what the command itself says.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    opened = open_environment(settings, running.database_url)
    try:
        with use(opened):
            yield opened
    finally:
        opened.database.dispose()
