"""What becomes of a run is told to its webhook: at least once, signed, and never at its expense."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from adloom.errors import RenderError
from adloom.records import FailureFilter, RunEvent, RunLease, WorkerRecord
from db.queries import events, run_leases, submissions, workers
from storage.local import LocalStore
from tasks import retrying, watching, webhooks
from tasks import runs as run_tasks
from tasks.environment import Environment, Rendering, Webhook
from tests.db.world import World, campaign

SPEC = replace(campaign(formats=("1:1",)), webhook="ops")


@dataclass
class Receiver:
    """An HTTP server that answers with the next of `answers`, 200 once there are none left."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    while_first_waits: Callable[[], object] = lambda: None

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((dict(self.headers), body))
            if len(receiver.got) == 1:
                receiver.while_first_waits()
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("Location", "http://127.0.0.1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


@pytest.fixture
def env(world: World, receiver: Receiver, tmp_path: Path) -> Environment:
    hook = Webhook("ops", f"http://127.0.0.1:{receiver.port}/in?token=hidden", "s3cret")
    return Environment(
        world.database,
        LocalStore(tmp_path),
        world.slug,
        world.ws,
        Rendering(tmp_path),
        owner="me",
        allow_private_addresses=True,
        webhooks={"ops": hook},
    )


def held(world: World, run_id: int) -> RunLease:
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, "me", 60)
    assert lease is not None
    return lease


def noted(world: World, run_id: int) -> tuple[RunEvent, ...]:
    with world.database.transaction() as tx:
        return events.of_run(tx, run_id)


def due_now(world: World) -> None:
    """Lets all that waits for another attempt be due."""
    statement = """UPDATE run_event SET next_attempt_at = now()
        WHERE workspace_id = :ws AND next_attempt_at IS NOT NULL"""
    with world.database.transaction() as tx:
        tx.execute(text(statement), {"ws": world.ws})


def ended(world: World, env: Environment) -> int:
    """A run that has completed."""
    run_id = world.run(SPEC)
    world.render_all(run_id)
    world.judge(run_id)
    run_tasks.complete(env, held(world, run_id))
    return run_id


def test_the_end_of_a_run_is_told_once_and_signed(
    world: World, env: Environment, receiver: Receiver
) -> None:
    run_id = ended(world, env)
    assert webhooks.deliver(env) == 1
    assert webhooks.deliver(env) == 0
    [(headers, body)] = receiver.got
    told = json.loads(body)
    assert (told["event"], told["run"], told["state"]) == ("run.completed", run_id, "complete")
    assert told["outcomes"] == {"approved": 6}
    assert "6 approved" in told["text"]
    assert headers[webhooks.EVENT_ID] == told["id"]
    at, signature = headers[webhooks.SIGNATURE].removeprefix("t=").split(",v1=")
    expected = hmac.new(b"s3cret", at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)
    assert abs(int(at) - datetime.now(UTC).timestamp()) < 60


def test_a_receiver_that_fails_is_told_again_under_the_same_id(
    world: World, env: Environment, receiver: Receiver
) -> None:
    receiver.answers = [500, 302]
    run_id = ended(world, env)
    assert webhooks.deliver(env) == 0
    [waiting] = noted(world, run_id)
    assert waiting.last_error == "it answered 500"
    assert waiting.next_attempt_at is not None
    assert webhooks.deliver(env) == 0, "its time has not come"
    for delivered in (0, 1):  # a redirect is no delivery, and is not followed
        due_now(world)
        assert webhooks.deliver(env) == delivered
    assert {told["id"] for told in receiver.told()} == {waiting.id}
    [done] = noted(world, run_id)
    assert (done.attempts, done.last_error, done.delivered_at is None) == (3, None, False)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"allow_private_addresses": False}, "ADLOOM_ALLOW_PRIVATE_ADDRESSES"),
        ({"webhooks": {}}, "set ADLOOM_WEBHOOK_OPS"),
        ({"webhooks": {"ops": Webhook("ops", "http://127.0.0.1:9/?token=hidden")}}, "ConnectError"),
    ],
)
def test_an_endpoint_that_cannot_be_told_fails_no_run_and_its_address_is_nowhere(
    world: World, env: Environment, receiver: Receiver, changed: dict[str, Any], said: str
) -> None:
    run_id = ended(world, env)
    assert webhooks.deliver(replace(env, **changed)) == 0
    [waiting] = noted(world, run_id)
    assert said in (waiting.last_error or "")
    assert "hidden" not in str(waiting)
    assert "hidden" not in str(env)
    assert receiver.got == []
    due_now(world)
    assert webhooks.deliver(env) == 1, "mended, it is told after all"


