"""The review queue: order, claims, words and their undoing, as people and programs see them."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from adloom.errors import ConflictError, DecidedMeanwhileError, NotFoundError
from adloom.gates import Decision, Verdict
from adloom.records import ItemVerdict, RecallFilter, ReviewChoice, ReviewFilter, ReviewWord
from adloom.review_reasons import DEFAULT_REASONS
from adloom.states import ReviewDecision, Role
from db.queries import creatives, judging, workspaces
from tasks import recalls, reviewing
from tasks.environment import Environment
from tests.integration.dashboard.conftest import Visitor
from tests.integration.dashboard.gallery import Gallery, decisions

EVERYTHING = ReviewFilter()


@pytest.fixture
def gallery(env: Environment) -> Gallery:
    """Three products: twelve creatives."""
    made = Gallery.open(env)
    made.add_products(["A red mug", "A blue lamp", "A <b>bold</b> vase"])
    return made


@pytest.fixture
def reviewer(visitor_as: Callable[[Role], Visitor]) -> Visitor:
    return visitor_as(Role.REVIEWER)


def post(visitor: Visitor, path: str, body: dict[str, Any]) -> Any:
    headers = {"X-CSRF-Token": visitor.csrf, "Accept": "application/json"}
    return visitor.post(f"/api/v1/review/{path}", json=body, headers=headers)


def taken(visitor: Visitor, count: int = 1, **more: Any) -> list[dict[str, Any]]:
    answer = post(visitor, "next", {"count": count, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def word(item: dict[str, Any], decision: str = "approve", **more: Any) -> dict[str, Any]:
    last = item["last_review"]["id"] if item["last_review"] else None
    return {
        "creative": item["creative"], "image_sha256": item["image_sha256"], "last_review": last,
        "decision": decision, "key": uuid.uuid4().hex, **more,
    }  # fmt: skip


def choice(item: reviewing.ReviewItem) -> ReviewChoice:
    assert item.claim
    return ReviewChoice(item.view.creative_id, item.claim.image_sha256)


def said(reviewer: str, decision: ReviewDecision = ReviewDecision.APPROVE) -> ReviewWord:
    return ReviewWord(reviewer, decision, uuid.uuid4().hex)


def test_what_is_nearest_to_the_gates_comes_first(gallery: Gallery) -> None:
    identities = [0.59, 0.551, 0.571, 0.569, 0.56, 0.586] * 2
    gallery.run(lambda n: identities[n])
    found = reviewing.next_items(gallery.env, "ann", EVERYTHING, count=60)
    distances = [i.claim.distance for i in found if i.claim]
    assert distances == sorted(distances)
    assert {round(d, 3) for d in distances if d is not None} == {0.001, 0.01, 0.016, 0.019}
    assert len(found) == 10  # .59 is approved by the gates


def test_a_missing_score_needs_eyes_and_comes_last(gallery: Gallery) -> None:
    gallery.run(lambda n: float("nan") if n == 0 else 0.57)
    found = reviewing.next_items(gallery.env, "ann", EVERYTHING, count=60)
    assert len(found) == 12
    assert [i.claim.distance is None for i in found if i.claim] == [False] * 11 + [True]
    assert [r.code for r in found[-1].view.reasons] == ["MODEL_IDENTITY_MISSING"]


def test_two_reviewers_never_get_the_same_item(gallery: Gallery) -> None:
    gallery.run()

    def all_of(name: str) -> list[int]:
        mine: list[int] = []
        while found := reviewing.next_items(gallery.env, name, EVERYTHING, count=2, without=mine):
            mine += [i.view.creative_id for i in found]
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(all_of, ["ann", "bob", "cid", "dora"]))
    together = [creative for share in shares for creative in share]
    assert len(together) == len(set(together)) == 12


def test_a_claim_that_ran_out_or_was_released_is_anothers(gallery: Gallery) -> None:
    gallery.run()
    env = gallery.env
    mine = [i.view.creative_id for i in reviewing.next_items(env, "ann", EVERYTHING, count=12)]
    assert reviewing.next_items(env, "bob", EVERYTHING, count=12) == ()
    assert reviewing.renew(env, "ann", mine) == tuple(sorted(mine))
    assert reviewing.renew(env, "bob", mine) == ()
    assert reviewing.release(env, "bob", mine) == 0
    assert reviewing.release(env, "ann", mine[:2]) == 2
    assert {i.view.creative_id for i in reviewing.next_items(env, "bob", EVERYTHING, count=9)} == {
        *mine[:2]
    }
    with env.database.transaction() as tx:
        tx.execute(
            text("UPDATE review_queue SET claimed_until = now() WHERE creative_id = :creative"),
            {"creative": mine[2]},
        )
    late = reviewing.next_items(env, "bob", EVERYTHING, count=9, without=mine[:2])
    assert [i.view.creative_id for i in late] == [mine[2]]
    assert mine[2] not in reviewing.renew(env, "ann", mine)


def test_a_word_makes_the_creative_follow_it_and_leave_the_queue(
    gallery: Gallery, reviewer: Visitor
) -> None:
    run_id = gallery.run()
    yes, no = taken(reviewer, 2)
    assert post(reviewer, "decisions", word(yes)).status_code == 200
    refused = word(no, "reject", reason="artefacts")
    assert post(reviewer, "decisions", refused).json()["reason"] == "artefacts"
    assert decisions(gallery, run_id) == {"approved": 1, "rejected": 1, "needs_review": 10}
    left = {i["creative"] for i in taken(reviewer, 60)}
    assert len(left) == 10
    assert not {yes["creative"], no["creative"]} & left
    with gallery.env.database.transaction() as tx:
        current = text("SELECT current_rendition_id IS NOT NULL FROM creative WHERE id = :creative")
        assert tx.execute(current, {"creative": yes["creative"]}).scalar_one()
        assert not tx.execute(current, {"creative": no["creative"]}).scalar_one()
    gallery.judge(run_id)
    assert decisions(gallery, run_id)["needs_review"] == 10


def test_a_word_sent_twice_is_stored_once(gallery: Gallery, reviewer: Visitor) -> None:
    gallery.run()
    item = taken(reviewer)[0]
    body = word(item)
    first, again = post(reviewer, "decisions", body), post(reviewer, "decisions", body)
    assert first.json() == again.json()
    assert len(reviewing.history(gallery.env, item["creative"])) == 1


def test_an_image_that_changed_meanwhile_is_asked_for_again(
    gallery: Gallery, reviewer: Visitor
) -> None:
    run_id = gallery.run()
    item = taken(reviewer)[0]
    changed = gallery.repaint(item["creative"], run_id)
    answer = post(reviewer, "decisions", word(item))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:adloom:error:ImageChangedError"
    shown = reviewer.get(f"/api/v1/review/creatives/{item['creative']}").json()
    assert shown["image_sha256"] == changed != item["image_sha256"]
    assert reviewing.history(gallery.env, item["creative"]) == ()
    assert post(reviewer, "decisions", word(shown)).status_code == 200


def test_a_word_that_was_not_seen_is_not_overruled(gallery: Gallery) -> None:
    gallery.run()
    item = reviewing.next_items(gallery.env, "ann", EVERYTHING)[0]
    first = reviewing.decide(gallery.env, choice(item), said("bob"), DEFAULT_REASONS)
    with pytest.raises(DecidedMeanwhileError, match="bob has said 'approve'"):
        reviewing.decide(gallery.env, choice(item), said("ann"), DEFAULT_REASONS)
    seen = ReviewChoice(item.view.creative_id, choice(item).image_sha256, first.id)
    assert reviewing.decide(gallery.env, seen, said("ann"), DEFAULT_REASONS).reviewer == "ann"
    with pytest.raises(ConflictError, match="append-only"), gallery.env.database.transaction() as t:
        t.execute(text("DELETE FROM review"))


def test_undoing_adds_a_row_and_brings_the_item_back_to_the_same_person(
    gallery: Gallery, reviewer: Visitor
) -> None:
    run_id = gallery.run()
    item = taken(reviewer)[0]
    body = word(item, "reject", reason="other")
    post(reviewer, "decisions", body)
    undone = post(reviewer, f"decisions/{body['key']}/undo", {"key": "undo-" + uuid.uuid4().hex})
    assert undone.status_code == 200, undone.text
    assert undone.json()["decided"][0]["review"]["decision"] == "undo"
    words = reviewing.history(gallery.env, item["creative"])
    assert [w.decision.value for w in words] == ["reject", "undo"]
    assert decisions(gallery, run_id) == {"needs_review": 12}
    others = reviewing.next_items(gallery.env, "bob", EVERYTHING, count=60)
    assert item["creative"] not in {i.view.creative_id for i in others}
    again = taken(reviewer)[0]
    assert again["creative"] == item["creative"]
    assert post(reviewer, "decisions", word(again)).status_code == 200
    assert decisions(gallery, run_id) == {"needs_review": 11, "approved": 1}


def test_only_ones_own_newest_word_is_undone(gallery: Gallery) -> None:
    gallery.run()
    item = reviewing.next_items(gallery.env, "ann", EVERYTHING)[0]
    own = said("ann")
    first = reviewing.decide(gallery.env, choice(item), own, DEFAULT_REASONS)
    foreign = reviewing.undo(gallery.env, own.key, reviewer="bob", key="k" * 8)[0]
    assert foreign.review is None
    assert "ann" in str(foreign.error)
    seen = ReviewChoice(item.view.creative_id, choice(item).image_sha256, first.id)
    reviewing.decide(gallery.env, seen, said("bob"), DEFAULT_REASONS)
    late = reviewing.undo(gallery.env, own.key, reviewer="ann", key="l" * 8)[0]
    assert "bob" in str(late.error)


def test_many_are_decided_together_and_undone_together(gallery: Gallery, reviewer: Visitor) -> None:
    run_id = gallery.run()
    items = taken(reviewer, 5)
    gallery.repaint(items[2]["creative"], run_id)
    key = uuid.uuid4().hex
    choices = [{"creative": i["creative"], "image_sha256": i["image_sha256"]} for i in items]
    body = {"choices": choices, "decision": "reject", "reason": "artefacts", "key": key}
    answer = post(reviewer, "decisions/bulk", body).json()["decided"]
    left = [d["creative"] for d in answer if d["error"]]
    assert left == [items[2]["creative"]]
    assert decisions(gallery, run_id) == {"rejected": 4, "needs_review": 8}
    assert post(reviewer, "decisions/bulk", body).json()["decided"] == answer
    undone = post(reviewer, f"decisions/{key}/undo", {"key": uuid.uuid4().hex}).json()["decided"]
    assert len([d for d in undone if d["review"]]) == 4
    assert decisions(gallery, run_id) == {"needs_review": 12}


def test_filters_narrow_the_queue(gallery: Gallery, reviewer: Visitor) -> None:
    gallery.run(lambda n: 0.552 + 0.001 * n)
    gallery.run(lambda _: 0.57, slug="summer")
    for filters, count in (
        ({}, 24), ({"campaign": "spring"}, 12), ({"campaign": "nothing"}, 0),
        ({"scene": "desk"}, 12),
        ({"category": "home"}, 24), ({"category": "home > lamps"}, 24), ({"category": "ho"}, 0),
        ({"reason": "MODEL_IDENTITY_NEAR"}, 24), ({"reason": "' OR 1=1 --"}, 0),
        ({"score": "model.identity", "score_min": 0.5625, "campaign": "spring"}, 1),
        ({"score": "model.identity", "score_max": 0.5535, "campaign": "spring"}, 2),
        ({"scene": "desk", "campaign": "summer", "reason": "MODEL_IDENTITY_NEAR"}, 6),
    ):  # fmt: skip
        found = reviewer.get("/api/v1/review/queue", params=filters).json()
        assert (filters, found["waiting"]) == (filters, count)
        assert len(taken(reviewer, 60, **filters)) == count
        assert reviewer.get("/review", params=filters).status_code == 200
    assert found["choices"]["campaign"] == ["spring", "summer"]
    assert found["choices"]["scene"] == ["beach", "desk"]
    assert found["choices"]["category"] == ["home > lamps"]
    assert found["choices"]["reason"] == ["MODEL_IDENTITY_NEAR"]


def test_what_was_recalled_or_is_made_anew_is_not_shown(gallery: Gallery) -> None:
    gallery.run()
    recalls.issue(gallery.env, RecallFilter(sku="sku-0"), issuer="ann", reason="burns")
    assert len(reviewing.next_items(gallery.env, "ann", EVERYTHING, count=60)) == 8
    recalls.issue(gallery.env, RecallFilter(sku="sku-0"), issuer="ann", reason="fine", undo=True)
    assert len(reviewing.next_items(gallery.env, "ann", EVERYTHING, count=60)) == 12


def test_a_later_run_of_the_same_image_takes_the_word_over(gallery: Gallery) -> None:
    gallery.run()
    item = reviewing.next_items(gallery.env, "ann", EVERYTHING)[0]
    reviewing.decide(gallery.env, choice(item), said("ann"), DEFAULT_REASONS)
    again = gallery.run()
    assert decisions(gallery, again) == {"approved": 1, "needs_review": 11}
    assert reviewing.waiting(gallery.env, EVERYTHING) == 11


def test_a_word_given_while_an_item_is_being_judged_is_not_lost(gallery: Gallery) -> None:
    """The verdict was made without it; what is stored follows the person all the same."""

    run_id = gallery.run()
    item = reviewing.next_items(gallery.env, "ann", EVERYTHING)[0]
    reviewing.decide(gallery.env, choice(item), said("ann"), DEFAULT_REASONS)
    with gallery.env.database.transaction() as tx:
        view = creatives.get(tx, gallery.env.workspace_id, item.view.creative_id)
        stale = ItemVerdict(view.run_item_id, Verdict(Decision.NEEDS_REVIEW))
        judging.write_verdicts(tx, run_id, "gates", [stale])
    assert decisions(gallery, run_id)["approved"] == 1
    assert reviewing.waiting(gallery.env, EVERYTHING) == 11


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "reject", "reason": "because"},
        {"decision": "reject"},
        {"decision": "undo"},
        {"image_sha256": "../../etc/passwd"},
        {"key": "short"},
        {"creative": 2**63},
        {"creative": 0},
        {"last_review": "x"},
    ],
)
def test_what_cannot_be_a_word_is_refused(
    gallery: Gallery, reviewer: Visitor, body: dict[str, Any]
) -> None:
    gallery.run()
    item = taken(reviewer)[0]
    answer = post(reviewer, "decisions", {**word(item), **body})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert reviewing.history(gallery.env, item["creative"]) == ()


def test_unknown_creatives_and_keys_are_not_found(reviewer: Visitor) -> None:
    body = {"creative": 1 << 40, "image_sha256": "a" * 64, "decision": "approve", "key": "k" * 12}
    assert post(reviewer, "decisions", body).status_code == 404
    assert post(reviewer, "decisions/unknown-key/undo", {"key": "k" * 12}).status_code == 404
    assert reviewer.get(f"/api/v1/review/creatives/{1 << 40}").status_code == 404


def test_another_workspaces_creatives_are_out_of_reach(gallery: Gallery, reviewer: Visitor) -> None:
    gallery.run()
    own = reviewing.next_items(gallery.env, "ann", EVERYTHING)[0]
    with gallery.env.database.transaction() as tx:
        other = workspaces.ensure(tx, f"w-{uuid.uuid4().hex[:12]}")
    foreign = replace(gallery.env, workspace_id=other)
    assert reviewing.next_items(foreign, "ann", EVERYTHING) == ()
    with pytest.raises(NotFoundError):
        reviewing.look_at(foreign, own.view.creative_id)
    with pytest.raises(NotFoundError):
        reviewing.decide(foreign, choice(own), said("ann"), DEFAULT_REASONS)
    assert reviewing.release(foreign, "ann", [own.view.creative_id]) == 0
    assert reviewer.get(f"/api/v1/review/creatives/{own.view.creative_id}").status_code == 200


def test_viewers_look_and_do_not_claim(
    gallery: Gallery, visitor_as: Callable[[Role], Visitor]
) -> None:
    gallery.run()
    viewer = visitor_as(Role.VIEWER)
    assert viewer.get("/api/v1/review/queue").json()["waiting"] == 12
    assert "needs the role reviewer" in viewer.get("/review").text
    assert post(viewer, "next", {}).status_code == 403


def test_the_audit_log_has_each_word(
    gallery: Gallery, reviewer: Visitor, visitor_as: Callable[[Role], Visitor]
) -> None:
    gallery.run()
    body = word(taken(reviewer)[0])
    post(reviewer, "decisions", body)
    post(reviewer, f"decisions/{body['key']}/undo", {"key": uuid.uuid4().hex})
    entries = visitor_as(Role.ADMIN).get("/api/v1/audit").json()["entries"]
    acts = [(e["account"], e["act"]) for e in entries if e["act"].startswith("creative.")]
    assert acts == [("reviewer", "creative.undo"), ("reviewer", "creative.approve")]
