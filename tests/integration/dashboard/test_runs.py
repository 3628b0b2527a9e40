"""The list of runs, a run's page, and the acts on it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from adloom.gates import Decision, Reason, Verdict
from adloom.records import ItemVerdict
from adloom.states import Outcome, ReviewDecision, Role, RunState
from dashboard.commands import starter
from dashboard.run_watch import RunWatch, events
from db.queries import audit, judging, reviews, run_leases, runs
from tasks import figures
from tasks.environment import Environment
from tests.db.world import REVISION, World, campaign
from tests.integration.dashboard.conftest import Visitor

As = Callable[[Role], Visitor]


@pytest.fixture
def world(env: Environment) -> World:
    made = World.open(env.database, env.workspace)
    made.add_products(3)
    return made


@pytest.fixture
def begun(app: FastAPI) -> list[list[str]]:
    """The commands that pages started."""
    noted: list[list[str]] = []

    def start(arguments: Any) -> str:
        noted.append(list(arguments))
        return "/logs/1.log"

    app.dependency_overrides[starter] = lambda: start
    return noted


def judged_run(world: World, **spec: Any) -> int:
    """12 creatives: 2 failed, 4 rejected, 6 approved."""
    run_id = world.run(campaign(**spec))
    world.render_all(run_id, fails=lambda n: n in (2, 7))
    world.judge(run_id, rejects=lambda n: n < 4)
    with world.database.transaction() as tx:
        runs.set_state(tx, run_id, RunState.COMPLETE)
    return run_id


def run_page(visitor: Visitor, run_id: int) -> str:
    answer = visitor.get(f"/runs/{run_id}")
    assert answer.status_code == 200, answer.text[-2000:]
    return answer.text


def test_without_runs_the_list_says_what_to_do(visitor_as: As) -> None:
    shown = visitor_as(Role.VIEWER).get("/runs")
    assert shown.status_code == 200
    assert "Nothing has run yet" in shown.text


def test_the_list_shows_counts_yield_and_state(
    env: Environment, world: World, visitor_as: As
) -> None:
    run_id = judged_run(world)
    assert figures.keep_up(env) == (run_id,)
    assert figures.keep_up(env) == ()  # what has ended is measured once

    shown = visitor_as(Role.VIEWER).get("/runs").text

    assert 'data-state="complete"' in shown
    assert "12 / 12" in shown
    assert "60.0 %" in shown  # 6 of 10 judged
    assert '<td class="num" data-field="failed">2</td>' in shown


def test_figures_are_those_of_the_report(env: Environment, world: World) -> None:
    run_id = judged_run(world)
    with env.database.transaction() as tx:
        summary = runs.summary(tx, env.workspace_id, run_id)
    figures.measure(env, run_id)
    from db.queries.dashboard import runs as listed

    with env.database.transaction() as tx:
        measured = listed.row(tx, env.workspace_id, run_id).figures
    assert measured is not None
    assert measured.outcomes == summary.outcomes
    assert sum(measured.outcomes.values()) == summary.run.planned_slots
    assert {r.code: r.items for r in measured.reasons} == summary.reasons
    assert sum(f.items for f in measured.failures) == summary.outcomes[Outcome.FAILED]
    assert measured.rendered == 10
    assert measured.render_s == pytest.approx(1.0)


def test_a_run_that_was_not_measured_is_shown_and_measured_when_watched(
    app: FastAPI, world: World, visitor_as: As
) -> None:
    run_id = judged_run(world)
    visitor = visitor_as(Role.VIEWER)
    assert "being counted" in run_page(visitor, run_id)

    app.state.run_watch.look()

    assert "Why creatives were not approved" in run_page(visitor, run_id)


def test_a_run_says_what_differs_from_the_last_one(world: World, visitor_as: As) -> None:
    judged_run(world)
    second = judged_run(world, formats=("1:1",), steps=30)
    shown = run_page(visitor_as(Role.VIEWER), second)
    assert "<code>formats</code>" in shown
    assert "<del>9:16</del>" in shown
    assert "<code>steps</code>" in shown


def test_titles_and_errors_are_text_and_no_markup(
    env: Environment, world: World, visitor_as: As
) -> None:
    run_id = judged_run(world)
    evil = "<script>alert(1)</script>"
    with world.database.transaction() as tx:
        tx.execute(text("UPDATE product SET title = :t WHERE workspace_id = :ws"),
                   {"t": evil, "ws": env.workspace_id})  # fmt: skip
        tx.execute(
            text("UPDATE run_item SET error_message = :t WHERE run_id = :run"),
            {"t": evil, "run": run_id},
        )
    figures.measure(env, run_id)
    visitor = visitor_as(Role.VIEWER)
    for path in (f"/runs/{run_id}", f"/runs/{run_id}/failures"):
        shown = visitor.get(path).text
        assert evil not in shown
        assert "&lt;script&gt;" in shown


def test_a_retry_says_how_many_and_starts_the_command(
    env: Environment, world: World, visitor_as: As, begun: list[list[str]]
) -> None:
    run_id = judged_run(world)
    operator = visitor_as(Role.OPERATOR)

    asked = operator.get(f"/runs/{run_id}/retry?error_class=RenderError&reason=picture").text
    assert "Opens 2 failed items" in asked
    done = operator.act(
        f"/runs/{run_id}/retry", {"error_class": "RenderError", "reason": "picture"}
    )

    assert done.status_code == 303
    assert begun == [["retry", str(run_id), "--error-class=RenderError", "--reason=picture"]]
    assert "A retry of 2 failed items has begun" in operator.get(done.headers["location"]).text
    with env.database.transaction() as tx:
        (noted,) = [e for e in audit.page(tx, env.workspace_id) if e.act == "run.retry"]
    assert noted.details["items"] == 2


def test_a_retry_of_chosen_items_names_them(
    env: Environment, world: World, visitor_as: As, begun: list[list[str]]
) -> None:
    run_id = judged_run(world)
    with env.database.transaction() as tx:
        wanted = "SELECT min(id) FROM run_item WHERE run_id = :run AND outcome = 'failed'"
        item = tx.execute(text(wanted), {"run": run_id}).scalar_one()
    operator = visitor_as(Role.OPERATOR)
    assert f'value="{item}"' in operator.get(f"/runs/{run_id}/failures").text
    assert "Opens 1 failed item of" in operator.get(f"/runs/{run_id}/retry?item={item}").text
    operator.act(f"/runs/{run_id}/retry", {"item": item})
    assert begun == [["retry", str(run_id), f"--item={item}"]]


def test_the_api_acts_as_the_pages_do(
    env: Environment, world: World, visitor_as: As, begun: list[list[str]]
) -> None:
    ended = judged_run(world)
    operator = visitor_as(Role.OPERATOR)
    operator.headers["X-CSRF-Token"] = operator.csrf
    api = "/api/v1/runs"
    done = operator.post(f"{api}/{ended}/retry", json={"error_class": "RenderError"})
    assert (done.status_code, done.json()) == (202, {"items": 2})
    assert operator.post(f"{api}/{ended}/retry", json={"reason": "no such"}).status_code == 404
    assert operator.post(f"{api}/{ended}/cancel").status_code == 409
    assert operator.post(f"{api}/987654/pause").status_code == 404

    live = world.run(campaign("autumn"))
    world.cut(live)
    assert operator.post(f"{api}/{live}/pause").json() == {"under_way": 0}
    resumed = operator.post(f"{api}/{live}/resume").json()
    assert resumed["started"] is True
    assert operator.post(f"{api}/{live}/cancel").json()["items"] == resumed["items"]
    assert operator.post("/api/v1/campaigns/autumn/run").status_code == 202
    assert begun == [
        ["retry", str(ended), "--error-class=RenderError"], ["run", "autumn"], ["run", "autumn"],
    ]  # fmt: skip
    with env.database.transaction() as tx:
        acts = [e.act for e in audit.page(tx, env.workspace_id)]
    assert acts[:5] == ["campaign.run", "run.cancel", "run.resume", "run.pause", "run.retry"]


def test_nothing_to_retry_starts_nothing(
    world: World, visitor_as: As, begun: list[list[str]]
) -> None:
    run_id = judged_run(world)
    operator = visitor_as(Role.OPERATOR)
    query = {"error_class": "NoSuchError"}
    assert "There is nothing to retry" in operator.get(
        f"/runs/{run_id}/retry", params=query
    ).text  # fmt: skip
    assert operator.act(f"/runs/{run_id}/retry", query).status_code == 404
    assert begun == []


def test_cancelling_says_how_many_before_and_after(
    env: Environment, world: World, visitor_as: As
) -> None:
    run_id = world.run(campaign())
    world.cut(run_id)
    operator = visitor_as(Role.OPERATOR)
    asked = operator.get(f"/runs/{run_id}/cancel").text
    assert "Ends 12 open items" in asked
    assert "12 renders that no other run needs" in asked

    done = operator.act(f"/runs/{run_id}/cancel")

    assert "12 open items ended" in operator.get(done.headers["location"]).text
    with env.database.transaction() as tx:
        assert runs.get(tx, env.workspace_id, run_id).state is RunState.CANCELLED
    assert operator.act(f"/runs/{run_id}/cancel").status_code == 409


def test_a_paused_run_is_resumed_by_who_holds_it_or_executed_anew(
    env: Environment, world: World, visitor_as: As, begun: list[list[str]]
) -> None:
    run_id = world.run(campaign())
    world.cut(run_id)
    operator = visitor_as(Role.OPERATOR)
    operator.act(f"/runs/{run_id}/pause")
    with env.database.transaction() as tx:
        assert runs.get(tx, env.workspace_id, run_id).paused_at is not None
    assert 'data-state="paused"' in run_page(operator, run_id)

    done = operator.act(f"/runs/{run_id}/resume")
    assert begun == [["run", "spring"]]
    assert "did=start&items=12" in done.headers["location"]

    with env.database.transaction() as tx:
        run_leases.claim(tx, run_id, "coordinator", 60)
    operator.act(f"/runs/{run_id}/pause")
    done = operator.act(f"/runs/{run_id}/resume")
    assert "did=resume" in done.headers["location"]
    assert len(begun) == 1


@pytest.mark.parametrize("act", ["retry", "cancel", "pause", "resume"])
def test_acts_need_an_operator(
    world: World, visitor_as: As, begun: list[list[str]], act: str
) -> None:
    run_id = judged_run(world)
    for role in (Role.VIEWER, Role.REVIEWER):
        assert visitor_as(role).act(f"/runs/{run_id}/{act}").status_code == 403
    assert begun == []


def test_reasons_are_ranked_with_examples(env: Environment, world: World, visitor_as: As) -> None:
    run_id = world.run(campaign())
    world.render_all(run_id)
    rare = Verdict(Decision.REJECTED, (Reason("MODEL_GROWTH", "model.growth", 0.9, None, 0.35),))
    near = Verdict(
        Decision.NEEDS_REVIEW, (Reason("MODEL_IDENTITY_NEAR", "model.identity", 0.56, 0.57, None),)
    )
    with world.database.transaction() as tx:
        items = judging.judgeable(tx, run_id, scorer_revision=REVISION)
        verdicts = [
            ItemVerdict(i.run_item_id, rare if n == 0 else near) for n, i in enumerate(items)
        ]
        judging.write_verdicts(tx, run_id, "g", verdicts)
    figures.measure(env, run_id)
    shown = run_page(visitor_as(Role.VIEWER), run_id)
    assert 0 < shown.index("MODEL_IDENTITY_NEAR") < shown.index("MODEL_GROWTH")
    assert shown.count("/pictures/") >= 5


def test_the_api_has_the_same_numbers(env: Environment, world: World, visitor_as: As) -> None:
    run_id = judged_run(world)
    figures.keep_up(env)
    answer = visitor_as(Role.VIEWER).get("/api/v1/runs").json()
    assert answer["next"] is None
    (found,) = answer["runs"]
    assert found["run"] == run_id
    assert found["outcomes"] == {"approved": 6, "rejected": 4, "failed": 2}


def test_pages_of_runs_follow_one_another(world: World, visitor_as: As) -> None:
    made = [judged_run(world, seed=n) for n in range(3)]
    visitor = visitor_as(Role.VIEWER)
    first = visitor.get("/api/v1/runs?limit=2").json()
    second = visitor.get(f"/api/v1/runs?limit=2&before={first['next']}").json()
    assert [r["run"] for r in (*first["runs"], *second["runs"])] == made[::-1]
    assert second["next"] is None


def test_watchers_are_told_of_changes_alone(env: Environment, world: World) -> None:
    watch = RunWatch(env)
    first = world.run(campaign())
    watch.look()
    look, seen = watch.changed_since(0)
    assert [v.id for v in seen] == [first]
    watch.look()
    assert watch.changed_since(look)[1] == []

    world.render_all(first)
    world.judge(first)
    watch.ask(first)
    watch.look()

    (changed,) = watch.changed_since(look)[1]
    assert changed.approved == "12"


def test_a_word_on_an_image_has_its_run_measured_again(env: Environment, world: World) -> None:
    run_id = judged_run(world)
    watch = RunWatch(env)
    watch.look()
    look, _ = watch.changed_since(0)
    with env.database.transaction() as tx:
        item = judging.judgeable(tx, run_id, scorer_revision=REVISION, include_judged=True)[0]
        reviews.add(
            tx, env.workspace_id, item.creative_id, image_sha256=item.image_sha256,
            reviewer="anna", decision=ReviewDecision.APPROVE,
        )  # fmt: skip
        verdict = ItemVerdict(item.run_item_id, Verdict(Decision.APPROVED))
        judging.write_verdicts(tx, run_id, "g", [verdict])
    watch.look()
    (changed,) = watch.changed_since(look)[1]
    assert (changed.approved, changed.rejected) == ("7", "3")


def test_a_stream_tells_of_trouble_and_of_its_end(env: Environment) -> None:
    watch = RunWatch(env)
    over: list[str] = []

    async def still_there() -> bool:
        return False

    async def read() -> list[str]:
        stream = events(watch, still_there, lambda: over[0] if over else None, check_s=0.0)
        found = [await anext(stream), await anext(stream)]
        watch.trouble = "The database does not answer."
        found.append(await anext(stream))
        watch.trouble = None
        found.append(await anext(stream))
        over.append("signed out")
        return [*found, *[event async for event in stream]]

    async def read_at_ease() -> None:
        stream = events(watch, still_there, lambda: over.append("asked"), check_s=60.0)
        await anext(stream)
        await anext(stream)
        watch.trouble = "The database does not answer."
        await anext(stream)

    asyncio.run(read_at_ease())
    assert over == []
    watch.trouble = None
    retry, first, trouble, again, end = asyncio.run(read())
    assert retry == "retry: 2000\n\n"
    assert first == again == "data: []\n\n"
    assert trouble.startswith("event: trouble\n")
    assert json.loads(end.partition("data: ")[2]) == {"message": "signed out"}
