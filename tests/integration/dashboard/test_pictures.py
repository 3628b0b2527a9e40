"""Pictures: who gets them, under which addresses, and what stands in their place."""

from collections.abc import Callable
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from adloom.states import Role
from dashboard.pictures import LIFE_S
from storage.local import LocalStore
from tasks import reviewing
from tasks.environment import Environment
from tests.integration.dashboard.conftest import Visitor
from tests.integration.dashboard.gallery import Gallery


@pytest.fixture
def gallery(env: Environment) -> Gallery:
    made = Gallery.open(env)
    made.add_products(["A red mug"])
    made.run()
    return made


@pytest.fixture
def viewer(visitor_as: Callable[[Role], Visitor]) -> Visitor:
    return visitor_as(Role.VIEWER)


@pytest.fixture
def shown(gallery: Gallery, viewer: Visitor) -> dict[str, dict[str, str]]:
    """The addresses of the pictures of a creative, by what they show and size."""
    creative = gallery_creative(gallery)
    return viewer.get(f"/api/v1/review/creatives/{creative}").json()


def gallery_creative(gallery: Gallery) -> int:
    found = reviewing.next_items(gallery.env, "ann", reviewing.ReviewFilter())
    return found[0].view.creative_id


@pytest.mark.parametrize("name", ["photo", "mask", "raw", "finished"])
def test_all_kinds_come_in_all_sizes(
    viewer: Visitor, shown: dict[str, dict[str, str]], name: str
) -> None:
    for size, address in shown[name].items():
        answer = viewer.get(address)
        assert answer.status_code == 200, (name, size, answer.text)
        with Image.open(BytesIO(answer.content)) as picture:
            assert size == "image" or picture.format == "WEBP"
            assert max(picture.size) <= {"thumb": 320, "view": 1280, "image": 4096}[size]
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        again = viewer.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_an_address_serves_nobody_without_a_session(
    stranger: Visitor, shown: dict[str, dict[str, str]]
) -> None:
    answer = stranger.get(shown["finished"]["thumb"])
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_an_address_that_was_changed_or_is_too_old_is_refused(
    viewer: Visitor, shown: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = shown["finished"]["thumb"]
    parts = urlsplit(address)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    other = shown["photo"]["thumb"].split("?")[0]
    for path, query in (
        (other, given),
        (parts.path.replace("/thumb/", "/image/"), given),
        (parts.path.replace("/rendition/", "/photo/"), given),
        (parts.path, {**given, "expires": str(int(given["expires"]) + 1)}),
        (parts.path, {**given, "signature": "0" * 64}),
    ):
        assert viewer.get(path, params=query).status_code == 403, path
    for query in ({}, {"expires": given["expires"]}, {**given, "signature": "x"}):
        assert viewer.get(parts.path, params=query).status_code == 422
    monkeypatch.setattr("dashboard.pictures.time.time", lambda: float(given["expires"]) + 1)
    late = viewer.get(address)
    assert late.status_code == 403
    assert "too old" in late.text


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/image/rendition/..%2f..%2f..%2fetc%2fpasswd",
        "/pictures/image/rendition/%2e%2e",
        "/pictures/image/secret/" + "a" * 64,
        "/pictures/huge/rendition/" + "a" * 64,
        "/pictures/image/rendition//etc/passwd",
    ],
)
def test_no_path_leads_to_a_file(viewer: Visitor, path: str) -> None:
    answer = viewer.get(path, params={"expires": 1 << 39, "signature": "0" * 64})
    assert answer.status_code in (403, 404, 422)
    assert "root:" not in answer.text


def test_what_is_damaged_or_gone_is_said_in_its_place(
    gallery: Gallery, viewer: Visitor, shown: dict[str, dict[str, str]]
) -> None:
    store = gallery.env.store
    assert isinstance(store, LocalStore)
    folder = gallery.env.workspace
    for address, kind in (
        (shown["finished"]["view"], "renditions"),
        (shown["raw"]["view"], "renders"),
    ):
        key = f"{folder}/{kind}/{urlsplit(address).path.rpartition('/')[2]}"
        whole = store.get(key)
        store.delete(key)
        gone = viewer.get(address)
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "image/svg+xml"
        assert "Missing" in gone.text
        store.put(key, whole[:-9], content_type="image/png")
        broken = viewer.get(address)
        assert broken.status_code == 502
        assert "Damaged" in broken.text
        assert broken.headers["cache-control"] == "no-store"
        store.delete(key)
        store.put(key, whole, content_type="image/png")
        assert viewer.get(address).status_code == 200
    none = viewer.get("/pictures/none")
    assert (none.status_code, none.headers["content-type"]) == (200, "image/svg+xml")


def test_a_download_has_a_name_that_holds_nothing_else(
    viewer: Visitor, shown: dict[str, dict[str, str]]
) -> None:
    address = shown["finished"]["image"]
    answer = viewer.get(f"{address}&download=mug_7")
    assert answer.headers["content-disposition"] == 'attachment; filename="mug_7.png"'
    for name in ("../x", 'a"b', "a%0d%0aX: y"):
        assert viewer.get(f"{address}&download={name}").status_code == 422


def test_an_address_stays_the_same_for_hours_and_names_no_place(
    gallery: Gallery,
    viewer: Visitor,
    shown: dict[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = 1_900_000_000 // LIFE_S * LIFE_S

    def addresses_at(now: float) -> dict[str, str]:
        monkeypatch.setattr("dashboard.pictures.time.time", lambda: now)
        asked = f"/api/v1/review/creatives/{shown['creative']}"
        return viewer.get(asked).json()["finished"]

    first = addresses_at(start)
    assert addresses_at(start + LIFE_S - 1) == first
    assert addresses_at(start + LIFE_S) != first
    assert gallery.env.workspace not in first["image"]
