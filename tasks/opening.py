"""Opens the environment of a process: database, object store, workspace."""

import os
import socket
import uuid

from adloom.errors import ConfigurationError
from db.engine import Database
from db.migrate import check
from db.queries import workspaces
from tasks.environment import Environment
from tasks.settings import Settings

FLOWS_AT_ONCE = 2


def open_environment(
    settings: Settings, database_url: str, *, flows_at_once: int = FLOWS_AT_ONCE
) -> Environment:
    """An open environment; `environment.database.dispose()` closes it.

    `flows_at_once`: for how many flow runs. One that plans takes up to five connections of Postgres
    and its heartbeat another: where it had to wait for one, its lease would run out.

    Raises DatabaseUnavailableError, SchemaMismatchError when the schema is not this version's, and
    ConfigurationError for a storage address that cannot be used.
    """
    check(database_url)
    # The pool grows to twice as many.
    database = Database(database_url, pool_size=max(5, 3 * flows_at_once))
    with database.transaction() as tx:
        workspace_id = workspaces.ensure(tx, settings.workspace)
    return Environment(
        database=database,
        store=settings.storage().open(),
        workspace=settings.workspace,
        workspace_id=workspace_id,
        rendering=settings.rendering(),
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
        allow_private_addresses=settings.allow_private_addresses,
        s3_endpoint=settings.s3_endpoint,
        gpu_hour_price=settings.hourly_price(),
        webhooks=settings.webhooks(),
    )


def open_from_settings(*, flows_at_once: int = FLOWS_AT_ONCE) -> Environment:
    """The environment of a process that Prefect started: all of it is in its settings."""
    settings = Settings.load()
    if settings.database_url is None:
        raise ConfigurationError(
            "a flow that Prefect starts needs the database's address",
            where="ADLOOM_DATABASE_URL",
            hint="set it in the worker's environment, with ADLOOM_STORAGE_URL",
        )
    url = settings.database_url.get_secret_value()
    return open_environment(settings, url, flows_at_once=flows_at_once)
