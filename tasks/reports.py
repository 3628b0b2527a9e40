"""What a run made: counts that add up, yield by scene, reasons, failures, timings."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from adloom.records import CreativeView
from adloom.states import Disposition, Outcome
from db.queries import attempts, creatives, runs
from tasks.budgets import cost_of, shown
from tasks.environment import Environment
from tasks.runs import RunLine, run_line

LIVE = tuple(o for o in Outcome if o is not Outcome.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class SceneYield:
    """`share`: approved of all that were judged, 0..1."""

    scene: str
    items: int
    approved: int
    needs_review: int
    rejected: int
    failed: int
    share: float


@dataclass(frozen=True, slots=True)
class RunReport:
    run: RunLine
    adds_up: bool
    yields: tuple[SceneYield, ...]
    reasons: tuple[tuple[str, int], ...]
    failures: tuple[tuple[str, int, str], ...]
    skipped: dict[str, int]
    render_seconds: float
    elapsed_s: float
    cost: str | None
    """What rendering took, by ADLOOM_GPU_HOUR_PRICE."""
    attempts: dict[str, int]
    """How the attempts at the run's batches ended, counted."""


def run_report(env: Environment, run_id: int) -> RunReport:
    """Raises NotFoundError for an unknown run."""
    with env.database.transaction() as tx:
        summary = runs.summary(tx, env.workspace_id, run_id)
        proof = runs.conservation(tx, run_id)
        endings = attempts.endings(tx, run_id)
        by_scene: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
        failures: Counter[tuple[str, str]] = Counter()
        seconds = 0.0
        for view in creatives.of_run(tx, run_id, outcomes=LIVE):
            by_scene[view.slot.scene_slug][view.outcome] += 1
            if view.outcome is Outcome.FAILED:
                failures[(view.error_class or "?", view.error_message or "")] += 1
            seconds += _seconds(view)
    line = run_line(summary)
    ended = line.ended_at or datetime.now(UTC)
    return RunReport(
        run=line,
        adds_up=proof.holds,
        yields=tuple(scene_yield(s, c) for s, c in sorted(by_scene.items())),
        reasons=tuple(sorted(summary.reasons.items(), key=lambda r: (-r[1], r[0]))),
        failures=tuple((kind, n, text) for (kind, text), n in failures.most_common(20)),
        skipped=dict(summary.skipped),
        render_seconds=seconds,
        elapsed_s=(ended - line.started_at).total_seconds(),
        cost=shown(cost_of(seconds, env.gpu_hour_price)) if env.gpu_hour_price else None,
        attempts=endings,
    )


def _seconds(view: CreativeView) -> float:
    if view.render is None or view.disposition is not Disposition.NEW:
        return 0.0
    return float(view.render.timings.get("render_s", 0.0))


def scene_yield(scene: str, counts: Counter[Outcome]) -> SceneYield:
    judged = sum(counts[o] for o in (Outcome.APPROVED, Outcome.NEEDS_REVIEW, Outcome.REJECTED))
    return SceneYield(
        scene,
        sum(counts.values()),
        counts[Outcome.APPROVED],
        counts[Outcome.NEEDS_REVIEW],
        counts[Outcome.REJECTED],
        counts[Outcome.FAILED],
        counts[Outcome.APPROVED] / judged if judged else 0.0,
    )
