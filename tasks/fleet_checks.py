"""What `adloom doctor` asks of the fleet: its clocks, its versions, its members."""

from collections.abc import Callable, Mapping, Sequence

from adloom.findings import Finding, doubtful, well, wrong
from adloom.fleet_builds import (
    CLOCK_REFUSED_S,
    CLOCK_TOLERATED_S,
    Build,
    described,
    mixed,
    named,
)
from adloom.records import WorkerRecord
from adloom.states import WorkerState
from db.queries import clock, workers
from tasks.environment import Environment

_LOST_WITHIN_S = 3600.0
_BY_NTP = "set the clocks by NTP (timedatectl set-ntp true)"


def members(env: Environment) -> tuple[WorkerRecord, ...]:
    """The workers that were heard of within the hour and have not stopped."""
    with env.database.transaction() as tx:
        found = workers.listed(tx, env.workspace_id, within_s=_LOST_WITHIN_S)
    return tuple(w for w in found if w.state is not WorkerState.STOPPED)


def clocks(env: Environment, there: Sequence[WorkerRecord], build: Build) -> Finding:
    """This machine's clock and those of living workers, against Postgres'."""
    del build
    with env.database.transaction() as tx:
        skews = {"this machine": clock.skew_s(tx)}
    for worker in there:
        reported = worker.stats.get("clock_skew_s")
        if worker.alive and isinstance(reported, int | float):
            skews[worker.name] = float(reported)
    off = {n: s for n, s in skews.items() if abs(s) > CLOCK_TOLERATED_S}
    if not off:
        most = max(map(abs, skews.values()))
        return well(f"{len(skews)} clocks within {most:.2f} s of Postgres'")
    said = "; ".join(f"{n} is {described(s)} Postgres'" for n, s in sorted(off.items()))
    refused = any(abs(s) > CLOCK_REFUSED_S for s in off.values())
    return wrong(said, _BY_NTP) if refused else doubtful(said, _BY_NTP)


def presence(env: Environment, there: Sequence[WorkerRecord], build: Build) -> Finding:
    """Whether workers fell silent, or leave models to others."""
    del env, build
    lost = [w.name for w in there if not w.alive]
    if lost:
        return doubtful(
            f"fell silent within the hour: {named(lost)}",
            "see their logs; what they held is handed back by itself",
        )
    refusing = {w.name: w.stats["refuses"] for w in there if w.stats.get("refuses")}
    if refusing:
        first = next(iter(refusing.values()))[0]
        return doubtful(
            f"leave models to others: {named(refusing)} ({first['reason']})",
            "give those machines the weights, and restart their workers",
        )
    by_pool: dict[str, int] = {}
    for worker in there:
        by_pool[worker.pool] = by_pool.get(worker.pool, 0) + 1
    return well(", ".join(f"{n} in {pool}" for pool, n in sorted(by_pool.items())) or "none")


def versions(env: Environment, there: Sequence[WorkerRecord], build: Build) -> Finding:
    """Whether all render with one version, and whether all are of one release.

    The schema that a worker needs was this database's when it started: an older one goes on.
    """
    del env
    said = {w.name: Build.of(w) for w in there if w.alive}
    known = {n: b for n, b in {**said, "this machine": build}.items() if b is not None}
    if mixture := mixed({n: b.renderer for n, b in known.items()}):
        return wrong(
            f"renderer versions differ: {mixture}",
            "stop the workers of the other version: they hand each other's batches back",
        )
    for what in ("adloom", "schema", "prefect"):
        if mixture := mixed({n: getattr(b, what) for n, b in known.items()}):
            return doubtful(
                f"versions of {what} differ: {mixture}",
                "upgrade the rest, one after another (docs/deploy.md)",
            )
    silent = [n for n, b in said.items() if b is None]
    if silent:
        return doubtful(f"do not say their versions: {named(silent)}", "upgrade them")
    return well(f"adloom {build.adloom}, schema {build.schema}, renderer {build.renderer}")


def weights(env: Environment, there: Sequence[WorkerRecord], build: Build) -> Finding:
    """Whether all workers that loaded a model loaded the same weights."""
    del env, build
    by_model: dict[str, dict[str, str]] = {}
    for worker in there:
        loaded = worker.stats.get("weights")
        for model, digest in loaded.items() if worker.alive and isinstance(loaded, Mapping) else ():
            by_model.setdefault(model, {})[worker.name] = str(digest)[:12]
    differing = {m: mixture for m, found in by_model.items() if (mixture := mixed(found))}
    if differing:
        said = "; ".join(f"'{model}' is {mixture}" for model, mixture in sorted(differing.items()))
        return wrong(said, "copy one weights folder to all machines (`adloom weights verify`)")
    return well(", ".join(f"'{m}' on {len(w)}" for m, w in sorted(by_model.items())) or "none yet")


Check = Callable[[Environment, Sequence[WorkerRecord], Build], Finding]
CHECKS: Mapping[str, Check] = {
    "workers": presence,
    "versions": versions,
    "clocks": clocks,
    "loaded": weights,
}
"""By name, in the order in which they are told."""
