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


def open_environment(settings: Settings, database_url: str) -> Environment:
    """An open environment; `environment.database.dispose()` closes it.

    Raises DatabaseUnavailableError, SchemaMismatchError when the schema is not this version's, and
    ConfigurationError for a storage address that cannot be used.
    """
    check(database_url)
    database = Database(database_url)
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


def open_from_settings() -> Environment:
    """The environment of a process that Prefect started: all of it is in its settings."""
    settings = Settings.load()
    if settings.database_url is None:
        raise ConfigurationError(
            "a flow that Prefect starts needs the database's address",
            where="ADLOOM_DATABASE_URL",
            hint="set it in the worker's environment, with ADLOOM_STORAGE_URL",
        )
    return open_environment(settings, settings.database_url.get_secret_value())
