"""Products found and shown, their masks replaced."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from adloom.cutouts import Photo
from adloom.finishing_spec import ImageFormat
from adloom.imaging.encode import encode
from adloom.keys import photo_key
from adloom.records import PhotoValidators
from adloom.states import Role
from db.queries import cutouts, photos
from tasks.environment import Environment
from tests.db.world import World, campaign, cutout, record
from tests.integration.dashboard.conftest import Visitor
from tests.unit.imaging.pictures import drawn_cutout

As = Callable[[Role], Visitor]
DRAWN = drawn_cutout(1)
HEIGHT, WIDTH = DRAWN.mask.shape


@pytest.fixture
def world(env: Environment) -> World:
    return World.open(env.database, env.workspace)


@pytest.fixture
def photo(env: Environment, world: World) -> str:
    """A product whose photo is really stored, with an extracted mask, in a judged campaign."""
    world.sync([record("cup-7", title="A red cup")])
    content = encode(DRAWN.photo, ImageFormat.PNG)
    sha = hashlib.sha256(content).hexdigest()
    env.store.put(photo_key(env.workspace, sha), content, content_type="image/png")
    with env.database.transaction() as tx:
        (ref,) = photos.to_fetch(tx, world.ws, world.source_id)
        photos.upsert(tx, world.ws, [Photo(sha, WIDTH, HEIGHT, len(content), "image/png")])
        found = replace(ref, photo_sha256=sha, validators=PhotoValidators(size=len(content)))
        photos.link(tx, [found])
        cutouts.upsert(tx, world.ws, [cutout(sha)])
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id)
    return sha


def product_id(world: World, name: str) -> int:
    return {v: k for k, v in world.names().items()}[name]


def painted() -> bytes:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[50:150, 40:110] = 255
    return encode(mask, ImageFormat.PNG)


def found(visitor: Visitor, query: str) -> list[str]:
    answer = visitor.get("/api/v1/products", params={"q": query})
    assert answer.status_code == 200, answer.text
    return [p["external_id"] for p in answer.json()["products"]]


def test_products_are_found_by_id_and_by_words(world: World, visitor_as: As) -> None:
    world.sync([
        record("cup-7", title="A red cup"), record("cup-70", title="A blue cup"),
        record("x_1", title="Größe 100 % wool"), record("xy1", title="Red chair"),
    ])  # fmt: skip
    visitor = visitor_as(Role.VIEWER)
    assert found(visitor, "cup-7") == ["cup-7", "cup-70"]
    assert found(visitor, "red") == ["cup-7", "xy1"]
    assert found(visitor, "RED cu") == ["cup-7"]
    assert found(visitor, "acme chair") == ["xy1"]
    assert found(visitor, "x_") == ["x_1"]  # no wildcard
    assert found(visitor, "größe") == ["x_1"]
    for nonsense in ("' OR 1=1 --", "& | !", "%", "\\", ":*", "a" * 200):
        assert found(visitor, nonsense) == []


def test_pages_of_products_hold_each_once(world: World, visitor_as: As) -> None:
    world.sync([record(f"p{n}") for n in range(5)])
    visitor = visitor_as(Role.VIEWER)
    seen, after = [], 0
    while after is not None:
        page = visitor.get(f"/api/v1/products?limit=2&after={after}").json()
        seen += [p["external_id"] for p in page["products"]]
        after = page["next"]
    assert sorted(seen) == [f"p{n}" for n in range(5)]


def test_an_empty_catalogue_and_a_vain_search_say_so(visitor_as: As) -> None:
    visitor = visitor_as(Role.VIEWER)
    assert "The catalogue is empty" in visitor.get("/catalogue").text
    assert "No such product" in visitor.get("/catalogue?q=nothing").text
    assert visitor.get("/catalogue/999999").status_code == 404


@pytest.mark.usefixtures("photo")
def test_a_product_shows_photo_mask_problems_and_creatives(
    env: Environment, world: World, visitor_as: As
) -> None:
    number = product_id(world, "cup-7")
    with env.database.transaction() as tx:
        tx.execute(
            text("""INSERT INTO photo_problem (product_id, location, reason, detail)
                SELECT product_id, location, 'TOO_SMALL', '<b>90 px</b>' FROM product_photo
                WHERE product_id = :p"""),
            {"p": number},
        )
        tx.execute(
            text("UPDATE product SET title = '<img src=x onerror=alert(1)>' WHERE id = :p"),
            {"p": number},
        )
    shown = visitor_as(Role.VIEWER).get(f"/catalogue/{number}").text
    assert "TOO_SMALL" in shown
    assert "&lt;b&gt;90 px" in shown
    assert "<img src=x" not in shown
    assert "25 % is product" in shown
    assert shown.count('data-state="approved"') == 4


def test_a_mask_says_what_it_makes_anew_and_is_replaced_by_an_upload(
    env: Environment, world: World, photo: str, visitor_as: As
) -> None:
    number, operator = product_id(world, "cup-7"), visitor_as(Role.OPERATOR)
    page = f"/catalogue/{number}/photos/{photo}"
    assert "<strong>4 renders</strong> anew" in operator.get(page).text

    done = operator.act(
        f"{page}/mask", {"note": "by hand"}, files={"file": ("m.png", painted(), "image/png")}
    )

    assert done.status_code == 303, done.text
    with env.database.transaction() as tx:
        current = cutouts.current(tx, world.ws, photo)
        (version,) = cutouts.manual_versions(tx, world.ws, photo)
    assert current is not None
    assert current.mask_sha256 == version.cutout.mask_sha256
    assert current.area_fraction == pytest.approx(100 * 70 / (WIDTH * HEIGHT))
    assert (version.given_by, version.note) == ("operator", "by hand")
    assert len(world.planned(campaign())) == 4  # all of them to be rendered in another mask

    operator.act(f"{page}/mask/revert", {"version": 0})
    with env.database.transaction() as tx:
        back = cutouts.current(tx, world.ws, photo)
    assert back is not None
    assert back.origin.value == "extracted"
    assert operator.act(f"{page}/mask/revert", {"version": 9}).status_code == 404


def test_a_painted_mask_is_set_by_the_api(photo: str, visitor_as: As) -> None:
    operator = visitor_as(Role.OPERATOR)
    answer = operator.post(
        f"/api/v1/photos/{photo}/mask",
        files={"file": ("m.png", painted(), "image/png")},
        headers={"X-CSRF-Token": operator.csrf},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 1
    assert answer.json()["invalidated"] == [
        {"campaign": "spring", "renders": 4, "creatives": 4, "approved": 4}
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no mask"),
        (b"not a picture", "no image"),
        (encode(np.full((10, 10), 255, np.uint8), ImageFormat.PNG), "10"),
        (encode(np.zeros((HEIGHT, WIDTH), np.uint8), ImageFormat.PNG), "product"),
    ],
)
def test_what_is_no_mask_is_refused(photo: str, visitor_as: As, content: bytes, says: str) -> None:
    operator = visitor_as(Role.OPERATOR)
    answer = operator.post(
        f"/api/v1/photos/{photo}/mask",
        files={"file": ("m.png", content, "image/png")},
        headers={"X-CSRF-Token": operator.csrf},
    )
    assert answer.status_code == 422
    assert says in answer.text


def test_masks_are_the_operators(photo: str, visitor_as: As) -> None:
    for role in (Role.VIEWER, Role.REVIEWER):
        visitor = visitor_as(role)
        answer = visitor.post(
            f"/api/v1/photos/{photo}/mask",
            files={"file": ("m.png", painted(), "image/png")},
            headers={"X-CSRF-Token": visitor.csrf},
        )
        assert answer.status_code == 403
    assert visitor_as(Role.VIEWER).get("/catalogue/1/photos/..%2f..%2fetc").status_code in (
        404,
        422,
    )
