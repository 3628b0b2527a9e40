"""Coordinators of one run: leases that are held, and a run with work of every kind."""

from pathlib import Path

from adloom.records import RunLease
from db.queries import run_leases, runs
from storage.local import LocalStore
from tasks.environment import Environment, Rendering
from tests.db.world import World, campaign

SPEC = campaign(draws=2)


def environment_of(world: World, folder: Path, owner: str = "second") -> Environment:
    """The environment of a coordinator named `owner`."""
    rendering = Rendering(weights_root=folder, lease_s=1.0)
    return Environment(world.database, LocalStore(folder), "w", world.ws, rendering, owner)


def held_by(world: World, run_id: int, owner: str, ttl_s: float = 60) -> RunLease:
    with world.database.transaction() as tx:
        lease = run_leases.claim(tx, run_id, owner, ttl_s)
    assert lease is not None
    return lease


def partly_done(world: World) -> int:
    """A run in which each kind of write has something to do: an item failed, one rejected, the
    others finished and open, or waiting for a batch."""
    run_id = world.run(SPEC)
    world.render_all(run_id, fails=lambda n: n == 1)
    world.judge(run_id, rejects=lambda _: True, at_most=1)
    items = world.planned(campaign(variants=2))
    with world.database.transaction() as tx:
        runs.add_items(tx, run_id, items)
    return run_id
