"""An installation after a few nights: something of everything that the pages show."""

from dataclasses import dataclass, replace

from adloom.catalog import PhotoRef, PhotoRole
from adloom.records import PhotoProblem, RecallFilter, ReviewChoice, ReviewFilter, ReviewWord
from adloom.review_reasons import DEFAULT_REASONS
from adloom.states import Outcome, ReviewDecision, Role, RunState
from db.queries import audit, creatives, photos, run_leases, runs
from tasks import figures, masks, recalls, reviewing, users
from tasks.environment import Environment
from tests.db.world import campaign, record
from tests.integration.dashboard.gallery import Gallery, picture
from tests.unit.imaging.pictures import drawn_cutout

TITLES = (
    "Red enamel mug", "Desk lamp with a brass arm", "Vase", "Travel bottle, 0.75 l",
    "Leather bag & <i>strap</i>", '"><img src=x onerror="document.title=1"><script>1</script>',
    "Hand-poured candle of soy wax with fig and cedar, 220 g",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftstasse",
)  # fmt: skip
KETTLE = "https://feed:s3cr3t-word@photos.example/kettle.png?X-Amz-Signature=s3cr3t-query"
"""What a feed says where a photo is; who may see the photo may not see this."""
NOT_PAGES = {
    "/", "/healthz", "/sign-in/provider", "/sign-in/provider/back", "/numbers/{table}.csv",
    "/pictures/none", "/pictures/{size}/{kind}/{name}",
}  # fmt: skip
"""What is asked by GET beside the API, and shows no page of its own."""


@dataclass(frozen=True)
class Showcase:
    """`pages`: an address of every route that shows a page; `more`: further states of them."""

    pages: dict[str, str]
    more: tuple[str, ...]
    under_way: int

    @property
    def named(self) -> dict[str, str]:
        """All addresses, by names that stay the same."""
        return {**self.pages, **{f"more {n}": address for n, address in enumerate(self.more)}}


def opened(env: Environment) -> Showcase:
    gallery = Gallery.open(env)
    gallery.add_products(TITLES)
    _troubled_product(gallery)
    ended = gallery.run(
        lambda n: 0.5 + 0.01 * (n % 14),
        fails=lambda n: (
            "<script>document.title = 1</script>the device ran out of memory at 512 × 512 px"
            if n % 9 == 4
            else ""
        ),
    )
    with env.database.transaction() as tx:
        runs.set_state(tx, ended, RunState.COMPLETE)
    under_way = gallery.run(formats=("1:1",), steps=30, draws=2)
    with env.database.transaction() as tx:
        assert run_leases.claim(tx, under_way, "coordinator", 3600) is not None
    waiting = gallery.world.run(campaign("autumn", steps=25))
    for batch in gallery.world.cut(waiting, size=2)[:1]:
        gallery.world.claimed(batch, ttl_s=3600)
    for run_id in (ended, under_way, waiting):
        figures.measure(env, run_id)
    photo = _mask(gallery)
    _people(env)
    rejected = _of(gallery, ended, Outcome.REJECTED)
    approved = _of(gallery, ended, Outcome.APPROVED)
    recalls.issue(
        env, RecallFilter(sku="sku-5"), issuer="olga", reason="the glaze <img src=x> comes off"
    )
    for run_id in (ended, under_way):
        figures.measure(env, run_id)
    product = min(gallery.world.names())
    troubled = max(gallery.world.names())
    pages = {
        "/sign-in": "/sign-in", "/sign-in/link": "/sign-in/link?token=x",
        "/account": "/account", "/users": "/users", "/audit": "/audit",
        "/runs": "/runs", "/runs/{run}": f"/runs/{ended}",
        "/runs/{run}/failures": f"/runs/{ended}/failures",
        "/runs/{run}/retry": f"/runs/{ended}/retry",
        "/runs/{run}/cancel": f"/runs/{under_way}/cancel",
        "/runs/{run}/pause": f"/runs/{under_way}/pause",
        "/runs/{run}/resume": f"/runs/{waiting}/resume",
        "/campaigns": "/campaigns", "/campaigns/new": "/campaigns/new",
        "/campaigns/{slug}": "/campaigns/spring",
        "/catalogue": "/catalogue", "/catalogue/{product}": f"/catalogue/{product}",
        "/catalogue/{product}/photos/{photo}": f"/catalogue/{product}/photos/{photo}",
        "/scenes": "/scenes", "/scenes/{slug}": "/scenes/beach", "/numbers": "/numbers",
        "/review": "/review", "/review/grid": "/review/grid",
        "/creatives/{creative}": f"/creatives/{rejected}",
        "/creatives/{creative}/recall": f"/creatives/{approved}/recall",
    }  # fmt: skip
    more = (
        f"/runs/{under_way}", f"/runs/{waiting}", f"/runs/{ended}/cancel",
        f"/runs/{ended}?did=retry&items=3", f"/creatives/{approved}",
        f"/catalogue/{troubled}", f"/creatives/{_of(gallery, ended, Outcome.FAILED)}",
        "/runs?campaign=nobody", "/catalogue?q=nothing+like+it", "/scenes?pack=none",
        "/numbers?campaign=none", "/review?scene=none", "/review/grid?scene=none",
        "/audit?account=nobody", "/nowhere", "/runs/987654321", "/runs/0",
    )  # fmt: skip
    return Showcase(pages, more, under_way)


