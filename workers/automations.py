"""What Prefect does about flow runs whose process is gone: automations of its server.

adloom's own leases decide what becomes of batches and runs. These keep Prefect's pages
truthful, and a flow run that nobody executes from holding its deployment's concurrency slot.
"""

from datetime import timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

HEARTBEAT_LOST_S, PENDING_S = 120, 300
"""Heartbeats come each 30 s (services.prefect_server); who claims a flow run begins it at once."""

_FLOW_RUN = "prefect.flow-run."
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Skipped")
"""Events bear the names of states: `Skipped` is a Completed of ours."""
_GIVEN_BACK = ("HandedBack", "AwaitingConcurrencySlot", "AwaitingRetry", "Scheduled")


def automations() -> tuple[AutomationCore, ...]:
    """Those that `adloom up` installs."""
    return (
        _automation(
            "adloom: heartbeat lost",
            "A flow run whose process died is marked as crashed.",
            after=("heartbeat", "Running"),  # it may die before its first heartbeat is out
            expect=("heartbeat", *_ENDS, *_GIVEN_BACK, "Paused", "Suspended"),
            within_s=HEARTBEAT_LOST_S,
            action=_change(None, StateType.CRASHED, "No heartbeat: its process is gone."),
        ),
        # Nothing was done yet, and nobody else would do it: a campaign has no run of adloom's
        # that the reaper could find before its flow run has begun.
        _automation(
            "adloom: pending too long",
            "A flow run that was claimed by a worker which never began it goes to the next one.",
            after=("Pending",),
            expect=("Running", *_ENDS, *_GIVEN_BACK),
            within_s=PENDING_S,
            action=_change(
                "HandedBack", StateType.SCHEDULED, "Claimed, and not begun: its worker is gone."
            ),
        ),
    )


async def install(client: PrefectClient) -> None:
    """Makes the automations that are missing or of another version; one that somebody switched off
    stays so."""
    for wanted in automations():
        there = await client.read_automations_by_name(wanted.name)
        if len(there) == 1 and _does_the_same(there[0], wanted):
            continue
        for other in there:
            await client.delete_automation(other.id)
        enabled = all(other.enabled for other in there)
        await client.create_automation(wanted.model_copy(update={"enabled": enabled}))


def _does_the_same(one: AutomationCore, other: AutomationCore) -> bool:
    return _told(one) == _told(other) and one.description == other.description


def _told(one: AutomationCore) -> tuple[object, ...]:
    trigger = one.trigger
    if not isinstance(trigger, EventTrigger):
        return (trigger,)
    what = ("state", "name", "message")
    actions = [(a.type, *(getattr(a, of, None) for of in what)) for a in one.actions]
    return trigger.after, trigger.expect, trigger.within, trigger.posture, actions


def _change(name: str | None, state: StateType, message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(name=name, state=state, message=message, force=False)


def _automation(
    name: str,
    description: str,
    *,
    after: tuple[str, ...],
    expect: tuple[str, ...],
    within_s: int,
    action: ChangeFlowRunState,
) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            match={"prefect.resource.id": f"{_FLOW_RUN}*"},
            for_each={"prefect.resource.id"},
            after={_FLOW_RUN + one for one in after},
            expect={_FLOW_RUN + one for one in expect},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[action],
    )
