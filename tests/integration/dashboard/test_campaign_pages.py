"""Campaigns written, checked, planned and run from their pages; scenes; numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from adloom.errors import UnavailableError
from adloom.states import ReviewDecision, Role
from dashboard.campaign_texts import runner
from dashboard.commands import starter
from db.queries import campaigns, judging, reviews
from services.schedules import scheduled_runs
from tasks import figures
from tasks.environment import Environment
from tests.db.world import REVISION, World, campaign
from tests.integration.dashboard.conftest import Visitor

As = Callable[[Role], Visitor]
GOOD = "campaign: autumn\nscenes: [beach, desk]\nformats: ['1:1']\nmodel: mini\n"


@pytest.fixture
def world(env: Environment) -> World:
    """Scenes, three products, and weights that a campaign may name."""
    folder = env.rendering.weights_root / "mini"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    made = World.open(env.database, env.workspace)
    made.add_products(3)
    return made


def checked(visitor: Visitor, text: str) -> list[dict[str, Any]]:
    answer = visitor.post(
        "/api/v1/campaigns/check", json={"text": text}, headers={"X-CSRF-Token": visitor.csrf}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["problems"]


@pytest.mark.usefixtures("world")
def test_a_text_is_checked_by_line_and_field(visitor_as: As) -> None:
    operator = visitor_as(Role.OPERATOR)
    assert checked(operator, GOOD) == []
    found = checked(operator, GOOD.replace("desk", "dsek") + "draws: 99\n")
    assert [(p["line"], p["field"]) for p in found] == [(5, "draws")]
    (unknown,) = checked(operator, GOOD.replace("desk", "dsek"))
    assert (unknown["line"], unknown["field"]) == (2, "scenes[1]")
    assert "desk" in unknown["message"]  # what was perhaps meant
    for broken in ("", "[", "a: &x 1\nb: *x", "\x00", "- 1", "scenes: {" * 50):
        assert checked(operator, broken) != []


@pytest.mark.usefixtures("world")
def test_a_campaign_is_saved_shown_again_and_changed(env: Environment, visitor_as: As) -> None:
    operator = visitor_as(Role.OPERATOR)
    assert "scenes: [beach, desk]" in operator.get("/campaigns/new").text
    done = operator.act("/campaigns", {"text": GOOD.replace("\n", "\r\n")})
    assert done.headers["location"] == "/campaigns/autumn?did=saved"
    shown = operator.get("/campaigns/autumn").text
    assert "campaign: autumn" in shown
    assert "It has never run" in shown
    operator.act("/campaigns", {"text": GOOD + "draws: 3\n"})
    with env.database.transaction() as tx:
        assert campaigns.get(tx, env.workspace_id, "autumn").spec.draws == 3
    assert "autumn" in operator.get("/campaigns").text


@pytest.mark.usefixtures("world")
def test_a_program_stores_a_campaign_or_is_told_what_is_wrong(visitor_as: As) -> None:
    operator = visitor_as(Role.OPERATOR)
    operator.headers["X-CSRF-Token"] = operator.csrf
    done = operator.put("/api/v1/campaigns", json={"text": GOOD})
    assert done.json() == {"campaign": "autumn", "change": "created", "unpinned_from": None}
    wrong = operator.put("/api/v1/campaigns", json={"text": GOOD.replace("desk", "dsek")})
    assert wrong.status_code == 422
    assert "scenes[1]" in wrong.json()["problems"][0]


@pytest.mark.usefixtures("world")
def test_a_text_that_cannot_work_comes_back_with_what_is_wrong(
    env: Environment, visitor_as: As
) -> None:
    text = GOOD.replace("desk", "</textarea><script>")
    answer = visitor_as(Role.OPERATOR).act("/campaigns", {"text": text})
    assert answer.status_code == 422
    assert "<script>" not in answer.text.replace('<script type="module"', "")
    assert "line 2, scenes" in answer.text
    with env.database.transaction() as tx:
        assert campaigns.slugs(tx, env.workspace_id) == ()


@pytest.mark.usefixtures("world")
def test_a_run_is_started_by_operators_alone(app: FastAPI, visitor_as: As) -> None:
    begun: list[list[str]] = []
    app.dependency_overrides[starter] = lambda: lambda arguments: begun.append(arguments) or "log"
    visitor_as(Role.OPERATOR).act("/campaigns", {"text": GOOD})
    assert visitor_as(Role.REVIEWER).act("/campaigns/autumn/run").status_code == 403
    assert visitor_as(Role.OPERATOR).act("/campaigns/none/run").status_code == 404
    assert begun == []
    assert visitor_as(Role.OPERATOR).act("/campaigns/autumn/run").status_code == 303
    assert begun == [["run", "autumn"]]


@pytest.mark.usefixtures("world")
def test_a_plan_is_made_of_the_text_by_a_command(app: FastAPI, visitor_as: As) -> None:
    asked: list[tuple[list[str], str]] = []

    def run(arguments: list[str], *, timeout_s: float) -> dict[str, Any]:
        assert timeout_s > 60
        asked.append((arguments, Path(arguments[2].removeprefix("--file=")).read_text()))
        return {"slots": 6}

    app.dependency_overrides[runner] = lambda: run
    operator = visitor_as(Role.OPERATOR)
    answer = operator.post(
        "/api/v1/campaigns/plan", json={"text": GOOD}, headers={"X-CSRF-Token": operator.csrf}
    )
    assert answer.json() == {"slots": 6}
    ((arguments, text),) = asked
    assert arguments[:2] == ["campaign", "plan"]
    assert text == GOOD
    assert not Path(arguments[2].removeprefix("--file=")).exists()


def test_what_is_scheduled_is_asked_of_prefect(visitor_as: As) -> None:
    assert visitor_as(Role.VIEWER).get("/api/v1/schedule").json() == {"known": False, "runs": []}
    with pytest.raises(UnavailableError):
        scheduled_runs("http://127.0.0.1:9/api", timeout_s=0.5)


def test_scenes_show_examples_and_yield(env: Environment, world: World, visitor_as: As) -> None:
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n % 2 == 0)
    visitor = visitor_as(Role.VIEWER)
    assert "nothing judged yet" in visitor.get("/scenes").text
    figures.keep_up(env)
    shown = visitor.get("/scenes?pack=base").text
    assert "50.0 % of 6 approved" in shown
    assert "/pictures/" in shown
    assert "beach@1" in visitor.get("/scenes/beach").text
    assert "No such scene" in visitor.get("/scenes?pack=none").text
    assert visitor.get("/scenes/beech").status_code == 404


def test_numbers_say_yield_and_agreement(env: Environment, world: World, visitor_as: As) -> None:
    visitor = visitor_as(Role.VIEWER)
    assert "No numbers yet" in visitor.get("/numbers").text
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id, rejects=lambda n: n < 3)
    with env.database.transaction() as tx:
        items = judging.judgeable(tx, run_id, scorer_revision=REVISION, include_judged=True)
        for n, item in enumerate(items[:4]):
            reviews.add(
                tx, world.ws, item.creative_id, image_sha256=item.image_sha256, reviewer="anna",
                decision=ReviewDecision.REJECT if n == 0 else ReviewDecision.APPROVE,
            )  # fmt: skip
    figures.keep_up(env)

    shown = visitor.get("/numbers?days=all").text

    assert "home &gt; lamps" in shown
    assert "75.0 %" in shown  # 9 of 12
    # The world's scores lack two of the default gates: the gates leave all four to people.
    assert '<td class="num">3</td><td class="num">1</td>' in shown
    assert "beach,6,4,0,2,0,0.6667" in visitor.get("/numbers/scenes.csv?days=all").text
    assert "needs_review,3,1" in visitor.get("/numbers/agreement.csv?days=all").text


def test_exported_cells_start_no_formula(env: Environment, world: World, visitor_as: As) -> None:
    with env.database.transaction() as tx:
        tx.execute(
            text("UPDATE product SET category = '=cmd|calc' WHERE workspace_id = :ws"),
            {"ws": world.ws},
        )
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id)
    figures.keep_up(env)
    answer = visitor_as(Role.VIEWER).get("/numbers/categories.csv?days=all")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.splitlines()[1] == "'=cmd|calc,12,12,0,0,0,1.0"
    assert visitor_as(Role.VIEWER).get("/numbers/passwords.csv").status_code == 422


def test_prefect_is_asked_once_and_its_answer_read() -> None:
    """Against a server that answers as Prefect 3.8 does."""
    import http.server
    import threading

    asked: list[dict[str, Any]] = []

    class Prefect(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            run = {"parameters": {"campaign": "spring"},
                   "expected_start_time": "2030-01-01T02:00:00Z"}  # fmt: skip
            body = json.dumps([run]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Prefect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            (found,) = scheduled_runs(f"http://127.0.0.1:{server.server_port}/api")
        finally:
            server.shutdown()
            thread.join()
    assert found.campaign == "spring"
    assert found.at.isoformat() == "2030-01-01T02:00:00+00:00"
    assert asked[0]["flow_runs"]["state"]["type"]["any_"] == ["SCHEDULED"]
