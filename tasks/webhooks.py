"""Events of runs told to webhooks: at least once, with an id, signed; a run never waits for it."""

import hashlib
import hmac
import json
import random
import time
from collections.abc import Iterator
from itertools import islice

import httpx
import structlog

from adloom.errors import AdloomError
from adloom.records import RunEvent
from catalog_connectors.connections import open_client, within
from db.queries import events
from tasks.endpoints import variable_of
from tasks.environment import Environment, Webhook

log = structlog.get_logger(__name__)

SIGNATURE, EVENT_ID = "Adloom-Signature", "Adloom-Event-Id"
ANSWER_S = 10.0
AT_ONCE = 20
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 3600.0
GIVE_UP_S = 3 * 86_400.0
"""Who does not answer for three days is not told any more."""


def deliver(env: Environment) -> int:
    """Tells what is due to be told; returns how many events were delivered.

    What fails is noted with its reason and tried again later. Raises what the database raises.
    """
    return sum(_delivered(env, one) for one in islice(_due(env), AT_ONCE))


def _due(env: Environment) -> Iterator[RunEvent]:
    """Events, each claimed when it is asked for: a claim lasts for telling one, not for many whose
    receivers take their time."""
    while True:
        with env.database.transaction() as tx:
            one = events.claim(tx, env.workspace_id)
        if one is None:
            return
        yield one


def _delivered(env: Environment, one: RunEvent) -> bool:
    failed = _tell(env, one)
    with env.database.transaction() as tx:
        if failed is None:
            events.note_delivered(tx, one.number)
            return True
        wait_s = wait_before(one.attempts) if one.age_s < GIVE_UP_S else None
        events.note_failed(tx, one.number, failed, wait_s=wait_s)
    log.warning("a webhook was not told", webhook=one.webhook, event_id=one.id, run=one.run_id,
                reason=failed)  # fmt: skip
    return False


def wait_before(attempts: int) -> float:
    """Seconds before the next attempt: doubling, with jitter."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20)) * random.uniform(0.5, 1)


def _tell(env: Environment, one: RunEvent) -> str | None:
    """Posts an event; why it was not taken, None if it was. An address is never part of it."""
    hook = env.webhooks.get(one.webhook)
    if hook is None:
        return f"there is no webhook '{one.webhook}' here: set {variable_of(one.webhook)}"
    body = body_of(one)
    try:
        with (
            within(ANSWER_S),
            open_client(allow_private=env.allow_private_addresses, timeout_s=ANSWER_S) as client,
        ):
            answer = client.post(hook.url, content=body, headers=headers_of(hook, one, body))
    except AdloomError as error:
        return f"{error.error_class}: its address is not allowed (ADLOOM_ALLOW_PRIVATE_ADDRESSES)"
    except httpx.HTTPError as error:
        return f"no answer: {type(error).__name__}"
    return None if answer.is_success else f"it answered {answer.status_code}"


def body_of(one: RunEvent) -> bytes:
    """What is posted: JSON."""
    told = {"id": one.id, "event": one.event, "at": one.created_at.isoformat(), **one.payload}
    return json.dumps(told, ensure_ascii=False, sort_keys=True).encode()


def headers_of(hook: Webhook, one: RunEvent, body: bytes) -> dict[str, str]:
    """With a secret: `Adloom-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`."""
    headers = {"Content-Type": "application/json", EVENT_ID: one.id, "User-Agent": "adloom"}
    if hook.secret is not None:
        at = str(int(time.time()))
        signed = hmac.new(hook.secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
        headers[SIGNATURE] = f"t={at},v1={signed.hexdigest()}"
    return headers