def _troubled_product(gallery: Gallery) -> None:
    gallery.world.sync(
        [
            replace(
                record("sku-broken", title="Kettle whose photo cannot be read"),
                photos=(PhotoRef(KETTLE, PhotoRole.MAIN, 0),),
            )
        ]
    )
    number = max(gallery.world.names())
    with gallery.env.database.transaction() as tx:
        photos.record_problems(tx, [PhotoProblem(
            number, "sku-broken", KETTLE, "unreadable",
            "the file <img src=x> ends before its picture does",
        )])  # fmt: skip


def _mask(gallery: Gallery) -> str:
    """Two masks that a person gave the first product's photo; the photo's sha256."""
    with gallery.env.database.transaction() as tx:
        photo = photos.of_product(tx, gallery.world.ws, "sku-0").sha256
    drawn = drawn_cutout(0, 150, 200).mask.copy()
    for note in ("the <img src=x> handle was missing", "the shadow is no product"):
        drawn[:70] = 0 if note.startswith("the shadow") else drawn[:70]
        drawn[-70:] = 0
        masks.set_mask(gallery.env, photo, picture(drawn), given_by="olga", note=note)
    return photo


def _people(env: Environment) -> None:
    for name, role in (("olga", Role.OPERATOR), ("rita", Role.REVIEWER), ("otto", Role.VIEWER)):
        users.add(env, name, role, password=None, by=users.Actor("ann", "192.0.2.1"))
    users.set_disabled(env, "otto", True, by=users.Actor("ann", "192.0.2.1"))
    items = reviewing.next_items(env, "rita", ReviewFilter(), count=6)
    for n, item in enumerate(items):
        rejects = n % 3 == 2
        decision = ReviewDecision.REJECT if rejects else ReviewDecision.APPROVE
        word = ReviewWord("rita", decision, f"showcase-{n}", "product_altered" if rejects else "")
        assert item.view.rendition
        choice = ReviewChoice(item.view.creative_id, item.view.rendition.sha256, None)
        reviewing.decide(env, choice, word, DEFAULT_REASONS)
    with env.database.transaction() as tx:
        audit.add(
            tx, env.workspace_id, account="olga", address="192.0.2.7", act="run.retry",
            subject="run 1", details={"items": 3, "error_class": "RenderError"},
        )  # fmt: skip


def _of(gallery: Gallery, run_id: int, outcome: Outcome) -> int:
    with gallery.env.database.transaction() as tx:
        return next(creatives.of_run(tx, run_id, outcomes=(outcome,))).creative_id
