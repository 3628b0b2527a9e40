"""Webhooks as they are configured: variables of the environment, never rows or campaign files.

`ADLOOM_WEBHOOK_<NAME>` is an address, `ADLOOM_WEBHOOK_<NAME>_SECRET` what its messages are signed
with. A campaign's `webhook: ops-room` names `ADLOOM_WEBHOOK_OPS_ROOM`.
"""

from collections.abc import Mapping

import httpx

from adloom.errors import ConfigurationError
from tasks.environment import Webhook

PREFIX, SECRET = "ADLOOM_WEBHOOK_", "_SECRET"


def is_of_webhook(variable: str) -> bool:
    return variable.upper().startswith(PREFIX)


def variable_of(name: str) -> str:
    """The variable that holds the address of the webhook that a campaign names."""
    return PREFIX + name.upper().replace("-", "_")


def configured(variables: Mapping[str, str]) -> dict[str, Webhook]:
    """The webhooks that these variables name. Raises ConfigurationError, never showing a value."""
    given = {k.upper(): v.strip() for k, v in variables.items() if is_of_webhook(k) and v.strip()}
    found: dict[str, Webhook] = {}
    for variable, value in given.items():
        if variable.endswith(SECRET):
            if variable.removesuffix(SECRET) not in given:
                raise ConfigurationError(
                    f"there is a secret, and no address {variable.removesuffix(SECRET)}",
                    where=variable,
                )
            continue
        name = variable.removeprefix(PREFIX).lower().replace("_", "-")
        found[name] = Webhook(name, _address(variable, value), given.get(variable + SECRET))
    return found


def _address(variable: str, value: str) -> str:
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError("is not an http(s) address", where=variable)
    return value
