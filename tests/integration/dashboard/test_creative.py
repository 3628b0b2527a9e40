"""The page of a creative: what it shows, and what can be done from it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from adloom.errors import ConflictError
from adloom.records import ReviewChoice, ReviewFilter, ReviewWord
from adloom.review_reasons import DEFAULT_REASONS
from adloom.states import Outcome, ReviewDecision, Role
from dashboard.commands import starter
from db.queries import creatives, run_leases
from tasks import redrawing, reviewing
from tasks.environment import Environment
from tests.integration.dashboard.conftest import Visitor
from tests.integration.dashboard.gallery import Gallery, decisions

HOSTILE = '<script>alert("1")</script> "mug" & {{ 7 * 7 }}'


@pytest.fixture
def gallery(env: Environment) -> Gallery:
    made = Gallery.open(env)
    made.add_products([HOSTILE])
    return made


def creative_of(gallery: Gallery, run_id: int, outcome: Outcome) -> int:
    with gallery.env.database.transaction() as tx:
        return next(creatives.of_run(tx, run_id, outcomes=(outcome,))).creative_id


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def test_it_shows_everything_that_made_it(
    gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    run_id = gallery.run(lambda n: 0.57 if n else 0.3)
    creative = creative_of(gallery, run_id, Outcome.REJECTED)
    shown = visitor_as(Role.VIEWER).get(f"/creatives/{creative}")
    assert shown.status_code == 200
    with gallery.env.database.transaction() as tx:
        view = creatives.get(tx, gallery.env.workspace_id, creative)
    for said in (
        view.fingerprint, view.spec.photo_sha256, view.spec.mask_sha256, str(view.spec.seed),
        "model.identity", "0.300", "≥ 0.57", "MODEL_IDENTITY", "u2netp-1", "0.50 s",
        f"/runs/{run_id}", "Acme", "9.90 EUR", "detail lock", "finished",
    ):  # fmt: skip
        assert str(said) in shown.text, said
    assert "<script>alert" not in shown.text
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", shown.text)[0]
    assert "Decide" not in shown.text
    assert "Recall…" not in shown.text


def test_a_person_overrules_the_gates_and_is_asked_again_if_the_image_changed(
    gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    run_id = gallery.run(lambda n: 0.57 if n else 0.3)
    creative = creative_of(gallery, run_id, Outcome.REJECTED)
    reviewer, path = visitor_as(Role.REVIEWER), f"/creatives/{creative}"
    form = {**hidden(reviewer.get(path).text), "decision": "approve"}
    assert reviewer.act(f"{path}/review", form).headers["location"] == path
    assert decisions(gallery, run_id) == {"approved": 1, "needs_review": 3}
    assert "reviewer has said <strong>approve</strong>" in reviewer.get(path).text
    stale = {**form, "key": "another-key", "decision": "reject", "reason": "other"}
    assert reviewer.act(f"{path}/review", stale).status_code == 409
    fresh = {**hidden(reviewer.get(path).text), "decision": "reject", "reason": "other"}
    gallery.repaint(creative, run_id)
    changed = reviewer.act(f"{path}/review", fresh)
    assert changed.status_code == 409
    assert "another image" in changed.text


def test_a_recall_says_how_many_before_and_marks_them(
    gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    run_id = gallery.run(lambda _: 0.8)
    creative = creative_of(gallery, run_id, Outcome.APPROVED)
    operator, path = visitor_as(Role.OPERATOR), f"/creatives/{creative}"
    asked = operator.get(f"{path}/recall").text
    assert "<strong>2</strong>" in asked  # this scene's two formats
    assert "<strong>4</strong>" in asked  # all of the product
    assert operator.act(f"{path}/recall", {"scope": "slot", "reason": ""}).status_code == 422
    done = operator.act(f"{path}/recall", {"scope": "slot", "reason": "burns <b>"})
    assert done.status_code == 303
    assert "recalled: burns &lt;b&gt;" in operator.get(path).text
    left = operator.get(f"{path}/recall").text
    assert "<strong>0</strong>" in left
    assert "<strong>2</strong>" in left


def test_a_recall_is_taken_back_after_its_count(
    gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    creative = creative_of(gallery, gallery.run(lambda _: 0.8), Outcome.APPROVED)
    operator, path = visitor_as(Role.OPERATOR), f"/creatives/{creative}"
    operator.act(f"{path}/recall", {"scope": "slot", "reason": "burns"})
    assert f"{path}/recall?undo=1" in operator.get(path).text
    asked = operator.get(f"{path}/recall?undo=1").text
    assert "<strong>2</strong> to be used again" in asked
    given = {"scope": "slot", "reason": "it does not", "undo": hidden(asked)["undo"]}
    assert operator.act(f"{path}/recall", given).status_code == 303
    shown = operator.get(path).text
    assert "recalled: burns" not in shown
    assert f'href="{path}/recall"' in shown


def test_a_rejected_one_is_drawn_again_by_the_command(
    app: FastAPI, gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    run_id = gallery.run(lambda n: 0.57 if n else 0.3)
    started: list[list[str]] = []

    def start(arguments: Any) -> str:
        started.append(list(arguments))
        return "log"

    app.dependency_overrides[starter] = lambda: start
    operator = visitor_as(Role.OPERATOR)
    rejected = creative_of(gallery, run_id, Outcome.REJECTED)
    assert "Draw again" in operator.get(f"/creatives/{rejected}").text
    assert operator.act(f"/creatives/{rejected}/redraw").status_code == 303
    assert started == [["creatives", "redraw", str(rejected), "--wait"]]
    waits = creative_of(gallery, run_id, Outcome.NEEDS_REVIEW)
    refused = operator.act(f"/creatives/{waits}/redraw")
    assert refused.status_code == 409
    assert len(started) == 1


def test_the_next_draw_is_opened_within_its_run_beyond_the_campaigns_draws(
    gallery: Gallery,
) -> None:
    env = gallery.env
    run_id = gallery.run(lambda n: 0.57 if n else 0.3)
    creative = creative_of(gallery, run_id, Outcome.REJECTED)
    with env.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, "me", 60)
    assert lease
    assert redrawing.open_next_draw(env, lease, creative) == 1
    assert decisions(gallery, run_id) == {"open": 1, "needs_review": 3}
    with pytest.raises(ConflictError, match="not rejected"):
        redrawing.open_next_draw(env, lease, creative)
    with pytest.raises(ConflictError, match="open, not rejected"):
        redrawing.require_rejected(env, creative)
    assert gallery.world.render_all(run_id) == 1
    gallery.world.judge(run_id)
    assert decisions(gallery, run_id) == {"approved": 1, "needs_review": 3}
    with env.database.transaction() as tx:
        assert creatives.get(tx, env.workspace_id, creative).draw == 1


def test_one_that_a_person_rejected_can_be_drawn_again(gallery: Gallery) -> None:
    gallery.run()
    item = reviewing.next_items(gallery.env, "ann", ReviewFilter())[0]
    assert item.claim
    reviewing.decide(
        gallery.env,
        ReviewChoice(item.view.creative_id, item.claim.image_sha256),
        ReviewWord("ann", ReviewDecision.REJECT, "k" * 12, "other"),
        DEFAULT_REASONS,
    )
    assert redrawing.require_rejected(gallery.env, item.view.creative_id).draw == 0
