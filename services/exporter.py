"""The fleet's metrics for Prometheus: a page that asks Postgres when it is read.

What each worker's process measures itself is on its own page (workers/health.py).
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from adloom import __version__
from adloom.catalog import Price
from adloom.errors import ConfigurationError
from adloom.records.metrics import RunCounts
from adloom.render_spec import RENDERER_VERSION
from adloom.states import AttemptEnding, Outcome
from services.metric_families import gauge, labelled
from services.worker_metrics import of_cost, of_workers
from tasks.metrics import Fleet, FleetWatch

DEFAULT_PORT = 9464
_LOST = (AttemptEnding.LOST, AttemptEnding.EVICTED)
_NOT_REPEATED = (AttemptEnding.FINISHED, AttemptEnding.FAILED)


class FleetCollector(Collector):
    """Makes metric families of one look at the fleet."""

    def __init__(
        self, look: Callable[[], Fleet], workspace: str, gpu_hour: Price | None = None
    ) -> None:
        self._look, self._workspace, self._gpu_hour = look, workspace, gpu_hour

    def describe(self) -> Iterable[Metric]:
        return ()  # the names are known without asking the database at registration

    def collect(self) -> Iterator[Metric]:
        fleet = self._look()
        yield InfoMetricFamily(
            "adloom_build",
            "Version of adloom, renderer version, workspace.",
            {"version": __version__, "renderer": RENDERER_VERSION, "workspace": self._workspace},
        )
        yield gauge("adloom_up", "Whether adloom's database answers.", float(fleet.answers))
        yield labelled(
            "adloom_metrics_query_seconds",
            "What the queries of each subject took last.",
            ("subject",),
            {(s,): seconds for s, seconds in fleet.seconds.items()},
        )
        yield from _renders(fleet)
        yield from _batches(fleet)
        yield from _live_runs(fleet)
        yield from _campaigns(fleet)
        yield from of_workers(fleet.workers or ())
        if self._gpu_hour is not None:
            yield from of_cost(fleet.workers or (), self._gpu_hour)


@contextmanager
def metrics_page(
    watch: FleetWatch, workspace: str, gpu_hour: Price | None, *, host: str, port: int
) -> Iterator[int]:
    """Serves `/metrics` until the block ends; yields the port, a free one for 0.

    Raises ConfigurationError for an address that cannot be used.
    """
    registry = CollectorRegistry()
    registry.register(FleetCollector(watch.look, workspace, gpu_hour))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigurationError(
            f"metrics cannot be served at {host}:{port}: {error.strerror}",
            where="--port",
            hint="choose another port, or 0 for any that is free",
        ) from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def is_open_to_others(host: str) -> bool:
    """Whether a page at this address is read by other machines."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _renders(fleet: Fleet) -> Iterator[Metric]:
    if fleet.renders is None:
        return
    yield labelled(
        "adloom_renders",
        "Renders by state. Estimated but for failed and cancelled ones where "
        "adloom_renders_exact is 0.",
        ("state",),
        {(state.value,): n for state, n in fleet.renders.by_state.items()},
    )
    yield gauge(
        "adloom_renders_exact", "Whether all renders are counted.", float(fleet.renders.exact)
    )


def _batches(fleet: Fleet) -> Iterator[Metric]:
    if fleet.queue is not None:
        depth = {q.state.value: q for q in fleet.queue}
        states = ("pending", "leased")
        yield labelled(
            "adloom_batches",
            "Live batches: waiting for a worker, or held by one.",
            ("state",),
            {(s,): depth[s].batches if s in depth else 0 for s in states},
        )
        yield labelled(
            "adloom_queue_renders",
            "Renders that live batches were cut with.",
            ("state",),
            {(s,): depth[s].renders if s in depth else 0 for s in states},
        )
        oldest = depth["pending"].oldest_s if "pending" in depth else 0.0
        yield gauge(
            "adloom_queue_oldest_seconds",
            "Age of the oldest batch that waits, paused runs left out.",
            oldest,
        )
    if fleet.attempts is not None:
        yield labelled(
            "adloom_batch_attempts",
            "Attempts at batches that have ended, ever.",
            ("ending", "error_class"),
            {(a.ending.value, a.error_class): a.attempts for a in fleet.attempts},
            counter=True,
        )
        lost = sum(a.attempts for a in fleet.attempts if a.ending in _LOST)
        yield CounterMetricFamily(
            "adloom_lease_expiries", "Leases of batches that ran out.", value=lost
        )
        again = sum(a.attempts for a in fleet.attempts if a.ending not in _NOT_REPEATED)
        yield CounterMetricFamily(
            "adloom_batch_retries", "Attempts after which the batch went to another.", value=again
        )


def _live_runs(fleet: Fleet) -> Iterator[Metric]:
    if fleet.runs is None:
        return
    labels = ("campaign", "run")
    runs = {(r.campaign, str(r.run_id)): r for r in fleet.runs}
    yield gauge("adloom_runs", "Runs that have not ended.", len(runs))
    yield labelled(
        "adloom_run_items",
        "Items of live runs by outcome.",
        (*labels, "outcome"),
        {(*k, o): n for k, r in runs.items() for o, n in _outcomes(r).items()},
    )
    yield labelled(
        "adloom_run_failed_items",
        "Failed items of live runs by error class.",
        (*labels, "error_class"),
        {(*k, name): n for k, r in runs.items() for name, n in r.errors.items()},
    )
    yield labelled(
        "adloom_run_planned_slots",
        "Slots that a live run has.",
        labels,
        {k: r.planned for k, r in runs.items()},
    )
    yield labelled(
        "adloom_run_paused",
        "Whether a live run is paused.",
        labels,
        {k: float(r.paused) for k, r in runs.items()},
    )
    yield labelled(
        "adloom_run_start_timestamp_seconds",
        "When a live run began.",
        labels,
        {k: r.created_at.timestamp() for k, r in runs.items()},
    )
    yield labelled(
        "adloom_run_yield_ratio",
        "Approved over judged items of live runs.",
        labels,
        {k: r.share_approved for k, r in runs.items() if r.share_approved is not None},
    )


def _campaigns(fleet: Fleet) -> Iterator[Metric]:
    if fleet.campaigns is None:
        return
    done = {c.run.campaign: c for c in fleet.campaigns}
    yield labelled(
        "adloom_campaign_last_completed_timestamp_seconds",
        "When the newest run of a campaign that completed did.",
        ("campaign",),
        {(slug,): c.run.ended_at.timestamp() for slug, c in done.items()},
    )
    yield labelled(
        "adloom_campaign_last_run_items",
        "Items of that run by outcome.",
        ("campaign", "outcome"),
        {(slug, o): n for slug, c in done.items() for o, n in _outcomes(c.counts).items()},
    )
    yields = {slug: c.counts.share_approved for slug, c in done.items()}
    yield labelled(
        "adloom_campaign_yield_ratio",
        "Approved over judged items of that run.",
        ("campaign",),
        {(slug,): share for slug, share in yields.items() if share is not None},
    )


def _outcomes(run: RunCounts) -> dict[str, int]:
    """Every outcome that an item can stand at, so that no series comes and goes."""
    return {o.value: run.outcomes.get(o, 0) for o in Outcome if o is not Outcome.SUPERSEDED}