def test_after_three_days_nobody_is_told_any_more(
    world: World, env: Environment, receiver: Receiver
) -> None:
    receiver.answers = [503]
    run_id = ended(world, env)
    statement = "UPDATE run_event SET created_at = now() - interval '73 h' WHERE run_id = :run"
    with world.database.transaction() as tx:
        tx.execute(text(statement), {"run": run_id})
    assert webhooks.deliver(env) == 0
    assert noted(world, run_id)[0].next_attempt_at is None


def test_who_claimed_an_event_and_died_leaves_it_to_the_next(
    world: World, env: Environment
) -> None:
    ended(world, env)
    with world.database.transaction() as tx:
        assert events.claim(tx, world.ws) is not None
    assert webhooks.deliver(env) == 0
    due_now(world)
    assert webhooks.deliver(env) == 1


def test_an_event_is_claimed_when_it_is_told_so_that_the_others_are_anybodys_meanwhile(
    world: World, env: Environment, receiver: Receiver
) -> None:
    """An answer takes up to ten seconds: claimed together, the last of many would be told by the
    next process as well, whose turn comes after a minute."""
    for _ in range(3):
        ended(world, env)
    by_another: list[int] = []
    receiver.while_first_waits = lambda: by_another.append(webhooks.deliver(env))
    assert webhooks.deliver(env) == 1
    assert by_another == [2]
    assert len({told["id"] for told in receiver.told()}) == len(receiver.got) == 3


def test_at_its_deadline_a_run_tells_how_far_it_is(
    world: World, env: Environment, receiver: Receiver
) -> None:
    now = datetime.now(UTC)
    passed = f"{(now - timedelta(minutes=1)).strftime('%H:%M')}"
    run_id = world.run(replace(SPEC, deadline=passed))
    later = world.run(replace(SPEC, slug="later", deadline="6h"))
    move = "UPDATE run SET created_at = created_at - interval '2 h' WHERE id = :run"
    with world.database.transaction() as tx:
        tx.execute(text(move), {"run": run_id})
    world.render_all(run_id, fails=lambda n: n == 1)
    for _ in range(2):
        assert watching.look(env) == 2
    assert [(e.event, e.run_id) for e in noted(world, run_id)] == [("deadline", run_id)]
    assert noted(world, later) == ()
    assert webhooks.deliver(env) == 1
    [told] = receiver.told()
    assert told["done_share"] == round(5 / 6, 4)
    expected = f"at {passed} run {run_id} of spring is 83 % done: 5 of 6 creatives, 1 failed"
    assert told["text"] == expected


def test_a_run_on_which_nobody_works_or_that_fails_is_in_trouble(
    world: World, env: Environment
) -> None:
    spec = replace(SPEC, formats=("1:1", "9:16"), variants=2)  # 24 renders
    run_id = world.run(spec)
    assert watching.look(env, run_id) == 1
    assert noted(world, run_id) == ()
    move = "UPDATE run SET created_at = created_at - interval '11 min' WHERE id = :run"
    with world.database.transaction() as tx:
        tx.execute(text(move), {"run": run_id})
    watching.look(env)
    assert [e.event for e in noted(world, run_id)] == ["run.no_workers"]
    world.render_all(run_id, fails=lambda n: n % 3 == 0)
    watching.look(env)
    assert [e.event for e in noted(world, run_id)] == ["run.no_workers", "run.failing"]
    run_tasks.fail(env, held(world, run_id), RenderError("broken"))
    assert [e.event for e in noted(world, run_id)][2:] == ["run.failed"]
    assert watching.look(env) == 0


