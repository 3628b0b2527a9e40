"""Deployments' entrypoints, which name flows of adloom."""

from importlib import import_module
from typing import Any

from prefect import Flow

from adloom.errors import ConfigurationError

_FLOWS = "flows."


def flow_at(entrypoint: str) -> Flow[..., Any]:
    """The flow `flows.module:name`. Raises ConfigurationError for what is no flow of adloom."""
    module, _, name = entrypoint.replace(":", ".").rpartition(".")
    if module.startswith(_FLOWS):
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            found = None
        if isinstance(found, Flow):
            return found
    raise ConfigurationError(
        f"the deployment's entrypoint '{entrypoint}' is no flow of adloom",
        hint="run `adloom up --workers N` with this version, or see prefect.yaml",
    )