def aged(world: World, minutes: int) -> None:
    """All that runs and batches did happened so much longer ago."""
    for table, columns in (("run", ("created_at",)), ("batch", ("created_at", "submitted_at"))):
        moved = ", ".join(f"{c} = {c} - make_interval(mins => :minutes)" for c in columns)
        with world.database.transaction() as tx:
            tx.execute(
                text(f"UPDATE {table} SET {moved} WHERE workspace_id = :ws"),
                {"ws": world.ws, "minutes": minutes},
            )


def submit(world: World, run_id: int) -> None:
    with world.database.transaction() as tx:
        submissions.mark(tx, run_id, limit=100)


def give_back(world: World, run_id: int) -> None:
    """A worker takes what was submitted and finds that it can begin none of it."""
    with world.database.transaction() as tx:
        for one in submissions.waiting(tx, run_id):
            submissions.take(tx, one.batch_id, "w:1")
            submissions.let_go(tx, one.batch_id, "w:1")


def test_workers_that_are_there_and_can_begin_nothing_are_trouble(
    world: World, env: Environment
) -> None:
    there = WorkerRecord("w", "w:1", "gpu", "host", 7, "cuda:0", "0.1.0")
    with world.database.transaction() as tx:
        workers.register(tx, world.ws, there, 3600)
    run_id = world.run(SPEC)
    world.cut(run_id, size=2)
    aged(world, 30)
    watching.look(env, run_id)
    assert noted(world, run_id) == (), "it was paused, and its coordinator has not yet gone on"
    submit(world, run_id)
    watching.look(env, run_id)
    assert noted(world, run_id) == (), "they have just been asked"
    for _ in range(5):
        give_back(world, run_id)
        submit(world, run_id)
    watching.look(env, run_id)
    [told] = noted(world, run_id)
    assert told.event == "run.no_workers"
    assert "30 minutes" in told.payload["text"]


def test_trouble_is_told_once_however_many_coordinators_follow_one_another(
    world: World, env: Environment
) -> None:
    spec = replace(SPEC, formats=("1:1", "9:16"), variants=2)  # 24 renders
    run_id = world.run(spec)
    world.render_all(run_id, fails=lambda n: n % 3 == 0)
    for _ in range(3):
        watching.look(env, run_id)
        with world.database.transaction() as tx:
            run_leases.release(tx, held(world, run_id))
    assert [e.event for e in noted(world, run_id)] == ["run.failing"]

    world.judge(run_id)
    lease = held(world, run_id)
    run_tasks.complete(env, lease)
    retrying.reopen(env, lease, FailureFilter())
    world.render_all(run_id, fails=lambda _: True)
    watching.look(env, run_id)
    told = [e.event for e in noted(world, run_id)]
    assert told == ["run.failing", "run.completed", "run.failing"], "a retry begins anew"


def test_while_it_is_watched_a_run_tells_from_a_thread_and_waits_for_nobody(
    world: World, env: Environment, receiver: Receiver
) -> None:
    run_id = world.run(replace(SPEC, deadline="1s"))
    move = "UPDATE run SET created_at = created_at - interval '1 min' WHERE id = :run"
    with world.database.transaction() as tx:
        tx.execute(text(move), {"run": run_id})
    with watching.watched(env, run_tasks.require_run(env, run_id)):
        pass
    [told] = receiver.told()
    assert told["text"].startswith(f"after 1s run {run_id} of spring is 0 % done")
